"""Golden vectors of the method, and how their names map to our variables."""

import functools
import pathlib

import numpy as np

from hcm_tf.config import ModelConfig
from hcm_tf.networks import Critic, Encoder, Generator

CONFIG = ModelConfig(base_channels=2, attributes=20, latent_size=10)


@functools.cache
def load() -> dict[str, np.ndarray]:
    """The arrays of tests/golden/reference.npz, all in float64."""
    path = pathlib.Path(__file__).parent / "golden" / "reference.npz"
    with np.load(path) as arrays:
        return {name: arrays[name].astype("float64") for name in arrays.files}


def variables(network) -> dict:
    """Golden name -> Keras variable, for one of the three networks."""
    if isinstance(network, Generator):
        named = {"attr": network.attribute_conv, "out": network.to_image}
        for index, block in enumerate(network.blocks, 1):
            named |= {f"b{index}a": block.first, f"b{index}b": block.second}
            if block.shortcut is not None:
                named[f"b{index}s"] = block.shortcut
    else:
        assert isinstance(network, (Encoder, Critic))
        named = {"c0": network.trunk.from_image}
        for index, block in enumerate(network.trunk.blocks, 1):
            named |= {f"d{index}a": block.first, f"d{index}b": block.second}
            if block.shortcut is not None:
                named[f"d{index}s"] = block.shortcut
        if isinstance(network, Critic):
            named["last"] = network.last
    found = {name: layer.kernel for name, layer in named.items()}
    found |= {"fc": network.fc.kernel, "fc_bias": network.fc.bias}
    assert len(found) == len(network.variables)
    return found


def to_ours(name: str, array: np.ndarray) -> np.ndarray:
    """An array in the layout of our variable of that golden name."""
    if name != "b1a":
        return array
    rows, columns, channels, filters = array.shape
    array = array.reshape(rows, columns, channels // 16, 16, filters)
    return array.transpose(3, 2, 0, 1, 4)


def assign(network, which: str) -> None:
    """Sets the variables of a network to the golden ones of `which`."""
    for name, variable in variables(network).items():
        variable.assign(to_ours(name, load()[f"{which}/{name}"]))


def error(actual, expected) -> float:
    """Largest absolute difference over the largest absolute expected value."""
    actual, expected = np.asarray(actual, "float64"), np.asarray(expected, "float64")
    assert actual.shape == expected.shape, (actual.shape, expected.shape)
    return np.abs(actual - expected).max() / np.abs(expected).max()
