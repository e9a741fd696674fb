"""Latents: the documented arithmetic of seeds, and the moving fit."""

import numpy as np
import pytest
import tensorflow as tf

from hcm_tf import prior
from hcm_tf.prior import Gaussian, Posterior, Uniform, draw

SEEDS = np.array([0, 1, -1, 2**31 - 1, -(2**31), 20_261_123], "int32")
RANDOM = np.random.default_rng(0)


def oracle(seed: int, index: int) -> float:
    """The documentation of `prior`, in Python's integers: uniform in [0, 1)."""
    left, right = (seed >> 16) % 65536, seed % 65536
    multipliers = (0x6A35, 0x7F4B, 0x5E8D, 0x6C9B, 0x4EA7, 0x75D3)
    for number, multiplier in enumerate(multipliers):
        key = (index * (2 * number + 1) + 14201 * number) % 65536
        product = (right ^ key) * multiplier
        assert product < 2**31
        left, right = right, left ^ ((product ^ product >> 11) % 65536)
    return ((left << 16 | right) >> 8) / 2**24


def gaussian(size=4):
    factor = np.tril(RANDOM.normal(size=(size, size)))
    return Gaussian(RANDOM.normal(size=size).astype("f4"), factor.astype("f4"))


def test_noise_equals_the_documented_arithmetic():
    expected = [[oracle(int(seed), index) for index in range(50)] for seed in SEEDS]
    np.testing.assert_array_equal(prior.uniform_noise(SEEDS, 50), expected)


def test_uniform_latents_keep_their_bits():
    """The numbers must never change: pictures are quoted by their seeds."""
    expected = [[oracle(int(seed), i) * 2 - 1 for i in range(3)] for seed in SEEDS]
    np.testing.assert_array_equal(Uniform(3).from_seeds(SEEDS), expected)


def test_noise_is_uniform_and_independent():
    drawn = prior.uniform_noise(np.arange(4000), 100).numpy()
    assert drawn.min() >= 0
    assert drawn.max() < 1
    counts, _ = np.histogram(drawn, 64, (0, 1))
    expected = drawn.size / 64
    # Chi squared with 63 degrees of freedom: mean 63, standard deviation 11.2.
    assert 63 - 5 * 11.2 < np.square(counts - expected).sum() / expected < 63 + 5 * 11.2
    correlations = np.corrcoef(drawn.T)[np.triu_indices(100, 1)]
    # 4950 of them, each with a standard deviation of 1 / sqrt(4000).
    assert np.abs(correlations).max() < 5 / np.sqrt(4000)
    assert abs(correlations.std() * np.sqrt(4000) - 1) < 0.1


def test_normal_noise_is_box_and_mullers():
    size = 20
    drawn = prior.normal_noise(SEEDS, size).numpy()
    for row, seed in enumerate(SEEDS):
        for index in range(size):
            radius = np.sqrt(-2 * np.log(oracle(int(seed), index) + 2.0**-24))
            angle = 2 * np.pi * oracle(int(seed), size + index)
            assert drawn[row, index] == pytest.approx(radius * np.cos(angle), abs=1e-5)


def test_normal_noise_is_normal_and_independent():
    drawn = prior.normal_noise(np.arange(4000), 100).numpy()
    assert abs(drawn.mean()) < 5 / np.sqrt(drawn.size)
    assert abs(drawn.std() - 1) < 5 / np.sqrt(2 * drawn.size)
    assert abs(np.mean(drawn**4) - 3) < 0.1
    correlations = np.corrcoef(drawn.T)[np.triu_indices(100, 1)]
    assert np.abs(correlations).max() < 5 / np.sqrt(4000)


def test_gaussian_latents_have_its_moments():
    fit = gaussian()
    noise = RANDOM.normal(size=(200_000, 4)).astype("float32")
    expected = fit.mean + noise @ fit.factor.T
    np.testing.assert_allclose(fit.from_noise(noise), np.tanh(expected), atol=1e-6)
    np.testing.assert_allclose(expected.mean(axis=0), fit.mean, atol=0.05)
    covariance = fit.factor @ fit.factor.T
    np.testing.assert_allclose(np.cov(expected.T), covariance, atol=0.1)


@pytest.mark.parametrize("made", [Uniform(4), gaussian()], ids=["uniform", "gaussian"])
def test_truncation_goes_to_the_middle(made):
    whole, half, none = (draw(made, 3, 5, truncation) for truncation in (1.0, 0.5, 0.0))
    middle = np.tanh(made.mean) if isinstance(made, Gaussian) else np.zeros(4)
    np.testing.assert_allclose(none, np.tile(middle, (5, 1)), atol=1e-6)
    assert np.all(np.abs(half - middle) <= np.abs(whole - middle) + 1e-6)
    assert np.abs(half - whole).max() > 0.05


@pytest.mark.parametrize("made", [Uniform(4), gaussian()], ids=["uniform", "gaussian"])
def test_the_way_towards_a_seed(made):
    """Uniform noise is mixed, normal noise turned; both are truncated as a seed's."""
    normal = isinstance(made, Gaussian)
    noise = prior.normal_noise if normal else prior.uniform_noise
    here, there = noise(SEEDS[2:4], 4).numpy().astype("float64")
    for share, truncation in ((0.0, 1.0), (0.3, 1.0), (0.5, 0.25), (1.0, 0.5)):
        if normal:
            angle = share * np.pi / 2
            mixed = truncation * (np.cos(angle) * here + np.sin(angle) * there)
            expected = np.tanh(made.mean + made.factor.astype("float64") @ mixed)
        else:
            mixed = (1 - share) * here + share * there
            expected = truncation * (2 * mixed - 1)
        found = prior.towards(made, *SEEDS[2:4].tolist(), share, truncation)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("made", [Uniform(4), gaussian()], ids=["uniform", "gaussian"])
def test_a_seed_is_the_same_latent_alone_and_among_others(made):
    many = draw(made, 2**31 - 3, 6)
    for row in range(6):
        seed = 2**31 - 3 + row
        seed -= 2**32 if seed >= 2**31 else 0
        np.testing.assert_allclose(draw(made, seed, 1)[0], many[row], atol=1e-6)


def test_moving_fit_follows_the_batches():
    posterior = Posterior(3, momentum=0.25)
    mean, covariance = np.zeros(3), np.eye(3)
    for _ in range(5):
        batch = RANDOM.normal(size=(8, 3)) * 2 + 1
        moments = posterior.moments(tf.constant(batch, tf.float32))
        offsets = batch - mean
        expected = batch.mean(axis=0), offsets.T @ offsets / 8
        for actual, value in zip(moments, expected, strict=True):
            np.testing.assert_allclose(actual, value, rtol=1e-5, atol=1e-5)
        mean = 0.75 * mean + 0.25 * expected[0]
        covariance = 0.75 * covariance + 0.25 * expected[1]
        posterior.mean.assign(mean)
        posterior.covariance.assign(covariance)
    fit = posterior.gaussian()
    factor = np.asarray(fit.factor, "float64")
    np.testing.assert_allclose(factor @ factor.T, covariance, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(fit.mean, mean, rtol=1e-6)


def test_a_direction_without_variance_is_no_trouble():
    posterior = Posterior(2)
    posterior.covariance.assign([[1.0, 1.0], [1.0, 1.0]])
    latents = draw(prior.frozen(posterior.gaussian()), 0, 100)
    assert np.isfinite(latents).all()
    np.testing.assert_allclose(latents[:, 0], latents[:, 1], atol=0.01)
