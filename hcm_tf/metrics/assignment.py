"""The best one-to-one assignment: which row takes which column."""

import numpy as np


def best_assignment(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of rows and columns with the largest sum of scores, each used once.

    The Hungarian method by shortest augmenting paths (Kuhn 1955; Jonker and Volgenant
    1987): rows are added one after the other; potentials of rows and columns keep all
    reduced costs at least 0, so that the cheapest way to make room for a new row is
    found as Dijkstra finds a path.

    Args:
        scores: `(rows, columns)`, finite; the longer side keeps some unpaired.

    Returns:
        Rows, ascending, and the column of each: int64 `(min(rows, columns),)`.

    Raises:
        ValueError: not two axes, or not finite.
    """
    scores = np.asarray(scores, "float64")
    if scores.ndim != 2 or not np.isfinite(scores).all():
        raise ValueError(
            f"`scores` must be finite, (rows, columns). Received: {scores.shape}"
        )
    if scores.shape[0] > scores.shape[1]:
        columns, rows = best_assignment(scores.T)
        order = np.argsort(rows)
        return rows[order], columns[order]
    row_of = _assign(-scores)
    columns = np.flatnonzero(row_of >= 0)
    order = np.argsort(row_of[columns])
    return row_of[columns][order], columns[order]


def _assign(costs: np.ndarray) -> np.ndarray:
    """The row that each column takes, or -1; at most as many rows as columns."""
    rows, columns = costs.shape
    of_rows, of_columns = np.zeros(rows), np.zeros(columns)  # The potentials.
    row_of = np.full(columns, -1)
    for new in range(rows):
        distance = np.full(columns, np.inf)
        before = np.full(columns, -1)  # The column from which a column was reached.
        done = np.zeros(columns, bool)
        row, column, length = new, -1, 0.0
        while row >= 0:
            reached = length + costs[row] - of_rows[row] - of_columns
            shorter = ~done & (reached < distance)
            distance[shorter], before[shorter] = reached[shorter], column
            column = int(np.argmin(np.where(done, np.inf, distance)))
            length, done[column], row = distance[column], True, row_of[column]
        passed = done & (row_of >= 0)
        of_rows[row_of[passed]] += length - distance[passed]
        of_rows[new] += length
        of_columns[done] -= length - distance[done]
        while column >= 0:
            earlier = before[column]
            row_of[column] = row_of[earlier] if earlier >= 0 else new
            column = earlier
    return row_of
