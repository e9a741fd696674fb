import numpy as np
import pytest

from hcm_tf.metrics.memorisation import memorisation


@pytest.fixture(scope="module")
def sets():
    random = np.random.default_rng(0)
    return {
        name: random.normal(size=(count, 2, 2))
        for name, count in (("training", 300), ("held_out", 200), ("samples", 100))
    }


def test_copies_are_found_and_named(sets):
    which = np.arange(100)[::-1]
    found = memorisation(sets["training"][which], sets["training"], sets["held_out"], 3)
    assert found.share == 1
    assert found.ratio == 0
    np.testing.assert_array_equal(found.indices[:, 0], which)
    assert found.indices.shape == found.distances.shape == (100, 3)
    assert not found.distances[:, 0].any()


def test_fresh_images_are_as_near_as_held_out_ones(sets):
    found = memorisation(sets["samples"], sets["training"], sets["held_out"])
    # 5 of 100 expected; binomial deviation 2.2 (and the threshold's own).
    assert found.share < 0.15
    assert found.ratio == pytest.approx(1, abs=0.2)
    assert np.all(np.diff(found.distances[found.order, 0]) >= 0)


def test_numbers_on_a_line_by_hand():
    training = np.array([[0.0], [100.0]])
    held_out = np.arange(1.0, 21)[:, None]
    samples = np.array([[0.5], [97.0], [50.0]])
    found = memorisation(samples, training, held_out)
    assert found.threshold == pytest.approx(1.95)
    assert found.share == pytest.approx(1 / 3)
    assert found.ratio == pytest.approx(3 / 10.5)
    np.testing.assert_array_equal(found.order, [0, 1, 2])
    np.testing.assert_array_equal(found.indices[:2, 0], [0, 1])
    np.testing.assert_array_equal(found.held_out_distances, np.arange(1.0, 21))


def test_what_is_refused(sets):
    arrays = sets["samples"], sets["training"], sets["held_out"]
    with pytest.raises(ValueError, match="`share`"):
        memorisation(*arrays, share=1.0)
    with pytest.raises(ValueError, match="`count` must be from 1 to 300"):
        memorisation(*arrays, neighbours=301)
    with pytest.raises(ValueError, match="`samples` must hold rows"):
        memorisation(sets["samples"][:0], *arrays[1:])
