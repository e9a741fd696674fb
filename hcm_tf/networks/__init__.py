"""Generator, encoder and critic, each built from a model configuration."""

from hcm_tf.config import ModelConfig
from hcm_tf.networks.composition import Trace
from hcm_tf.networks.critic import Critic
from hcm_tf.networks.encoder import Encoder
from hcm_tf.networks.generator import Generator

__all__ = [
    "Critic",
    "Encoder",
    "Generator",
    "Trace",
    "build_critic",
    "build_encoder",
    "build_generator",
]


def build_generator(config: ModelConfig, *, dtype: str = "float32") -> Generator:
    """The generator of a configuration, with its variables made."""
    generator = Generator(
        resolutions=config.resolutions,
        widths=config.widths,
        attributes=config.attributes,
        attribute_k=config.attribute_k,
        spatial_k=config.spatial_k,
        rules=config.sparsity,
        temperature=config.temperature,
        p=config.top_p,
        normalized=config.normalizer != "none",
        gated=config.gated_blocks,
        placement=config.placement,
        presence=config.presence,
        opacity=config.opacity,
        stretch=config.stretch_parts,
        background_attributes=config.background_attributes,
        location_latents=config.location_latents,
        location_attention=config.location_attention,
        classes=config.classes,
        image_channels=config.image_channels,
        dtype=dtype,
        name="generator",
    )
    generator.build((None, config.latent_size + sum(config.classes)))
    return generator


def build_encoder(config: ModelConfig, *, dtype: str = "float32") -> Encoder:
    """The encoder of a configuration, with its variables made."""
    encoder = Encoder(
        latent_size=config.latent_size,
        location_latents=config.location_latents,
        widths=config.trunk_widths,
        residual_block=config.trunk_residual_block,
        classes=config.classes,
        dtype=dtype,
        name="encoder",
    )
    encoder.build(_image_shape(config))
    return encoder


def build_critic(config: ModelConfig, *, dtype: str = "float32") -> Critic:
    """The critic of a configuration, with its variables made."""
    critic = Critic(
        widths=config.trunk_widths,
        residual_block=config.trunk_residual_block,
        stddev_group_size=config.stddev_group_size,
        classes=tuple(len(label.classes) for label in config.given),
        discovered=config.discovered_classes,
        dtype=dtype,
        name="critic",
    )
    critic.build(_image_shape(config))
    return critic


def _image_shape(config: ModelConfig) -> tuple[int | None, ...]:
    size = config.image_size
    return (None, size, size, config.image_channels)
