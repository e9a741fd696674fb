"""How far sets of numbers are apart: cases by hand, and a sum over quantiles."""

import numpy as np
import pytest

from hcm_tf.metrics.distributions import wasserstein


def test_known_distances():
    assert wasserstein([1.0, 2, 3], [3.0, 1, 2]) == 0
    assert wasserstein([0.0], [2.5]) == 2.5
    # A quarter of the mass goes from 0 to 1, which is half of one of two numbers.
    assert wasserstein([0.0, 0, 0, 1], [0.0, 1]) == pytest.approx(0.25)
    assert np.isnan(wasserstein([], [1.0]))


def test_it_is_the_cost_of_the_sorted_matching():
    random = np.random.default_rng(0)
    one, other = random.normal(size=12), random.exponential(size=8)
    # Each number as often as makes both sets of 24: then sorted ones are matched.
    matched = np.abs(np.sort(np.repeat(one, 2)) - np.sort(np.repeat(other, 3)))
    assert wasserstein(one, other) == pytest.approx(matched.mean())
    assert wasserstein(one, other) == pytest.approx(wasserstein(other, one))
    assert wasserstein(one, one + 3) == pytest.approx(3)


@pytest.mark.parametrize("wrong", [[np.nan], [[1.0]]])
def test_what_is_no_set_of_numbers_is_refused(wrong):
    with pytest.raises(ValueError, match="finite numbers"):
        wasserstein(wrong, [1.0])
