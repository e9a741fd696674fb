"""Small generators to explain: sparse, dense, and grey at 32 pixels."""

import keras
import numpy as np

from hcm_tf.config import ModelConfig
from hcm_tf.explain.decoder import Decoder
from hcm_tf.networks import build_generator

SMALL = {
    "sparse": ModelConfig(base_channels=2, attributes=20, latent_size=10),
    "dense": ModelConfig(
        base_channels=1,
        attributes=8,
        latent_size=10,
        attribute_keep=1.0,
        spatial_keep=(1.0,),
    ),
    "grey": ModelConfig(
        image_size=32,
        image_channels=1,
        base_channels=2,
        attributes=12,
        latent_size=6,
        attribute_keep=0.25,
    ),
}


def make_decoder(kind: str, **kwargs) -> Decoder:
    keras.utils.set_random_seed(0)
    return Decoder(build_generator(SMALL[kind]), progress=False, **kwargs)


def record(decoder: Decoder, count: int = 1):
    latents = np.random.default_rng(1).uniform(
        -1, 1, (count, decoder.generator.latent_size)
    )
    return decoder.record(latents)
