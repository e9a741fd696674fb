"""Known damage has the strength that it is called by."""

import numpy as np
import pytest

from hcm_tf.features import damage


@pytest.fixture
def images():
    random = np.random.default_rng(0)
    return random.uniform(-0.5, 0.5, (6, 32, 32, 3)).astype(np.float32)


def test_blur_spreads_a_point_by_its_sigma():
    point = np.zeros((1, 33, 33, 1), np.float32)
    point[0, 16, 16] = 1
    blurred = damage.blur(point, 1.5)[0, ..., 0]
    assert blurred.sum() == pytest.approx(1, abs=1e-5)
    for axis in (0, 1):
        weights = blurred.sum(axis=1 - axis)
        variance = np.sum(weights * np.square(np.arange(33) - 16))
        assert np.sqrt(variance) == pytest.approx(1.5, rel=0.02)


def test_blur_leaves_a_flat_image(images):
    flat = np.full((1, 8, 8, 3), 0.3, np.float32)
    np.testing.assert_allclose(damage.blur(flat, 2), flat, atol=1e-6)
    assert damage.blur(images, 0) is images


def test_noise_has_its_deviation(images):
    added = damage.noise(images, 0.1, np.random.default_rng(1)) - images
    assert added.std() == pytest.approx(0.1, rel=0.03)
    assert added.mean() == pytest.approx(0, abs=0.003)
    assert abs(damage.noise(images, 5, np.random.default_rng(1))).max() == 1


def test_speckle_hits_its_fraction_of_pixels(images):
    damaged = damage.speckle(images, 0.2, np.random.default_rng(2))
    hit = (damaged != images).any(axis=-1)
    assert hit.mean() == pytest.approx(0.2, abs=0.02)
    assert set(np.unique(damaged[hit])) == {-1, 1}
    assert damaged.dtype == np.float32


def test_halves_come_from_two_images(images):
    mixed = damage.halves(images)
    np.testing.assert_array_equal(mixed[:, :, :16], images[:, :, :16])
    np.testing.assert_array_equal(mixed[1:, :, 16:], images[:-1, :, 16:])
    np.testing.assert_array_equal(mixed[0, :, 16:], images[-1, :, 16:])


def test_contrast_multiplies_the_deviation(images):
    stretched = damage.contrast(images, 1.5)
    np.testing.assert_allclose(
        stretched.std(axis=(1, 2, 3)), 1.5 * images.std(axis=(1, 2, 3)), rtol=1e-5
    )
    assert abs(damage.contrast(images, 9)).max() == 1
