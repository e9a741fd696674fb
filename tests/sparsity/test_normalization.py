"""Sparse switchable normalisation: the layer, and in training."""

import dataclasses

import numpy as np
import pytest
import reference
import tensorflow as tf
from mixes import MIXES

from hcm_tf.layers import SparseSwitchableNormalization
from hcm_tf.layers.normalization import LARGEST_RADIUS
from hcm_tf.runs import building
from hcm_tf.sparsity.rules import Stage

LOGITS = (0.9, 1.0, 0.7)


def responses(dtype="float64"):
    random = np.random.default_rng(0)
    return (random.normal(size=(6, 4, 4, 5)) * random.uniform(0.1, 3, 5)).astype(dtype)


def layer():
    norm = SparseSwitchableNormalization(dtype="float64")
    norm.build((None, 4, 4, 5))
    norm.gain.assign(np.linspace(-0.5, 1.5, 5))
    norm.logits.assign(LOGITS)
    norm.shares.assign((0.5, 0.0, 0.5))
    norm.mean_square.assign(np.linspace(0.5, 2.5, 5))
    return norm


def slow(x, shares, batch, gain):
    """One image and channel at a time; batch: mean squares, (images, channels)."""
    y = np.empty_like(x)
    for image in range(len(x)):
        own = x[image]
        for channel in range(x.shape[-1]):
            squares = (
                np.mean(own[..., channel] ** 2),
                np.mean(own**2),
                batch[image, channel],
            )
            size = np.sqrt(np.dot(shares, squares) + 1e-5)
            y[image, ..., channel] = gain[channel] * own[..., channel] / size
    return y


@pytest.mark.parametrize("radius", [0.0, 0.5, LARGEST_RADIUS])
def test_in_training_a_group_is_normalised_together(radius):
    norm, x = layer(), responses()
    # Six images in groups of two: three groups, image i of the group i modulo 3.
    batch = np.stack(
        [np.mean(x[[i % 3, i % 3 + 3]] ** 2, axis=(0, 1, 2)) for i in range(6)]
    )
    shares = reference.sparsestmax(np.float64(np.float32(LOGITS)), radius)
    found = norm(x, stage=Stage(group=2, radius=radius))
    expected = slow(x, shares, batch, norm.gain.numpy())
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_allclose(
        norm.mean_squares(x), np.mean(x**2, axis=(0, 1, 2)), rtol=1e-6
    )


def test_sampling_uses_what_training_left():
    norm, x = layer(), responses()
    batch = np.tile(norm.mean_square.numpy(), (6, 1))
    expected = slow(x, norm.shares.numpy(), batch, norm.gain.numpy())
    np.testing.assert_allclose(norm(x), expected, atol=1e-6)
    # An image does not depend on those that it is drawn with.
    np.testing.assert_allclose(norm(x[2:3]), norm(x)[2:3], atol=1e-12)


@pytest.mark.parametrize("radius", [0.0, 0.3])
def test_gradients_are_those_of_finite_differences(radius):
    norm, x = layer(), tf.constant(responses())
    stage = Stage(group=2, radius=radius)
    cotangent = np.random.default_rng(1).normal(size=x.shape)

    def value(x):
        return tf.reduce_sum(norm(x, stage=stage) * cotangent)

    variables = [norm.gain.value, norm.logits.value]
    with tf.GradientTape() as tape:
        tape.watch([x, *variables])
        total = value(x)
    of_x, *of_variables = tape.gradient(total, [x, *variables])

    way, step = np.random.default_rng(2).normal(size=x.shape), 1e-6
    numeric = (value(x + step * way) - value(x - step * way)) / (2 * step)
    assert np.sum(of_x * way) == pytest.approx(float(numeric), rel=1e-6)
    for variable, exact in zip((norm.gain, norm.logits), of_variables, strict=True):
        before, step = variable.numpy(), 2.0**-8
        for index in range(len(before)):
            ends = []
            for sign in (-1, 1):
                moved = before.copy()
                moved[index] += sign * step
                variable.assign(moved)
                ends.append(float(value(x)))
            variable.assign(before)
            numeric = (ends[1] - ends[0]) / (2 * step)
            assert float(exact[index]) == pytest.approx(numeric, rel=1e-3, abs=1e-3)
        assert np.abs(exact).max() > 0.1


def test_training_settles_and_leaves_what_sampling_needs(tiny_config):
    config = dataclasses.replace(
        tiny_config,
        model=dataclasses.replace(tiny_config.model, **MIXES[-1]),
        train=dataclasses.replace(tiny_config.train, normalizer_steps=3),
    )
    trainer = building.build_trainer(config, 1)
    norms = trainer.generator.normalizers
    assert len(norms) == 2 * len(trainer.generator.blocks)
    images = np.random.default_rng(0).uniform(-1, 1, (4, 32, 32, 3)).astype("float32")
    settled = []
    for _ in range(5):
        before = [norm.mean_square.numpy() for norm in norms]
        trainer.train_step({"image": tf.constant(images)})
        settled.append([norm.shares.numpy().max() for norm in norms])
    assert max(settled[0]) < 0.5  # The first step begins with equal shares.
    np.testing.assert_allclose(settled[-1], 1.0, atol=1e-5)
    for norm, then in zip(norms, before, strict=True):
        assert np.abs(norm.mean_square.numpy() - then).max() > 1e-5
    for own, average in zip(norms, trainer.average_generator.normalizers, strict=True):
        np.testing.assert_array_equal(own.shares, average.shares)
        np.testing.assert_array_equal(own.mean_square, average.mean_square)
        assert not np.array_equal(own.gain, average.gain)
