"""Gated tiles that are skipped in fact, for TensorFlow: see `tiles`.

The open tiles, each with the pixels around it, are gathered into one batch, convolved,
and written over what was there. A window of 6x6 pixels that gives 4x4 is also what one
tile of `winograd` reads: where that pays for whole maps it is used here as well.

Made for sampling: what reads outside of the map has no gradient.
"""

import functools

import numpy as np
import tensorflow as tf

from hcm_tf.operations import tiles, winograd
from hcm_tf.operations.convolution import winograd_pays

WINDOW = tiles.SIDE + 2


def compose(
    hidden: tf.Tensor, kernel: tf.Tensor, gates: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """See `tiles.plainly`; equal to it but for rounding."""
    _, size, _, channels = hidden.shape
    across = size // tiles.SIDE
    flat = tf.reshape(gates, (-1,))
    # One tile at least, whose share may be 0: TensorFlow's convolution of an empty
    # batch gives a wrong shape.
    chosen = (flat > 0) | (tf.range(tf.size(flat)) == 0)
    which = tf.cast(tf.where(chosen)[:, 0], tf.int32)
    image, tile = which // across**2, which % across**2
    windows = _windows(hidden, image, tile)
    if winograd_pays(hidden, tuple(kernel.shape)):
        convolved = winograd.convolve_windows(windows, kernel)
    else:
        convolved = tf.nn.conv2d(windows, kernel, 1, "VALID")
    shares = tf.gather(tf.reshape(tiles.share(gates), (-1, 1, 1, 1)), which)
    shares = tf.cast(shares, hidden.dtype)
    composed = tf.nn.relu(convolved)
    mixed = shares * composed + (1 - shares) * windows[:, 1:-1, 1:-1]
    # A row of a tile lies in one piece.
    row = (image * across + tile // across)[:, tf.newaxis] * tiles.SIDE
    row = (row + tf.range(tiles.SIDE)) * across + (tile % across)[:, tf.newaxis]

    def write(values: tf.Tensor, over: tf.Tensor) -> tf.Tensor:
        pieces = (-1, tiles.SIDE * channels)
        written = tf.tensor_scatter_nd_update(
            tf.reshape(over, pieces),
            tf.reshape(row, (-1, 1)),
            tf.reshape(values, pieces),
        )
        return tf.ensure_shape(tf.reshape(written, tf.shape(hidden)), hidden.shape)

    nowhere = tf.zeros_like(hidden, dtype=tf.bool)
    return write(mixed, hidden), write(convolved > 0, nowhere)


def _windows(hidden: tf.Tensor, image: tf.Tensor, tile: tf.Tensor) -> tf.Tensor:
    """Tiles with a border of one pixel, zero outside: `(tiles, 6, 6, C)`."""
    _, size, _, channels = hidden.shape
    place = tf.gather(tf.constant(_places(size)), tile)
    first = (image * size**2)[:, tf.newaxis]
    pixel = tf.where(place < 0, -1, place + first)
    windows = tf.gather_nd(
        tf.reshape(hidden, (-1, channels)),
        pixel[..., tf.newaxis],
        bad_indices_policy="IGNORE",  # Gives zeros, which are the padding.
    )
    return tf.reshape(windows, (-1, WINDOW, WINDOW, channels))


@functools.cache
def _places(size: int) -> np.ndarray:
    """Pixels of each tile's window, row-major, -1 outside: int32 `(tiles, 36)`."""
    numbers = np.pad(np.arange(size**2, dtype="int32").reshape(size, size), 1)
    numbers[0], numbers[-1], numbers[:, 0], numbers[:, -1] = -1, -1, -1, -1
    windows = np.lib.stride_tricks.sliding_window_view(numbers, (WINDOW, WINDOW))
    return windows[:: tiles.SIDE, :: tiles.SIDE].reshape(-1, WINDOW**2)
