"""Selection by bisection equals sorting."""

import numpy as np
import pytest

from hcm_tf.operations import bisection

RANDOM = np.random.default_rng(0)


def by_sorting(x, k):
    n = x.shape[1]
    return np.sort(x, axis=1)[:, n - k : n - k + 1]


CASES = {
    "signed": RANDOM.normal(size=(2, 100, 40)),
    "rectified": np.maximum(RANDOM.normal(size=(2, 100, 40)), 0),
    "fewer positive than k": np.maximum(RANDOM.normal(size=(2, 100, 40)) - 1.5, 0),
    "negative": -np.abs(RANDOM.normal(size=(2, 100, 40))) - 1,
    "ties": RANDOM.integers(-2, 3, size=(2, 100, 40)),
    "equal": np.full((2, 100, 40), -3.0),
    "zero": np.zeros((2, 100, 40)),
    "skewed": np.exp(RANDOM.normal(size=(2, 100, 40))),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_equals_sorting(name, scale):
    x = (CASES[name] * scale).astype("float32")
    for k in (1, 2, 25, 99, 100):
        np.testing.assert_array_equal(
            bisection.kth_largest_of_channels(x, k), by_sorting(x, k)
        )


def test_neighbours_in_float32_are_told_apart():
    x = np.full((1, 8, 1), 1.0, "float32")
    x[0, 3:, 0] = np.nextafter(np.float32(1), np.float32(2))
    for k in range(1, 9):
        np.testing.assert_array_equal(
            bisection.kth_largest_of_channels(x, k), by_sorting(x, k)
        )


def test_misses_by_no_more_than_it_says():
    x = np.exp(4 * RANDOM.normal(size=(2, 100, 40))).astype("float32")
    limit = 5 * 2.0**-30 * x.max(axis=1, keepdims=True)
    for k in (50, 90, 99):
        actual = np.asarray(bisection.kth_largest_of_channels(x, k))
        expected = by_sorting(x, k)
        assert (actual <= expected).all()
        # Where several lie so close, it is the last of a chain of neighbours.
        assert ((expected - actual) <= limit).all()
