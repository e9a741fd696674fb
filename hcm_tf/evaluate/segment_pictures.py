"""Pictures of segmentations: each found segment in the colour of what it matches."""

import colorsys
from collections.abc import Sequence

import numpy as np

from hcm_tf.data.scene import Scene
from hcm_tf.explain.grouping import enlarged
from hcm_tf.images import grid
from hcm_tf.metrics.assignment import best_assignment
from hcm_tf.metrics.clustering import contingency

# Of the background and of the objects, from back to front.
PALETTE = np.array(
    [
        *((0, 0, 0), (230, 60, 60), (60, 180, 75)),
        *((60, 90, 230), (250, 220, 50), (200, 60, 220)),
    ],
    np.uint8,
)
# Of segments that match nothing, paler. Hues a golden section apart stay apart.
OTHERS = np.array(
    [
        [255 * level for level in colorsys.hsv_to_rgb(0.618 * number % 1, 0.35, 0.75)]
        for number in range(16)
    ]
).astype(np.uint8)
GAP = 2


def coloured(truth: np.ndarray, found: np.ndarray) -> np.ndarray:
    """A label map in colours: those of the truth where segments match it best.

    A found segment matches one true segment at most, so that the most pixels agree.

    Args:
        truth: integers `(height, width)` below 6, 0 for the background.
        found: integers of the same shape.

    Returns:
        uint8 `(height, width, 3)`.
    """
    names, numbers = np.unique(found, return_inverse=True)
    colours = OTHERS[np.arange(len(names)) % len(OTHERS)]
    rows, columns = best_assignment(contingency(truth.ravel(), found.ravel()))
    colours[columns] = PALETTE[np.unique(truth)[rows]]
    return colours[numbers.reshape(found.shape)]


def sheet(rows: Sequence[Sequence[np.ndarray]]) -> np.ndarray:
    """Pictures of one size in rows: uint8 `(height, width, 3)`.

    Args:
        rows: equally long; pictures are uint8 `(size, size, 1 or 3)`.
    """
    pictures = [
        np.broadcast_to(one, (*one.shape[:2], 3)) for row in rows for one in row
    ]
    return grid(np.stack(pictures), len(rows[0]), gap=GAP)


def best_median_worst(values: np.ndarray, most: int = 3) -> np.ndarray:
    """Positions of the largest, of the middle and of the smallest values.

    Args:
        values: float `(n,)`; NaN is left out, unless all are.
        most: of each kind; fewer where there are few values.

    Returns:
        int64, the largest first.
    """
    order = np.argsort(-values, kind="stable")
    order = order[: np.count_nonzero(~np.isnan(values)) or len(order)]
    each = max(1, min(most, len(order) // 3))
    middle = (len(order) - each) // 2
    return np.concatenate([order[:each], order[middle : middle + each], order[-each:]])


def comparison(
    scenes: Sequence[Scene],
    images: np.ndarray,
    maps: Sequence[np.ndarray],
    values: np.ndarray,
) -> np.ndarray:
    """The best, the median and the worst scenes by their values, a row each.

    Input, reconstruction, truth, and the segments of every grouping.

    Args:
        scenes: what is true.
        images: what was drawn, uint8 `(n, size, size, channels)`.
        maps: of each grouping the label maps, integers `(n, 64, 64)`.
        values: float `(n,)`.

    Returns:
        uint8 `(height, width, 3)`.
    """
    rows = []
    for number in best_median_worst(values):
        truth = scenes[number].labels
        drawn = np.moveaxis(images[number], -1, 0)
        drawn = np.moveaxis(enlarged(drawn, len(truth)), 0, -1)
        found = [truth, *(one[number] for one in maps)]
        rows.append(
            [scenes[number].image, drawn, *(coloured(truth, one) for one in found)]
        )
    return sheet(rows)
