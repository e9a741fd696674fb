"""Nearest neighbours and distances among features, some rows at a time."""

from collections.abc import Iterator

import numpy as np

# Values of a block of distances: 32 MB in float64, whatever the number of features.
BLOCK = 2**22
# Features are widened and centred by so many values at a time.
GATHERED = 2**24


def distance_blocks(
    rows: np.ndarray, columns: np.ndarray
) -> Iterator[tuple[slice, np.ndarray]]:
    """Euclidean distances, exact to the rounding of float64, by blocks of rows.

    Yields:
        The rows of the block, and float64 `(rows of the block, len(columns))`.
    """
    # Distances do not change, but the products stay small: fewer digits cancel.
    centre = columns.mean(axis=0, dtype="float64")
    columns = columns - centre
    lengths = np.einsum("ij,ij->i", columns, columns)
    step = max(1, BLOCK // len(columns))
    for start in range(0, len(rows), step):
        part = rows[start : start + step] - centre
        squares = part @ columns.T
        squares *= -2
        squares += np.einsum("ij,ij->i", part, part)[:, None]
        squares += lengths
        np.maximum(squares, 0, out=squares)
        yield slice(start, start + len(part)), np.sqrt(squares, out=squares)


def radii(points: np.ndarray, *ranks: int) -> list[np.ndarray]:
    """Distance of each point to its k-th nearest other point, for each rank k.

    Args:
        points: float `(n, size)`.
        ranks: from 1 to n - 1.

    Returns:
        float64 `(n,)` for each rank.
    """
    if not (ranks and min(ranks) >= 1 and max(ranks) < len(points)):
        raise ValueError(
            f"A rank must be from 1 to {len(points) - 1} (the points less one). "
            f"Received: {ranks}"
        )
    found = np.empty((len(ranks), len(points)))
    for block, distances in distance_blocks(points, points):
        rows = np.arange(block.start, block.stop)
        distances[rows - block.start, rows] = np.inf
        places = [rank - 1 for rank in ranks]
        found[:, block] = np.partition(distances, places, axis=1)[:, places].T
    return list(found)


def nearest(
    queries: np.ndarray, points: np.ndarray, count: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """The nearest points of each query, ascending.

    Candidates are found by products in float32, a few more than asked for; their
    distances are then computed as they are defined, in float64, so that a copy has
    distance 0 and neighbours closer than float32 resolves are in order.

    Args:
        queries: any real type, `(n, size)`.
        points: any real type, `(m, size)`; widened block by block, so that uint8
            pixels of a whole data set do.
        count: from 1 to m.

    Returns:
        (float64 distances `(n, count)`, int64 indices of points `(n, count)`).
    """
    if not 1 <= count <= len(points):
        raise ValueError(
            f"`count` must be from 1 to {len(points)} (points). Received: {count}"
        )
    if queries.shape[1] != points.shape[1]:
        raise ValueError(
            "`queries` and `points` must be of one size. "
            f"Received: {queries.shape[1]} and {points.shape[1]}"
        )
    candidates = _candidates(queries, points, min(count + 8, len(points)))
    distances = np.empty(candidates.shape)
    step = max(1, GATHERED // (candidates.shape[1] * points.shape[1]))
    for start in range(0, len(queries), step):
        part = slice(start, start + step)
        gaps = points[candidates[part]].astype("float64")
        gaps -= queries[part, None]
        distances[part] = np.sqrt(np.einsum("nkd,nkd->nk", gaps, gaps))
    # Equal distances: the smaller index first, on every machine.
    order = np.lexsort((candidates, distances), axis=1)[:, :count]
    return (
        np.take_along_axis(distances, order, axis=1),
        np.take_along_axis(candidates, order, axis=1),
    )


def _candidates(queries: np.ndarray, points: np.ndarray, count: int) -> np.ndarray:
    """Indices of the `count` nearest points to float32, in no order."""
    size = points.shape[1]
    # Centred before they are narrowed: what all points share takes no digits.
    centre = points.mean(axis=0, dtype="float64")
    rows = max(1, min(1024, GATHERED // size))
    columns = max(1, min(4096, GATHERED // size))
    best = np.full((len(queries), count), np.inf, "float32")
    found = np.zeros((len(queries), count), "int64")
    for first in range(0, len(points), columns):
        block = (points[first : first + columns] - centre).astype("float32")
        lengths = np.einsum("ij,ij->i", block, block)
        for start in range(0, len(queries), rows):
            part = slice(start, min(start + rows, len(queries)))
            near = (queries[part] - centre).astype("float32")
            # The query's own length is the same for all points.
            scores = lengths - 2 * (near @ block.T)
            both = np.concatenate([best[part], scores], axis=1)
            keep = np.argpartition(both, count - 1, axis=1)[:, :count]
            numbers = np.broadcast_to(
                np.arange(first, first + len(block)), scores.shape
            )
            known = np.concatenate([found[part], numbers], axis=1)
            best[part] = np.take_along_axis(both, keep, axis=1)
            found[part] = np.take_along_axis(known, keep, axis=1)
    return found
