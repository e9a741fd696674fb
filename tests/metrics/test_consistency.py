import numpy as np
import pytest

from hcm_tf.metrics import consistency


@pytest.mark.parametrize("block", [1, 15, 2**20])
def test_pair_cosines_against_plain_pairs(block, monkeypatch):
    monkeypatch.setattr(consistency, "BLOCK", block)
    random = np.random.default_rng(0)
    vectors = random.normal(size=(12, 5))
    groups = np.array([0, 0, 0, 1, 1, 2, 3, 3, 3, 3, 4, 4])
    within, across = consistency.pair_cosines(vectors, groups)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = unit @ unit.T
    same = groups[:, None] == groups
    other = ~np.eye(12, dtype=bool)
    assert within == pytest.approx(cosines[same & other].mean())
    assert across == pytest.approx(cosines[~same].mean())


def test_equal_vectors_agree_and_zero_vectors_are_left_out():
    vectors = np.array([[1.0, 0.0], [2.0, 0.0], [0.0, 3.0], [0.0, 0.0]])
    within, across = consistency.pair_cosines(vectors, [0, 0, 1, 1])
    assert within == pytest.approx(1.0)
    assert across == pytest.approx(0.0)


def test_no_pairs_give_nan():
    within, across = consistency.pair_cosines(np.eye(2), [0, 1])
    assert np.isnan(within)
    assert across == pytest.approx(0.0)
