"""The best one-to-one assignment, against all there are."""

import itertools

import numpy as np
import pytest

from hcm_tf.metrics.assignment import best_assignment


def best_by_hand(scores):
    """The largest sum over every assignment."""
    if scores.shape[0] > scores.shape[1]:
        scores = scores.T
    rows = range(len(scores))
    return max(
        sum(scores[row, column] for row, column in zip(rows, columns, strict=True))
        for columns in itertools.permutations(range(scores.shape[1]), len(scores))
    )


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (4, 4), (6, 6), (3, 6), (6, 3)])
@pytest.mark.parametrize("seed", range(8))
def test_no_assignment_is_better(shape, seed):
    random = np.random.default_rng((seed, *shape))
    for scores in (
        random.normal(size=shape),
        random.integers(-2, 3, shape),  # Many are equally good.
    ):
        rows, columns = best_assignment(scores)
        assert len(rows) == len(columns) == min(shape)
        assert len(set(rows)) == len(set(columns)) == min(shape)
        assert (np.diff(rows) > 0).all()
        assert scores[rows, columns].sum() == pytest.approx(
            best_by_hand(scores), abs=1e-12
        )


def test_a_greedy_choice_may_be_wrong():
    rows, columns = best_assignment([[9, 8], [8, 1]])
    assert list(zip(rows, columns, strict=True)) == [(0, 1), (1, 0)]


def test_a_large_one_undoes_a_permutation():
    order = np.random.default_rng(0).permutation(120)
    scores = np.random.default_rng(1).uniform(0, 1, (120, 120))
    scores[np.arange(120), order] += 1.5
    rows, columns = best_assignment(scores)
    np.testing.assert_array_equal(rows, np.arange(120))
    np.testing.assert_array_equal(columns, order)


@pytest.mark.parametrize("scores", [[1.0, 2.0], [[np.nan]], [[np.inf, 0.0]]])
def test_what_has_no_best_is_refused(scores):
    with pytest.raises(ValueError, match="must be finite"):
        best_assignment(scores)
