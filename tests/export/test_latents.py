"""Latents from integers: the documented arithmetic, and that they look random."""

import numpy as np
import tensorflow as tf

from export.latents import latents

SEEDS = np.array([0, 1, -1, 2**31 - 1, -(2**31), 20_261_123], "int32")


def oracle(seed: int, index: int) -> float:
    """The documentation of `export.latents`, in Python's integers."""
    left, right = (seed >> 16) % 65536, seed % 65536
    multipliers = (0x6A35, 0x7F4B, 0x5E8D, 0x6C9B, 0x4EA7, 0x75D3)
    for number, multiplier in enumerate(multipliers):
        key = (index * (2 * number + 1) + 14201 * number) % 65536
        product = (right ^ key) * multiplier
        assert product < 2**31
        left, right = right, left ^ ((product ^ product >> 11) % 65536)
    return ((left << 16 | right) >> 8) / 2**23 - 1


def test_equals_the_documented_arithmetic():
    expected = [[oracle(int(seed), index) for index in range(50)] for seed in SEEDS]
    np.testing.assert_array_equal(latents(tf.constant(SEEDS), 50), expected)


def test_known_values():
    """The numbers must never change: pictures are quoted by their seeds."""
    np.testing.assert_array_equal(
        latents(tf.constant([1]), 3)[0], [oracle(1, 0), oracle(1, 1), oracle(1, 2)]
    )


def test_are_uniform_and_independent():
    drawn = latents(tf.range(4000), 100).numpy()
    assert drawn.min() >= -1
    assert drawn.max() < 1
    counts, _ = np.histogram(drawn, 64, (-1, 1))
    expected = drawn.size / 64
    # Chi squared with 63 degrees of freedom: mean 63, standard deviation 11.2.
    assert 63 - 5 * 11.2 < np.square(counts - expected).sum() / expected < 63 + 5 * 11.2
    correlations = np.corrcoef(drawn.T)[np.triu_indices(100, 1)]
    # 4950 of them, each with a standard deviation of 1 / sqrt(4000).
    assert np.abs(correlations).max() < 5 / np.sqrt(4000)
    assert abs(correlations.std() * np.sqrt(4000) - 1) < 0.1
