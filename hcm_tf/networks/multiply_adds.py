"""Multiply-adds of the convolutions that gated blocks may skip, and of those done."""

from collections.abc import Sequence

import numpy as np

from hcm_tf.networks.blocks import BlockGates
from hcm_tf.networks.generator import Generator
from hcm_tf.operations import tiles

TAPS = 9


def of_tile(width: int) -> int:
    """Those of the second convolution of a tile, in a block of so many maps.

    Padding counts as pixels do, as it does in every total of ours.
    """
    return tiles.SIDE**2 * TAPS * width * width


def of_gates(generator: Generator) -> int:
    """Those that all gates of one image cost: the mean of each tile, times a kernel."""
    return sum(
        (side // tiles.SIDE) ** 2 * width for side, width in gated_blocks(generator)
    )


def gated_blocks(generator: Generator) -> list[tuple[int, int]]:
    """Pixels along a side and feature maps of each gated block, lowest first."""
    return [
        (generator.image_size >> above, block.width)
        for above, block in zip(
            range(len(generator.blocks))[::-1], generator.blocks, strict=True
        )
        if block.gate is not None
    ]


def skippable(generator: Generator) -> list[int]:
    """Those of each gated block's second convolution, for one image."""
    return [
        (side // tiles.SIDE) ** 2 * of_tile(width)
        for side, width in gated_blocks(generator)
    ]


def computed(generator: Generator, gates: Sequence[BlockGates]) -> np.ndarray:
    """Those of the tiles that recorded gates leave open: int64 `(images, blocks)`.

    Args:
        generator: with gated blocks.
        gates: of all blocks, from `Generator.trace`.
    """
    counts = [
        np.count_nonzero(np.asarray(block.tiles) > 0, axis=(1, 2, 3))
        for block in gates
        if block.tiles is not None
    ]
    each = [of_tile(width) for _, width in gated_blocks(generator)]
    return np.stack(counts, axis=1).astype("int64") * each
