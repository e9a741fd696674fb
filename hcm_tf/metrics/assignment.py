"""The best one-to-one assignment (Kuhn 1955), exact, without SciPy.

SciPy's `linear_sum_assignment` is no requirement of ours, and tables here have a few
rows: a segmentation has up to a dozen true segments. So this is the shortest augmenting
path (Jonker and Volgenant 1987), one row after the other, each column a vector.
"""

import numpy as np


def best_assignment(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of a row and a column with the largest sum; each is in one pair at most.

    Args:
        values: float or integer `(rows, columns)`, finite.

    Returns:
        Rows, ascending, and their columns: int64 `(min(rows, columns),)` each.

    Raises:
        ValueError: not a table, or not finite.
    """
    values = np.asarray(values, "float64")
    if values.ndim != 2 or not np.isfinite(values).all():
        raise ValueError(
            "`values` must be a table of finite numbers. "
            f"Received: shape {values.shape}"
        )
    if values.shape[0] > values.shape[1]:
        columns, rows = best_assignment(values.T)
        order = np.argsort(rows)
        return rows[order], columns[order]
    columns = _cheapest(-values)
    return np.arange(len(values)), columns


def _cheapest(costs: np.ndarray) -> np.ndarray:
    """Each row's column, int64 `(rows,)`, of no more rows than columns."""
    rows, columns = costs.shape
    # Prices such that cost - of_row - of_column is 0 in pairs, and nowhere below.
    of_row, of_column = np.zeros(rows), np.zeros(columns)
    row_of = np.full(columns, -1)
    column_of = np.full(rows, -1)
    for first in range(rows):
        distance = np.full(columns, np.inf)
        before = np.full(columns, -1)  # The row from which a column is reached.
        done = np.zeros(columns, bool)
        row, reached = first, 0.0
        while True:
            through = reached + costs[row] - of_row[row] - of_column
            nearer = ~done & (through < distance)
            distance[nearer], before[nearer] = through[nearer], row
            column = int(np.argmin(np.where(done, np.inf, distance)))
            reached = distance[column]
            if row_of[column] < 0:
                break
            done[column] = True
            row = row_of[column]
        of_row[row_of[done]] += reached - distance[done]
        of_row[first] += reached
        of_column[done] -= reached - distance[done]
        while True:
            row = before[column]
            row_of[column] = row
            column, column_of[row] = column_of[row], column
            if row == first:
                break
    return column_of
