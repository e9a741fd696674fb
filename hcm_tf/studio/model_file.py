"""A run's networks as one file, for the engine that draws in the browser.

The layout is that of `wire`: the header is the studio's description of the model and,
under `scales`, the factor of the equalised learning rate of every kernel.
"""

import numpy as np

from hcm_tf.errors import UserError
from hcm_tf.layers import EqualizedConv2D, EqualizedDense
from hcm_tf.networks.blocks import DownBlock, GeneratorBlock
from hcm_tf.prior import without_labels
from hcm_tf.studio import wire
from hcm_tf.studio.engine import Engine

# Rules that are top-k when sampling, perhaps of all, and have its gradient.
KNOWN = ("top_k", "reinforce", "dense", "l1")
# Above, a picture takes about a second in the browser.
MOST_WEIGHTS = 12_000_000


def pack(engine: Engine) -> bytes:
    """The file of a run, little-endian; values that half precision holds in it.

    Raises:
        UserError: the networks are too large for a browser, or normalised, a level's
            rule is not among KNOWN, parts are placed freely, locations have latents of
            their own or learn from others, or blocks are gated.
    """
    generator, encoder = engine.run.generator, engine.run.encoder
    for level in generator.levels:
        if level.rule not in KNOWN:
            raise UserError(
                f"the browser cannot draw what selects by {level.rule}, as level "
                f"{level.name} does. Use the studio with a server: "
                "python -m hcm_tf.studio."
            )
    if generator.placing is not None:
        raise UserError(
            "the browser cannot draw parts that are placed freely (--placement). Use "
            "the studio with a server: python -m hcm_tf.studio."
        )
    if generator.location_latents or generator.attention is not None:
        raise UserError(
            "the browser cannot draw locations that have latents of their own or "
            "learn from others (--location_latents, --location_attention). Use the "
            "studio with a server: python -m hcm_tf.studio."
        )
    if generator.gated:
        raise UserError(
            "the browser cannot draw gated blocks (--gated_blocks). Use the studio "
            "with a server: python -m hcm_tf.studio."
        )
    if generator.normalizers:
        raise UserError(
            "the browser cannot draw what is normalised (--normalizer). Use the studio "
            "with a server: python -m hcm_tf.studio."
        )
    layers: dict[str, EqualizedConv2D | EqualizedDense] = {
        "fc": generator.fc,
        "attributes": generator.attribute_conv,
        "image": generator.to_image,
        "encoder/fc": encoder.fc,
        "encoder/image": encoder.trunk.from_image,
    }
    if generator.classes:
        layers |= {
            "label_fc": generator.label_fc,
            "label_preferences": generator.label_preferences,
            "encoder/label_fc": encoder.label_fc,
        }
    for block in (*generator.blocks, *encoder.trunk.blocks):
        layers |= _of_block(block)
    arrays, scales = {}, {}
    for name, layer in layers.items():
        arrays[f"{name}/kernel"] = np.asarray(layer.kernel)
        scales[f"{name}/kernel"] = layer.scale
        if isinstance(layer, EqualizedDense):
            arrays[f"{name}/bias"] = np.asarray(layer.bias)
    if generator.classes:
        arrays["encoder/offsets"] = np.asarray(encoder.offsets)
    prior = without_labels(engine.run.prior)
    if prior.noise == "normal":
        arrays["prior/mean"] = np.asarray(prior.mean)
        arrays["prior/factor"] = np.asarray(prior.factor)
    weights = sum(array.size for array in arrays.values())
    if weights > MOST_WEIGHTS:
        raise UserError(
            f"these networks have {weights / 1e6:.0f} million weights, and a browser "
            f"can draw with {MOST_WEIGHTS / 1e6:.0f} million. Use the studio with a "
            "server: python -m hcm_tf.studio."
        )
    flat = {name: smallest(array.ravel()) for name, array in arrays.items()}
    return wire.pack({**engine.model, "scales": scales}, flat)


def smallest(values: np.ndarray) -> np.ndarray:
    """float16 where that changes no value, otherwise float32."""
    values = values.astype("float32")
    with np.errstate(over="ignore"):
        half = values.astype("float16")
    return half if np.array_equal(half, values) else values


def _of_block(block: GeneratorBlock | DownBlock) -> dict[str, EqualizedConv2D]:
    name = f"encoder/{block.name}" if isinstance(block, DownBlock) else block.name
    layers = {f"{name}/first": block.first, f"{name}/second": block.second}
    if block.shortcut is not None:
        layers[f"{name}/shortcut"] = block.shortcut
    return layers
