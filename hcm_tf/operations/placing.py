"""Placed parts: each location's position, scale, presence and depth, as one matrix.

On the grid a pixel of the 8x8 map is a sum of responses to taps, of which a constant
matrix of zeros and ones says which (`placement`). Placed freely, the matrix is the
picture's own. Location l = (r, c) has a patch of 4 x 4 pixels around the middle of its
cell, m = 2r + 1/2, 2c + 1/2. With a patch that is moved by t, scaled by s and stretched
by k, pixel i of the map is at

    u = (I - K) (i - m - t) / (s sqrt(1 - |k|^2)),    K = [[k_1, k_2], [k_2, -k_1]],

of the patch, which is read between its pixels there, in rows as in columns, by

    W_l[i, j] = max(0, 1 - |u + 3/2 - j|),            j = 0..3,

the bilinear kernel of spatial transformers (Jaderberg et al. 2015). I + K stretches
along one direction and shrinks across it, with axes as 1 + |k| to 1 - |k|, and the root
keeps the area: together they are the exponential of a symmetric matrix without trace,
and there is no angle that would be undefined at k = 0. F folds upsampling and the 3x3
kernel, F[j, tap] = 1 where j + tap is 2 or 3, and with the presence p

    S_l = p_l (W_y F * W_x F), a product for each pixel:    (64 pixels, 9 taps),
    A_l = clip(S_l alpha_l, 0, 1):               what the part covers of each pixel,
    V_l = prod over j != l of 1 - sigmoid((z_j - z_l) / tau) A_j:    what is left of it,

and the matrix is [V_1 S_1 ... V_16 S_16]. All numbers zero give the grid's constant
matrix: t = 0, k = 0, s = 1, p = 1, alpha = 0, V = 1.

Opacities are numbers of the location, as its place is, or weights that all parts
share, and no columns of a dictionary: so the matrix does not depend on the code, and
the picture of any part of a code, or of an edited one, is that matrix times its
responses.

At a whole number of cells the hat has a kink. `maximum` passes the gradient of 1 - |u|
on at 0, where ReLU would pass none: with ReLU no part would ever leave the grid. What
it gives there is the sum of both one-sided slopes, twice their mean.

A background that is no part may lie behind them all: attributes that draw on the grid,
of which a pixel of the map shows prod over l of 1 - A_l. Without it nothing can be
absent, for what nobody draws is mid-grey.
"""

import math
from typing import NamedTuple

import numpy as np
from keras import ops

from hcm_tf.sparsity import Tensor

TAPS = 9
NUMBERS = 5 + TAPS
STRETCHED = NUMBERS + 2
FARTHEST = 1.5  # In cells of the 8x8 map: 12 pixels of a picture of 64.
LARGEST = math.sqrt(2.0)
LARGEST_STRETCHED = 2.0
THINNEST = 0.4  # Of each of k: axes are as 7 to 3 along them, 3.6 to 1 between.
# The presence is sigmoid(2 + x) / sigmoid(2): 1 at 0. With 3 its gradient there would
# be less than half as large; a clipped ramp would have none above 1. Hard, it is 1
# where 2 + x is above 0.
PRESENCE_BIAS = 2.0
LEAST_CHANCE = 1e-6
# In front of a background parts begin opaque: half in the middle of their patch, which
# four taps draw. From 0 an opacity that falls once is never heard of again.
OPACITY_BIAS = 0.125
DEPTH_TEMPERATURE = 0.25  # As of the z-order of SPAIR (Crawford and Pineau 2019).
# Pixels beyond its own that a location's responses may get to if no part is stretched;
# i - m is between them.
MARGIN = math.ceil(FARTHEST + 2.5 * LARGEST - 0.5) - 1


class Placing(NamedTuple):
    """Where the parts of all locations are, and what they hide.

    Attributes:
        position: rows down and columns right of the location, in cells of the 8x8 map,
            `(batch, locations, 2)`, between -FARTHEST and FARTHEST (and jitter).
        scale: `(batch, locations)`, between 1 / LARGEST and LARGEST, or the same of
            LARGEST_STRETCHED.
        presence: `(batch, locations)`, above 0; 1 on the grid.
        depth: `(batch, locations)`; the larger is in front.
        opacity: of the taps, `(batch, locations, 9)`; 0 hides nothing.
        stretch: `(batch, locations, 2)`, each between -THINNEST and THINNEST: down, at
            the cost of across, and along the falling diagonal; below 0 the other way.
    """

    position: Tensor
    scale: Tensor
    presence: Tensor
    depth: Tensor
    opacity: Tensor
    stretch: Tensor


class PlacingStage(NamedTuple):
    """What placing must know of training.

    Attributes:
        jitter: added to positions, `(batch, locations, 2)`, in cells; None: nothing.
        learns: scalar, 1 where gradients reach the numbers and 0 where they do not;
            None: they do.
        chances: by which hard presences are drawn, uniform in [0, 1), `(batch,
            locations)`; None: they are not.
    """

    jitter: Tensor | None = None
    learns: Tensor | None = None
    chances: Tensor | None = None


def read(
    numbers: Tensor,
    stage: PlacingStage | None = None,
    *,
    hard: bool = False,
    background: bool = False,
) -> Placing:
    """The placing that the numbers of each location mean.

    Args:
        numbers: `(batch, height, width, NUMBERS)`, or STRETCHED where parts may be
            stretched, and have more sizes; all zero: the grid, but for opacities in
            front of a background.
        stage: of training; None when sampling.
        hard: a presence is 0 or 1.
        background: there is one, which parts hide from the start.
    """
    _, height, width, count = numbers.shape
    x = ops.reshape(numbers, (-1, height * width, count))
    if stage is not None and stage.learns is not None:
        fixed = ops.stop_gradient(x)
        x = fixed + ops.cast(stage.learns, x.dtype) * (x - fixed)
    position = FARTHEST * ops.tanh(x[..., :2])
    if stage is not None and stage.jitter is not None:
        position = position + ops.cast(stage.jitter, x.dtype)
    odds = PRESENCE_BIAS + x[..., 3]
    stretched = count == STRETCHED
    largest = math.log(LARGEST_STRETCHED if stretched else LARGEST)
    return Placing(
        position=position,
        scale=ops.exp(largest * ops.tanh(x[..., 2])),
        presence=_hard(odds, stage) if hard else _soft(odds),
        depth=x[..., 4],
        opacity=x[..., 5:NUMBERS] + (OPACITY_BIAS if background else 0.0),
        stretch=(
            THINNEST * ops.tanh(x[..., NUMBERS:])
            if stretched
            else ops.zeros_like(position)
        ),
    )


def _soft(odds: Tensor) -> Tensor:
    return ops.sigmoid(odds) * (1.0 + math.exp(-PRESENCE_BIAS))


def _hard(odds: Tensor, stage: PlacingStage | None) -> Tensor:
    """1 or 0: as is likelier; in training by chance.

    The binary concrete of Maddison et al. (2017), rounded: 1 by the chance
    sigmoid(odds), because the noise is logistic. Its gradient is that of the
    sigmoid that is rounded (straight through).
    """
    if stage is None:
        return ops.cast(odds > 0, odds.dtype)
    if stage.chances is not None:
        chances = ops.clip(stage.chances, LEAST_CHANCE, 1 - LEAST_CHANCE)
        noise = ops.cast(ops.log(chances) - ops.log(1 - chances), odds.dtype)
        if stage.learns is not None:
            noise = ops.cast(stage.learns, odds.dtype) * noise
        odds = odds + noise
    soft = ops.sigmoid(odds)
    hard = ops.cast(odds > 0, odds.dtype)
    return soft + ops.stop_gradient(hard - soft)


def sums(placing: Placing, *, background: bool = False) -> Tensor:
    """The matrix that adds up the taps: `(batch, pixels, 9 locations)`.

    Args:
        placing: of all parts.
        background: there is one; then the matrix has one more column: what all parts
            leave of it at each pixel.
    """
    alone = spread(placing)
    covered = cover(placing, alone)
    parts = shown(alone, visibility(placing, covered))
    if not background:
        return parts
    left = ops.prod(1 - covered, axis=-1, keepdims=True)
    return ops.concatenate([parts, left], axis=-1)


def background_sums(side: int) -> Tensor:
    """The matrix of `sums` where there is no part, in front of a background.

    Args:
        side: locations in a row.

    Returns:
        float32 `(1, pixels, 9 locations + 1)`.
    """
    pixels, taps = 4 * side**2, TAPS * side**2
    return ops.concatenate([ops.zeros((1, pixels, taps)), ops.ones((1, pixels, 1))], -1)


def masks(placing: Placing) -> Tensor:
    """A V: what each part covers and shows of each pixel, `(batch, pixels, locations)`.

    From 0 to 1, and no more than 1 over all locations together. For their sum is linear
    in each A alone, so largest where every A is 0 or 1; and there it is a probability:
    that of the parts with A = 1, of any two of which j beats l by the sigmoid of their
    depths, one beats all the others.
    """
    covered = cover(placing, spread(placing))
    return covered * visibility(placing, covered)


def shown(alone: Tensor, visible: Tensor) -> Tensor:
    """The matrix of parts, each alone, of which so much is visible.

    Args:
        alone: `(batch, pixels, locations, 9)`.
        visible: `(batch, pixels, locations)`.
    """
    pixels, locations = visible.shape[1:]
    seen = alone * ops.expand_dims(visible, -1)
    return ops.reshape(seen, (-1, pixels, TAPS * locations))


def spread(placing: Placing) -> Tensor:
    """S: what each tap adds to each pixel, `(batch, pixels, locations, 9)`."""
    patch, row, column = np.ogrid[:4, :3, :3]
    shape = (4, 3, 3)
    of_rows, of_columns = (
        np.broadcast_to((patch + tap) // 2 == 1, shape).reshape(4, TAPS)
        for tap in (row, column)
    )
    down, right = _from_middle(placing)
    taps = _read(down, of_rows) * _read(right, of_columns)
    return taps * ops.expand_dims(ops.expand_dims(placing.presence, 1), -1)


def cover(placing: Placing, alone: Tensor) -> Tensor:
    """A: how much of each pixel a part covers, `(batch, pixels, locations)`."""
    thick = ops.sum(alone * ops.expand_dims(placing.opacity, 1), axis=-1)
    return ops.clip(thick, 0.0, 1.0)


def visibility(placing: Placing, covered: Tensor) -> Tensor:
    """V: how much of a part the others leave to see, `(batch, pixels, locations)`.

    Args:
        placing: has the depths.
        covered: of `cover`.
    """
    depth = placing.depth
    nearer = ops.expand_dims(depth, 2) - ops.expand_dims(depth, 1)
    hides = ops.sigmoid(nearer / DEPTH_TEMPERATURE)
    hides = hides * ops.cast(1 - np.eye(depth.shape[1]), depth.dtype)
    covered = ops.transpose(covered, (0, 2, 1))
    # (batch, what hides, pixel, what is hidden); as a matrix product, whose gradient is
    # ten times as fast as the sums that the gradient of broadcasting needs.
    left = 1 - ops.matmul(ops.expand_dims(covered, -1), ops.expand_dims(hides, 2))
    # By halves: their gradient is products too, where that of `prod` needs running
    # products in both directions. There are 16 locations.
    while left.shape[1] > 1:
        first, second = ops.split(left, 2, axis=1)
        left = first * second
    return left[:, 0]


def _from_middle(placing: Placing) -> tuple[Tensor, Tensor]:
    """u: where each pixel is in each patch, down and right of its middle.

    Two of `(batch, pixels, locations)`.
    """
    dtype = placing.scale.dtype
    locations = placing.scale.shape[1]
    side = math.isqrt(locations)
    number, pixel = np.arange(locations), np.arange(4 * locations)[:, np.newaxis]
    homes = 2 * np.stack(np.divmod(number, side)) + 0.5
    away = np.stack(np.divmod(pixel, 2 * side)) - homes[:, np.newaxis]
    position, stretch = (
        ops.expand_dims(pair, 1) for pair in (placing.position, placing.stretch)
    )
    down = ops.cast(away[0], dtype) - position[..., 0]
    right = ops.cast(away[1], dtype) - position[..., 1]
    along, across = stretch[..., 0], stretch[..., 1]
    area = ops.sqrt(1 - along * along - across * across)
    size = ops.expand_dims(placing.scale, 1) * area
    return (
        ((1 - along) * down - across * right) / size,
        ((1 + along) * right - across * down) / size,
    )


def _read(place: Tensor, fold: np.ndarray) -> Tensor:
    """W F of one direction: `(batch, pixels, locations, 9)`.

    Args:
        place: `(batch, pixels, locations)`, from the middle of a patch.
        fold: which rows of a patch a tap adds to, `(4, 9)`.
    """
    rows = ops.cast(1.5 - np.arange(4), place.dtype)
    hats = ops.maximum(1 - ops.abs(ops.expand_dims(place, -1) + rows), 0)
    taps = ops.matmul(ops.reshape(hats, (-1, 4)), ops.cast(fold, place.dtype))
    return ops.reshape(taps, (-1, *place.shape[1:], TAPS))


def margin(matrix: np.ndarray) -> int:
    """Pixels beyond its own that a location's responses get to in recorded matrices.

    Args:
        matrix: of `sums`.
    """
    matrix = np.asarray(matrix)
    side = math.isqrt(matrix.shape[1]) // 2
    matrix = matrix[..., : TAPS * side**2]  # The background gets no further.
    shape = (-1, 2 * side, 2 * side, side, side, TAPS)
    reached = np.any(matrix.reshape(shape) != 0, axis=(0, 5))
    distance = np.abs(np.arange(2 * side)[:, np.newaxis] - (2 * np.arange(side) + 0.5))
    beyond = (distance - 0.5).astype(int)
    rows = np.where(reached, beyond[:, np.newaxis, :, np.newaxis], 0)
    columns = np.where(reached, beyond[np.newaxis, :, np.newaxis, :], 0)
    return int(max(rows.max(), columns.max()))
