"""What the fast forms are measured against: every formula as the paper states it."""

from typing import Any
from unittest import mock

from hcm_tf import networks, operations
from hcm_tf.config import ModelConfig
from hcm_tf.layers import UpsampledConv2D
from hcm_tf.networks import Generator, blocks
from hcm_tf.operations.placement import place, placement_kernel
from hcm_tf.sparsity import Tensor


class PublishedConv2D(UpsampledConv2D):
    """Block 1's first convolution, its kernel in the published layout.

    `layers.PlacedConv2D` keeps a dictionary; its reference form rearranges that on each
    call, which the published network has no need to do.
    """

    def __init__(
        self, filters: int, most: int, background: int = 0, **kwargs: Any
    ) -> None:
        if background:
            raise ValueError("The published network has no background.")
        super().__init__(filters, **kwargs)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        batch, height, width, attributes = input_shape
        super().build((batch, height, width, height * width * attributes))

    def call(self, x: Tensor) -> Tensor:
        return super().call(place(x))


def build_generator(config: ModelConfig) -> Generator:
    """The generator of the reference execution, in the published layout."""
    with mock.patch.object(blocks, "PlacedConv2D", PublishedConv2D):
        return operations.apply(networks.build_generator(config), "reference")


def copy_weights(source: Generator, target: Generator) -> None:
    """From one of ours to one of `build_generator`."""
    dictionary = source.blocks[0].first.kernel
    for ours, theirs in zip(source.variables, target.variables, strict=True):
        theirs.assign(placement_kernel(ours) if ours is dictionary else ours)
