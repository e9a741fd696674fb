"""Random convolutions: the same weights everywhere, and a slow loop as oracle."""

import hashlib

import numpy as np
import pytest

from hcm_tf.features import damage, extractor
from hcm_tf.features.random_convolutions import RandomConvolutions, random_kernels


def slow_convolution(image, kernel):
    padded = np.pad(image, [(1, 1), (1, 1), (0, 0)])
    height, width, _ = image.shape
    result = np.zeros((height, width, kernel.shape[-1]))
    for row in range(height):
        for column in range(width):
            window = padded[row : row + 3, column : column + 3]
            result[row, column] = np.tensordot(window, kernel, 3)
    return np.maximum(result, 0)


def slow_features(image, kernels):
    found, maps = [], image.astype(float)
    for kernel in kernels:
        maps = slow_convolution(maps, kernel.astype(float))
        found.append(maps.mean(axis=(0, 1)))
        side = len(maps) // 2
        maps = maps.reshape(side, 2, side, 2, -1).mean(axis=(1, 3))
    half = len(maps) // 2
    cells = [
        maps[row : row + half, column : column + half].mean(axis=(0, 1))
        for row in (0, half)
        for column in (0, half)
    ]
    return np.concatenate([*found[:-1], *cells])


@pytest.fixture
def images():
    random = np.random.default_rng(0)
    smooth = damage.blur(random.uniform(-9, 9, (8, 32, 32, 3)).astype("float32"), 2)
    return np.clip(smooth, -1, 1)


def test_weights_are_the_same_bits_everywhere():
    digests = [
        hashlib.sha256(
            b"".join(k.astype("<f4").tobytes() for k in random_kernels(c))
        ).hexdigest()[:16]
        for c in (1, 3)
    ]
    assert digests == ["008870c3fb670763", "0486d34e7066c302"]


@pytest.mark.parametrize("channels", [1, 3])
def test_features_equal_a_slow_loop(images, channels):
    images = np.ascontiguousarray(images[:2, ..., :channels])
    extractor = RandomConvolutions(channels)
    found = extractor.features(images)
    expected = [slow_features(image, random_kernels(channels)) for image in images]
    assert found.shape == (2, extractor.size)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_other_images_change_nothing(images, monkeypatch):
    random = RandomConvolutions(3)
    together = random.features(images)
    np.testing.assert_array_equal(random.features(images), together)
    for batch in (1, 3):
        monkeypatch.setattr(extractor, "BATCH", batch)
        np.testing.assert_allclose(random.features(images), together, atol=1e-5)


def test_damage_moves_the_features_more_the_stronger_it_is(images):
    random = RandomConvolutions(3)
    clean = random.features(images).mean(axis=0)

    def moved(damaged):
        return np.linalg.norm(random.features(damaged).mean(axis=0) - clean)

    blurred = [moved(damage.blur(images, sigma)) for sigma in (0.5, 1, 2)]
    noisy = [
        moved(damage.noise(images, deviation, np.random.default_rng(0)))
        for deviation in (0.05, 0.1, 0.2)
    ]
    for distances in (blurred, noisy):
        assert 0 < distances[0] < distances[1] < distances[2]


@pytest.mark.parametrize("side", [24, 8])
def test_sides_that_cannot_be_halved_are_refused(side):
    with pytest.raises(ValueError, match=f"multiple of 16. Received: {side}"):
        RandomConvolutions(1).features(np.zeros((1, side, side, 1), np.float32))


def test_other_channels_are_refused():
    with pytest.raises(ValueError, match=r"must be 1 or 3\. Received: 4"):
        RandomConvolutions(4)
