import itertools

import numpy as np
import pytest

from hcm_tf.metrics import kernel


def slow(reference, samples):
    def value(x, y):
        return (x @ y / len(x) + 1) ** 3

    def others(array):
        pairs = itertools.permutations(array, 2)
        return np.mean([value(x, y) for x, y in pairs])

    across = np.mean([value(x, y) for x in reference for y in samples])
    return others(reference) + others(samples) - 2 * across


@pytest.fixture(scope="module")
def sets():
    random = np.random.default_rng(0)
    return random.normal(size=(13, 4)), random.normal(0.5, 1, (9, 4))


def test_against_all_pairs(sets, monkeypatch):
    expected = slow(*sets)
    assert kernel.squared_discrepancy(*sets) == pytest.approx(expected, rel=1e-12)
    monkeypatch.setattr(kernel, "BLOCK", 20)
    assert kernel.squared_discrepancy(*sets) == pytest.approx(expected, rel=1e-12)


def test_subsets_at_once_are_subsets_one_by_one(sets):
    random = np.random.default_rng(1)
    kept = random.random((5, 13)) < 0.7, random.random((5, 9)) < 0.7
    expected = [slow(sets[0][a], sets[1][b]) for a, b in zip(*kept, strict=True)]
    found = kernel.squared_discrepancies(*sets, *kept)
    np.testing.assert_allclose(found, expected, rtol=1e-11)


def test_mean_of_subsets_by_either_way(sets):
    """Two small subsets are taken one by one, many large ones at once."""
    for subsets, size in ((2, 3), (50, 8)):
        random = np.random.default_rng(7)
        expected = []
        for _ in range(subsets):
            one = random.choice(13, size, replace=False)
            other = random.choice(9, size, replace=False)
            expected.append(slow(sets[0][one], sets[1][other]))
        mean, deviation = kernel.kernel_distance(*sets, 7, subsets, size)
        assert mean == pytest.approx(np.mean(expected), rel=1e-11)
        assert deviation == pytest.approx(np.std(expected), rel=1e-10)


def test_mean_over_equal_distributions_is_zero():
    random = np.random.default_rng(2)
    found = [
        kernel.squared_discrepancy(*random.normal(size=(2, 30, 5))) for _ in range(300)
    ]
    error = np.std(found) / np.sqrt(len(found))
    assert abs(np.mean(found)) < 4 * error
    assert min(found) < 0


def test_what_is_refused(sets):
    with pytest.raises(ValueError, match="subset_size"):
        kernel.kernel_distance(*sets, subset_size=1)
    with pytest.raises(ValueError, match="at least 2"):
        kernel.squared_discrepancies(*sets, np.eye(13)[:1], np.ones((1, 9)))
    with pytest.raises(ValueError, match="one size"):
        kernel.squared_discrepancy(sets[0], sets[1][:, :3])
