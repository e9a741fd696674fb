"""How well a segmentation finds the objects of a scene.

All take label maps, integers of any shape; 0 in the truth is the background. Names of
found segments mean nothing. NaN says that a score has no object to be of.

Adjusted Rand index: Hubert and Arabie 1985; over the pixels of objects alone as in
google-deepmind/multi_object_datasets. Segmentation covering: Arbelaez et al. 2011; its
mean over objects as in GENESIS (Engelcke et al. 2020). Matched intersection over union
as in ClevrTex (Karazija et al. 2021). Best intersection over union as in Learning to
Manipulate Individual Objects (Yang et al. 2020).
"""

import numpy as np

from hcm_tf.metrics.assignment import best_assignment
from hcm_tf.metrics.clustering import adjusted_rand_index, contingency
from hcm_tf.metrics.overlap import intersection_over_union

# In the published code of best IoU: segments of so few pixels do not count, and a soft
# mask holds what is above this.
LEAST_PIXELS = 4
SOFT_THRESHOLD = 0.04
# What makes an object one that can be judged, in pixels, and split, in parts of it.
LEAST_OBJECT = 20
LEAST_SPLIT = 0.25


def foreground_rand_index(truth: np.ndarray, found: np.ndarray) -> float:
    """Adjusted Rand index (ARI-FG) over the pixels that truly belong to an object.

    1 for the same partition, also if both are one segment; 0 on average by chance; it
    may be negative. It ignores what is found on the background, and where the borders
    to it are: a cut of the whole image into tiles scores well. Print the covering with
    it.

    Args:
        truth: integers of any shape, 0 for the background.
        found: integers of the same shape.

    Returns:
        At most 1; NaN without an object.

    Raises:
        ValueError: the maps are not integers of one shape.
    """
    truth, found = _checked(truth, found)
    inside = truth != 0
    if not inside.any():
        return float("nan")
    return adjusted_rand_index(truth[inside], found[inside])


def segmentation_covering(
    truth: np.ndarray, found: np.ndarray, *, background: bool = False
) -> float:
    """Mean over true segments of the best overlap with a found one (MSC).

    Overlap is intersection over union in the whole image. Every object counts the same,
    whatever its size; a found segment may be the best of several.

    Args:
        truth: integers of any shape, 0 for the background.
        found: integers of the same shape.
        background: whether that is one of the segments to be found (MSC), or objects
            alone are (MSC-FG).

    Returns:
        From 0 to 1; NaN without a segment to be found.

    Raises:
        ValueError: the maps are not integers of one shape.
    """
    overlaps = _overlaps(truth, found, background)
    return _mean(overlaps.max(axis=1, initial=0))


def matched_overlap(
    truth: np.ndarray, found: np.ndarray, *, background: bool = True
) -> float:
    """Mean over true segments of the overlap with their own found one (mIoU).

    As `segmentation_covering`, but no found segment serves two: they are matched so
    that the sum is the largest. A true segment without a partner counts 0.

    Args:
        truth: integers of any shape, 0 for the background.
        found: integers of the same shape.
        background: whether that is one of the segments to be found.

    Returns:
        From 0 to 1; NaN without a segment to be found.

    Raises:
        ValueError: the maps are not integers of one shape.
    """
    overlaps = _overlaps(truth, found, background)
    matched = np.zeros(len(overlaps))
    rows, columns = best_assignment(overlaps)
    matched[rows] = overlaps[rows, columns]
    return _mean(matched)


def best_overlap(
    truth: np.ndarray,
    masks: np.ndarray,
    *,
    threshold: float = SOFT_THRESHOLD,
    least: int = LEAST_PIXELS,
) -> float:
    """Mean over true segments of the best overlap with a soft mask (best IoU).

    Soft masks may overlap each other: each holds the pixels above the threshold. The
    background is one of the true segments.

    Args:
        truth: integers `(height, width)`, 0 for the background.
        masks: float `(segments, height, width)`, in [0, 1].
        threshold: a mask's pixels are those with larger values.
        least: true segments of so few pixels, or fewer, do not count.

    Returns:
        From 0 to 1; NaN if no true segment counts.

    Raises:
        ValueError: the truth is not integers, or the masks are of another shape.
    """
    truth, masks = np.asarray(truth), np.asarray(masks)
    if not np.issubdtype(truth.dtype, np.integer) or masks.shape[1:] != truth.shape:
        raise ValueError(
            "`truth` must be integers, and `masks` of its shape, several. Received: "
            f"{truth.dtype} {truth.shape} and {masks.shape}"
        )
    names, areas = np.unique(truth, return_counts=True)
    names = names[areas > least]
    true = truth.ravel() == names[:, np.newaxis]
    regions = masks.reshape(len(masks), -1) > threshold
    return _mean(intersection_over_union(true, regions).max(axis=1, initial=0))


def faults(truth: np.ndarray, found: np.ndarray) -> dict[str, int]:
    """What is wrong with a scene's objects: how many are split, merged or missed.

    An object is missed if more than half of it is found to be background. Of the others
    one is split if more than a quarter of its found pixels are outside of its largest
    segment, and merged if that is the largest of another object too. It can be both.

    Args:
        truth: integers of any shape, 0 for the background.
        found: integers of the same shape, 0 or more, and 0 for the background.

    Returns:
        `objects`, of which at least LEAST_OBJECT pixels are seen, and of them `split`,
        `merged` and `missed`.

    Raises:
        ValueError: arrays of other types or shapes.
    """
    truth, found = _checked(truth, found)
    numbers, sizes = np.unique(truth[truth != 0], return_counts=True)
    large = numbers[sizes >= LEAST_OBJECT]
    largest, split = [], 0
    for number in large:
        own = np.bincount(found[truth == number])
        own, behind = own[1:], own[0]
        if behind > own.sum():
            continue
        largest.append(int(np.argmax(own)))
        split += bool(own.sum() - own.max() > LEAST_SPLIT * own.sum())
    return {
        "objects": len(large),
        "split": split,
        "merged": sum(largest.count(one) > 1 for one in largest),
        "missed": len(large) - len(largest),
    }


def _checked(truth: np.ndarray, found: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    truth, found = np.asarray(truth), np.asarray(found)
    integers = all(np.issubdtype(one.dtype, np.integer) for one in (truth, found))
    if not integers or truth.shape != found.shape or not truth.size:
        raise ValueError(
            "`truth` and `found` must be integers of one shape. Received: "
            f"{truth.dtype} {truth.shape} and {found.dtype} {found.shape}"
        )
    return truth.ravel(), found.ravel()


def _overlaps(truth: np.ndarray, found: np.ndarray, background: bool) -> np.ndarray:
    """Intersection over union: float64 `(true segments, found segments)`."""
    truth, found = _checked(truth, found)
    table, names = contingency(truth, found), np.unique(truth)
    either = table.sum(axis=1)[:, np.newaxis] + table.sum(axis=0) - table
    overlaps = table / either
    return overlaps if background else overlaps[names != 0]


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")
