import numpy as np
import pytest

from hcm_tf.metrics import bootstrap, frechet, kernel, manifold
from hcm_tf.metrics import sliced_wasserstein as sliced


@pytest.fixture(scope="module")
def sets():
    random = np.random.default_rng(0)
    return random.normal(size=(80, 4)), random.normal(0.4, 1, (70, 4))


def test_halves_are_halves():
    kept = bootstrap.halves(11, 400, 3)
    np.testing.assert_array_equal(kept.sum(axis=1), 5)
    # Each is kept with probability 5/11, give or take 0.025.
    np.testing.assert_allclose(kept.mean(axis=0), 5 / 11, rtol=0, atol=0.1)
    np.testing.assert_array_equal(kept, bootstrap.halves(11, 400, 3))
    assert (kept != bootstrap.halves(11, 400, 4)).any()


def test_interval_of_a_difference_of_means_in_closed_form(sets):
    """Margin 1.96 sqrt(s^2 / n + t^2 / m), known to 1 / sqrt(2 * resamples)."""
    one, other = (array[:, 0] for array in sets)
    value, low, high = bootstrap.interval(
        lambda a, b: b.mean() - a.mean(), one, other, resamples=4000
    )
    error = np.sqrt(one.var(ddof=1) / 80 + other.var(ddof=1) / 70)
    assert value == pytest.approx(other.mean() - one.mean())
    assert high - value == pytest.approx(1.96 * error, rel=0.06)
    assert value - low == pytest.approx(high - value)


def test_intervals_cover_what_they_should():
    """95 % in theory; of 120 draws the deviation is 2 %."""
    truth, covered = 1.0, 0
    random = np.random.default_rng(1)
    for draw in range(120):
        one, other = random.normal(0, 1, (60, 1)), random.normal(1, 1, (60, 1))
        found = bootstrap.interval(lambda a, b: b.mean() - a.mean(), one, other, draw)
        covered += found.low <= truth <= found.high
    assert 0.86 <= covered / 120 < 1


def test_mean_interval_against_the_normal_one(sets):
    values = sets[0][:, 0]
    value, low, high = bootstrap.mean_interval(values, resamples=4000)
    error = values.std() / np.sqrt(len(values))
    assert value == pytest.approx(values.mean())
    assert high - low == pytest.approx(2 * 1.96 * error, rel=0.06)
    assert bootstrap.mean_interval(np.full(5, 2.0)) == (2, 2, 2)


def test_each_metric_has_its_value_inside_and_repeats_itself(sets):
    for measure, value in (
        (bootstrap.frechet_interval, frechet.frechet_distance(*sets)),
        (bootstrap.kernel_interval, kernel.squared_discrepancy(*sets)),
        (
            lambda *arrays: bootstrap.manifold_intervals(*arrays)["density"],
            manifold.manifold_scores(*sets)["density"],
        ),
    ):
        found = measure(*sets)
        assert found == measure(*sets)
        assert found.low < found.value < found.high
        # The kernel's mean over subsets of 70 is the whole's but for 10 left out.
        assert found.value == pytest.approx(value, rel=0.05)


def test_kernel_halves_at_once_are_halves_one_by_one(sets):
    expected = bootstrap.interval(kernel.squared_discrepancy, *sets, 5)
    found = bootstrap.kernel_interval(*sets, 5)
    assert found.high - found.low == pytest.approx(expected.high - expected.low)


def test_patches_by_halves_of_the_images():
    random = np.random.default_rng(2)
    one, other = random.normal(0, 0.2, (2, 40, 32, 32, 1)).clip(-1, 1)
    gathered = sliced.Patches(), sliced.Patches()
    gathered[0].update(one)
    gathered[1].update(np.sign(other) * other**2)
    found = bootstrap.patch_intervals(*gathered, resamples=4)
    values = sliced.patch_distances(*gathered)
    assert list(found) == [32, 16]
    for size, estimate in found.items():
        assert estimate.value == values[size]
        assert estimate.low < values[size] < estimate.high


def test_floor_is_the_same_measure_of_held_back_images(sets):
    reference, samples = sets
    held_back = np.random.default_rng(3).normal(size=samples.shape)
    found, floor = bootstrap.beside_floor(
        bootstrap.frechet_interval, reference, held_back, samples
    )
    assert found == bootstrap.frechet_interval(reference, samples)
    assert floor == bootstrap.frechet_interval(reference, held_back)
    assert floor.value < found.value
    with pytest.raises(ValueError, match="as many real images"):
        bootstrap.beside_floor(
            frechet.frechet_distance, reference, held_back[1:], samples
        )


def test_what_is_refused():
    with pytest.raises(ValueError, match="at least 4 images"):
        bootstrap.halves(3, 20, 0)
    with pytest.raises(ValueError, match="one number for each image"):
        bootstrap.mean_interval(np.zeros((3, 2)))
