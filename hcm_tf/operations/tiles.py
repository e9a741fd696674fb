"""Gated tiles: where a block's second convolution is left out (Li et al. 2020).

A block's map is cut into tiles of 4x4 pixels. Each has a gate g = max(0, tanh(x)) of a
number x, which the layer `TileGate` reads off the mean of the tile, and the block goes
on with

    y = (1 - s) hidden + s ReLU(hidden * kernel),    s = min(1, g / tanh(1.5)):

a tile with g = 0 keeps what it had, and nobody needs to compute its convolution; one
with x = 1.5, where training begins, or above is what it is without gates. The gate is
recorded, so that with the ReLU's gates fixed the block is linear.

The forms below compute y; they return with it where the convolution is positive, which
`skipping` knows of open tiles alone: elsewhere it is multiplied by 0.
"""

from collections.abc import Callable

from keras import ops

from hcm_tf.operations.upsampling import upsample
from hcm_tf.sparsity import Tensor

SIDE = 4
# x where training begins: all is drawn, and the gradient of tanh is still 0.18.
BIAS = 1.5


def means(hidden: Tensor) -> Tensor:
    """The mean of each tile: `(batch, n, n, C)` -> `(batch, n / 4, n / 4, C)`."""
    return ops.average_pool(
        hidden, SIDE, strides=SIDE, padding="valid", data_format="channels_last"
    )


def gate(numbers: Tensor) -> Tensor:
    """g, of the same shape: 0 where the tile is skipped, below 1."""
    return ops.relu(ops.tanh(numbers))


def share(gates: Tensor) -> Tensor:
    """s: how much of a tile the convolution draws, from 0 to 1."""
    # By the operation that made the gate, whose rounding is not that of `math.tanh`: at
    # x = 1.5 the share is 1 and has a gradient, which `minimum` passes on where equal.
    opened = ops.tanh(ops.full((1, 1, 1, 1), BIAS, dtype=gates.dtype))
    return ops.minimum(gates / opened, 1.0)


def pixels(gates: Tensor, dtype: str) -> Tensor:
    """The share of each pixel: `(batch, n / 4, n / 4, 1)` -> `(batch, n, n, 1)`."""
    return ops.cast(upsample(upsample(share(gates))), dtype)


def mix(gates: Tensor, composed: Tensor, hidden: Tensor) -> Tensor:
    """y: `(batch, n, n, C)`.

    Args:
        gates: g, `(batch, n / 4, n / 4, 1)`.
        composed: the rectified convolution, or its replay.
        hidden: what it is made of.
    """
    shares = pixels(gates, hidden.dtype)
    return shares * composed + (1 - shares) * hidden


def plainly(convolve: Callable[[Tensor, Tensor], Tensor]) -> Callable:
    """The plain form, which convolves all tiles: `(hidden, kernel, gates)` -> y, where.

    Args:
        convolve: `(x, kernel)`, see `upsampling.convolve`.
    """

    def compose(hidden: Tensor, kernel: Tensor, gates: Tensor) -> tuple[Tensor, Tensor]:
        composed = ops.relu(convolve(hidden, kernel))
        return mix(gates, composed, hidden), composed > 0

    return compose
