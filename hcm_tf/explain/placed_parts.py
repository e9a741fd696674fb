"""Parts that are placed freely as segments: what each covers and shows of an image.

They are read off the placing alone (`operations.placing`), and off no picture: a part
that draws much and is not opaque covers nothing. Opacities begin at 0, so that before
any training all of an image is background. What the location of a part draws, where it
was placed, is the grouping by location (`grouping.by_location`).
"""

import math
from collections.abc import Sequence

import numpy as np

from hcm_tf.operations import placing
from hcm_tf.operations.placing import Placing

LEAST_PRESENCE = 0.5
LEAST_MASS = 0.01  # Of the image.


def present(placed: Placing) -> np.ndarray:
    """Which parts are there: bool `(locations,)`.

    Those whose presence is above LEAST_PRESENCE, and whose mass, the mean over pixels
    of what the part covers and shows, is above LEAST_MASS.

    Args:
        placed: of one image, such as `Recording.placing`.
    """
    return _present(placed, _masks(placed))


def masks(placed: Placing, size: int) -> np.ndarray:
    """The background, and what each part covers and shows of the image.

    A V of the parts that are `present`, 0 of the others, enlarged between pixels of the
    8x8 map: a part's hat lies between them too, and the nearest pixel would make
    squares an eighth of the image large of it. The background is what these leave, so
    that the masks of a pixel sum to 1.

    Args:
        placed: of one image.
        size: of the image.

    Returns:
        float64 `(1 + locations, size, size)`, in [0, 1]; the background is the first.
    """
    found = _masks(placed)
    found *= _present(placed, found)[:, np.newaxis, np.newaxis]
    rows = _between(found.shape[1], size)
    parts = rows @ found @ rows.T
    rest = np.maximum(1 - parts.sum(axis=0, keepdims=True), 0)  # Rounding.
    return np.concatenate([rest, parts])


def labels(placed: Placing, size: int) -> np.ndarray:
    """Segments: the part that shows most of a pixel, if more than the background.

    The largest of `masks`; of equals the first, so that the background has a pixel of
    which no part shows more than what all parts that are present leave.

    Args:
        placed: of one image.
        size: of the image.

    Returns:
        int64 `(size, size)`: 0 for the background, 1 + l for the part of location l.
    """
    return np.argmax(masks(placed, size), axis=0)


def indices(placed: Placing, cells: Sequence[tuple[int, int]]) -> list[int]:
    """The numbers of locations, of their rows and columns in the 4x4 grid."""
    side = math.isqrt(placed.scale.shape[1])
    return [row * side + column for row, column in cells]


def displaced(
    placed: Placing, cells: Sequence[tuple[int, int]], rows: float, columns: float
) -> Placing:
    """With the parts of some locations elsewhere.

    Args:
        placed: of one image.
        cells: row and column of each location in the 4x4 grid.
        rows: cells of the 8x8 map, down; fractions are read between pixels.
        columns: to the right.
    """
    position = np.array(placed.position)
    position[0, indices(placed, cells)] += rows, columns
    return placed._replace(position=position)


def absent(placed: Placing, cells: Sequence[tuple[int, int]]) -> Placing:
    """Without the parts of some locations; arguments as of `displaced`."""
    presence = np.array(placed.presence)
    presence[0, indices(placed, cells)] = 0
    return placed._replace(presence=presence)


def exchanged(
    placed: Placing, donor: Placing, cells: Sequence[tuple[int, int]]
) -> Placing:
    """With the places of some locations' parts those of another image's.

    Args:
        placed, cells: as of `displaced`.
        donor: of the other image.
    """
    chosen = indices(placed, cells)
    fields = []
    for own, other in zip(placed, donor, strict=True):
        field = np.array(own)
        field[0, chosen] = np.asarray(other)[0, chosen]
        fields.append(field)
    return Placing(*fields)


def _present(placed: Placing, found: np.ndarray) -> np.ndarray:
    presence = np.asarray(placed.presence, "float64")[0]
    return (presence > LEAST_PRESENCE) & (found.mean(axis=(1, 2)) > LEAST_MASS)


def _masks(placed: Placing) -> np.ndarray:
    """A V of the 8x8 map: float64 `(locations, 8, 8)`."""
    found = np.asarray(placing.masks(placed), "float64")[0]
    side = math.isqrt(len(found))
    return found.T.reshape(-1, side, side)


def _between(side: int, size: int) -> np.ndarray:
    """What each of `side` pixels adds to each of `size`: rows sum to 1.

    Bilinear between pixels' centres, and constant beyond the outermost.
    """
    places = (np.arange(size) + 0.5) * side / size - 0.5
    away = places.clip(0, side - 1)[:, np.newaxis] - np.arange(side)
    return np.maximum(1 - np.abs(away), 0)
