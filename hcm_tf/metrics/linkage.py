"""Average linkage: the two nearest groups become one, again and again (UPGMA).

The distance of two groups is the mean over all pairs of their members (Sokal and
Michener 1958). Found by chains of nearest neighbours (Benzecri 1982; Murtagh 1983), in
a time that grows with the square of the number of points: SciPy's and fastcluster's
`average`, of which neither is a requirement of ours.
"""

from typing import NamedTuple

import numpy as np


class Merges(NamedTuple):
    """Which groups became one, in no particular order.

    Attributes:
        first, second: a member of each of the two groups, int64 `(points - 1,)`.
        height: their distance, float64; never below that of a merge inside of them.
    """

    first: np.ndarray
    second: np.ndarray
    height: np.ndarray


def distances(points: np.ndarray) -> np.ndarray:
    """Euclidean distances between all pairs: float64 `(n, n)`; equal points have 0.

    Args:
        points: `(n, d)`.
    """
    points = np.asarray(points, "float64")
    squares = np.sum(np.square(points), axis=1)
    found = squares[:, np.newaxis] + squares - 2 * (points @ points.T)
    # What rounding leaves of equal points would decide which of them are one group.
    found[found <= 1e-12 * np.max(squares, initial=0.0)] = 0.0
    return np.sqrt(found)


def average_linkage(between: np.ndarray) -> Merges:
    """All merges of n points into one group.

    Args:
        between: distances, float `(n, n)`, symmetric and finite.

    Raises:
        ValueError: not such a table, or empty.
    """
    between = _checked(between)
    count = len(between)
    size, below = np.ones(count), np.zeros(count)
    first, second = np.empty((2, count - 1), np.int64)
    height = np.empty(count - 1)
    gone = np.zeros(count, bool)
    chain: list[int] = []
    for merge in range(count - 1):
        if not chain:
            chain.append(int(np.argmin(gone)))
        while True:
            row = between[chain[-1]]
            nearest = int(np.argmin(row))
            # Of equally near ones the one before, or the chain might run in a circle.
            if len(chain) > 1 and row[chain[-2]] == row[nearest]:
                break
            chain.append(nearest)
        one, other = chain.pop(), chain.pop()
        # By rounding a mean can be below what it is the mean of.
        below[other] = max(between[one, other], below[one], below[other])
        first[merge], second[merge], height[merge] = one, other, below[other]
        mean = size[one] * between[one] + size[other] * between[other]
        mean /= size[one] + size[other]
        between[other], between[:, other] = mean, mean
        between[one], between[:, one] = np.inf, np.inf
        between[other, other] = np.inf
        size[other] += size[one]
        gone[one] = True
    return Merges(first, second, height)


def cut(merges: Merges, groups: int) -> np.ndarray:
    """The groups at the height at which there are no more than some.

    Merges of one height are made together, or the order of the points would choose
    among them: so there may be fewer.

    Args:
        merges: of n points.
        groups: at most, 1 or more.

    Returns:
        int64 `(n,)`, from 0 in the order of the first members.

    Raises:
        ValueError: `groups` is below 1.
    """
    if groups < 1:
        raise ValueError(f"`groups` must be at least 1. Received: {groups}")
    count = len(merges.height) + 1
    owner = np.arange(count)
    if groups < count:
        made = merges.height <= np.sort(merges.height)[count - groups - 1]
        for one, other in zip(merges.first[made], merges.second[made], strict=True):
            owner[owner == owner[one]] = owner[other]
    return _named(owner)


def merge_adjacent(
    between: np.ndarray, adjacent: np.ndarray, groups: int
) -> np.ndarray:
    """Average linkage in which only adjacent groups become one.

    A group is adjacent to what one of its members is. Where no two are adjacent, there
    remain more. For a few dozen things: every merge looks at all pairs.

    Args:
        between: distances, float `(n, n)`, symmetric and finite.
        adjacent: bool `(n, n)`, symmetric.
        groups: to stop at, 1 or more.

    Returns:
        int64 `(n,)`, from 0 in the order of the first members.

    Raises:
        ValueError: `between` is no such table, `adjacent` is of another shape, or
            `groups` is below 1.
    """
    between, owner = _checked(between), np.arange(len(between))
    neighbours = np.array(adjacent, bool)
    if neighbours.shape != between.shape or groups < 1:
        raise ValueError(
            f"`adjacent` must be {between.shape} and `groups` at least 1. Received: "
            f"{neighbours.shape} and {groups}"
        )
    np.fill_diagonal(neighbours, False)
    for _ in range(len(owner) - groups):
        near = np.where(neighbours, between, np.inf)
        one, other = sorted(np.unravel_index(np.argmin(near), near.shape))
        if not np.isfinite(near[one, other]):
            break
        sizes = np.sum(owner == one), np.sum(owner == other)
        mean = (sizes[0] * between[one] + sizes[1] * between[other]) / sum(sizes)
        between[one], between[:, one] = mean, mean
        either = neighbours[one] | neighbours[other]
        neighbours[one], neighbours[:, one] = either, either
        neighbours[other], neighbours[:, other] = False, False
        neighbours[one, one] = False
        owner[owner == other] = one
    return _named(owner)


def _checked(between: np.ndarray) -> np.ndarray:
    """A copy, with infinite distances from each point to itself."""
    between = np.array(between, "float64")
    square = between.ndim == 2 and len(between) == between.shape[1] > 0
    if not square or not np.isfinite(between).all() or (between != between.T).any():
        raise ValueError(
            "`between` must be a symmetric table of finite numbers. Received: shape "
            f"{between.shape}"
        )
    np.fill_diagonal(between, np.inf)
    return between


def _named(owner: np.ndarray) -> np.ndarray:
    """Groups by number, in the order of their first members."""
    _, first, which = np.unique(owner, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[which]
