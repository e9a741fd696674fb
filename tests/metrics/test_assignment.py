"""The assignment against all permutations."""

import itertools

import numpy as np
import pytest

from hcm_tf.metrics.assignment import best_assignment


def best_sum(values):
    values = values if values.shape[0] <= values.shape[1] else values.T
    rows = range(values.shape[0])
    return max(
        sum(values[row, column] for row, column in zip(rows, columns, strict=True))
        for columns in itertools.permutations(range(values.shape[1]), len(rows))
    )


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (3, 3), (5, 5), (3, 6), (6, 4)])
@pytest.mark.parametrize("kind", ["uniform", "ties", "negative"])
def test_no_permutation_is_better(shape, kind):
    random = np.random.default_rng(shape)
    for _ in range(20):
        values = {
            "uniform": random.uniform(size=shape),
            "ties": random.integers(0, 3, shape).astype(float),
            "negative": random.normal(size=shape),
        }[kind]
        rows, columns = best_assignment(values)
        assert len(rows) == len(columns) == min(shape)
        assert len(set(columns.tolist())) == len(columns)
        assert rows.tolist() == sorted(set(rows.tolist()))
        assert values[rows, columns].sum() == pytest.approx(
            best_sum(values), rel=1e-12, abs=1e-12
        )


def test_a_greedy_choice_would_be_worse():
    rows, columns = best_assignment(np.array([[10, 9], [9, 1]]))
    assert rows.tolist() == [0, 1]
    assert columns.tolist() == [1, 0]


def test_a_hidden_permutation_is_found_in_a_large_table():
    random = np.random.default_rng(0)
    order = random.permutation(60)
    values = random.uniform(size=(60, 60))
    values[np.arange(60), order] += 1
    np.testing.assert_array_equal(best_assignment(values)[1], order)


def test_nothing_is_assigned_to_nothing():
    for shape in ((0, 4), (4, 0)):
        rows, columns = best_assignment(np.zeros(shape))
        assert len(rows) == len(columns) == 0


@pytest.mark.parametrize("values", [np.zeros(3), np.full((2, 2), np.nan)])
def test_what_is_no_table_of_numbers_is_refused(values):
    with pytest.raises(ValueError, match="table of finite"):
        best_assignment(values)
