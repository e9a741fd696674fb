import numpy as np
import pytest

from hcm_tf.metrics import frechet


def test_diagonal_gaussians_in_closed_form():
    random = np.random.default_rng(0)
    mean, other = random.normal(size=(2, 6))
    deviation, other_deviation = random.uniform(0.1, 3, (2, 6))
    distance = frechet.gaussian_distance(
        mean, np.diag(deviation**2), other, np.diag(other_deviation**2)
    )
    expected = np.sum((mean - other) ** 2 + (deviation - other_deviation) ** 2)
    assert distance == pytest.approx(expected, rel=1e-12)


def test_singular_covariances_in_closed_form():
    """All on one line each: (a - b)^2 along the same one, a^2 + b^2 across."""
    along, across = np.eye(50)[:2]
    zero = np.zeros(50)
    line = np.outer(along, along)
    same = frechet.gaussian_distance(zero, 4 * line, zero, 9 * line)
    assert same == pytest.approx(1, abs=1e-10)
    crossed = frechet.gaussian_distance(
        zero, 4 * line, zero, 9 * np.outer(across, across)
    )
    assert crossed == pytest.approx(13, abs=1e-10)
    nothing = np.zeros((50, 50))
    assert frechet.gaussian_distance(zero, nothing, along, nothing) == 1


def test_equal_sets_are_at_zero_and_order_does_not_matter():
    random = np.random.default_rng(1)
    one, other = random.normal(size=(2, 20, 30))
    assert frechet.frechet_distance(one, one[::-1]) == pytest.approx(0, abs=1e-9)
    assert frechet.frechet_distance(one, other) == pytest.approx(
        frechet.frechet_distance(other, one), rel=1e-10
    )


def test_moments_do_not_depend_on_batches_or_order():
    random = np.random.default_rng(2)
    features = (1e3 + random.normal(size=(500, 7))).astype("float32")
    whole = features.astype("float64")
    expected = np.cov(whole, rowvar=False)
    shuffled = random.permutation(features)
    halves = frechet.Moments(), frechet.Moments()
    for start in range(0, 200, 33):
        halves[0].update(shuffled[start : min(start + 33, 200)])
    halves[1].update(shuffled[200:])
    halves[0].merge(halves[1])
    halves[0].merge(frechet.Moments())
    assert halves[0].count == 500
    np.testing.assert_allclose(halves[0].mean, whole.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(halves[0].covariance, expected, rtol=0, atol=1e-10)


def test_merging_into_nothing_copies():
    one, other = frechet.Moments(), frechet.Moments()
    one.update(np.eye(3))
    other.merge(one)
    other.update(np.ones((4, 3)))
    assert one.count == 3
    np.testing.assert_array_equal(one.mean, np.full(3, 1 / 3))


def test_what_is_refused():
    zero, unit = np.zeros(2), np.eye(2)
    with pytest.raises(ValueError, match="negative eigenvalue"):
        frechet.gaussian_distance(zero, np.diag([1.0, -0.1]), zero, unit)
    with pytest.raises(ValueError, match="Both means"):
        frechet.gaussian_distance(zero, unit, np.zeros(3), unit)
    with pytest.raises(ValueError, match="finite"):
        frechet.frechet_distance(np.array([[np.nan, 0.0]]), unit)
    with pytest.raises(ValueError, match="At least 2"):
        frechet.frechet_distance(np.zeros((1, 2)), unit)
    moments = frechet.Moments()
    moments.update(unit)
    with pytest.raises(ValueError, match="size 2"):
        moments.update(np.eye(3))
