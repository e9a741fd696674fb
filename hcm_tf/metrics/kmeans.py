"""K-means: points in groups around centres (Lloyd 1982), begun by k-means++.

Sources: Lloyd, "Least squares quantization in PCM", 1982; Arthur and Vassilvitskii,
"k-means++: The Advantages of Careful Seeding", 2007.
"""

from typing import NamedTuple

import numpy as np

from hcm_tf.metrics.checks import check_features

ROUNDS = 100


class Clusters(NamedTuple):
    """Groups of points.

    Attributes:
        labels: int64 `(n,)`, each point's cluster; of clusters beyond the number of
            different points no point has the label.
        centres: float64 `(clusters, d)`.
        cost: sum of the squared distances of the points to their centres.
    """

    labels: np.ndarray
    centres: np.ndarray
    cost: float


def kmeans(
    points: np.ndarray, clusters: int, seed: int = 0, restarts: int = 1
) -> Clusters:
    """The best of some runs of `lloyd`, each from centres of its own.

    The r-th run depends on (seed, r) alone, so that more restarts never cost more.

    Args:
        points: float or integer `(n, d)`, finite.
        clusters: how many centres, at least 1; there may be fewer points.
        seed: key of the first centres, 0 or more.
        restarts: runs, at least 1.

    Raises:
        ValueError: an argument is out of range, or points are not finite.
    """
    points = check_features("points", points).astype("float64")
    if clusters < 1 or restarts < 1:
        raise ValueError(
            "`clusters` and `restarts` must be at least 1. "
            f"Received: {clusters} and {restarts}"
        )
    runs = (
        lloyd(points, first_centres(points, clusters, np.random.default_rng((seed, r))))
        for r in range(restarts)
    )
    return min(runs, key=lambda found: found.cost)


def first_centres(
    points: np.ndarray, clusters: int, random: np.random.Generator
) -> np.ndarray:
    """Centres by k-means++: float64 `(clusters, d)`.

    The first is any point; each other is a point with a probability in proportion to
    its squared distance to the nearest before it. Where all points are centres already,
    the last is repeated.

    Args:
        points: float64 `(n, d)`.
        clusters: how many.
        random: where the choice comes from.
    """
    chosen = [points[random.integers(len(points))]]
    nearest = _distances_to(points, chosen[0])
    while len(chosen) < clusters:
        total = np.cumsum(nearest)
        if total[-1] == 0:
            chosen.append(chosen[-1])
            continue
        # Above 0 and on the right side, so that a point of distance 0 is never chosen.
        place = total[-1] * (1 - random.random())
        index = min(int(np.searchsorted(total, place)), len(points) - 1)
        chosen.append(points[index])
        nearest = np.minimum(nearest, _distances_to(points, chosen[-1]))
    return np.stack(chosen)


def lloyd(points: np.ndarray, centres: np.ndarray) -> Clusters:
    """Points to their nearest centre, centres to the mean of their points.

    Until no point changes, or `ROUNDS` times. The first of equally near centres has a
    point. A centre without points goes to the point that is farthest from all centres,
    unless all points are centres.

    Args:
        points: float64 `(n, d)`.
        centres: float64 `(clusters, d)`, to begin with.
    """
    centres = np.array(centres, "float64")
    labels = nearest(points, centres)
    for _ in range(ROUNDS):
        before = labels
        counts = np.bincount(labels, minlength=len(centres))
        members = labels == np.arange(len(centres))[:, np.newaxis]
        sums = members.astype(points.dtype) @ points
        centres[counts > 0] = sums[counts > 0] / counts[counts > 0, np.newaxis]
        _revive(points, centres, labels, np.flatnonzero(counts == 0))
        labels = nearest(points, centres)
        if np.array_equal(labels, before):
            break
    cost = float(np.sum(np.square(points - centres[labels])))
    return Clusters(labels.astype("int64"), centres, cost)


def _revive(
    points: np.ndarray, centres: np.ndarray, labels: np.ndarray, empty: np.ndarray
) -> None:
    """Moves centres without points, one after the other, in place."""
    if not len(empty):
        return
    distances = np.sum(np.square(points - centres[labels]), axis=1)
    for index in empty:
        farthest = int(np.argmax(distances))
        if distances[farthest] == 0:
            return
        centres[index] = points[farthest]
        distances = np.minimum(distances, _distances_to(points, centres[index]))


def nearest(points: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """The nearest centre of each point, the first of equally near: int64 `(n,)`.

    Args:
        points: `(n, d)`.
        centres: `(clusters, d)`.
    """
    # Without the squares of the points, which are the same for all centres.
    scores = np.square(centres).sum(axis=1) - 2 * (points @ centres.T)
    return np.argmin(scores, axis=1)


def _distances_to(points: np.ndarray, centre: np.ndarray) -> np.ndarray:
    return np.sum(np.square(points - centre), axis=1)
