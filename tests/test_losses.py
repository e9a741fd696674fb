"""The objective in closed form."""

import numpy as np
import pytest
import tensorflow as tf

from hcm_tf import losses

RANDOM = np.random.default_rng(0)


def test_scores_enter_with_the_published_signs():
    real, fake = np.array([3.0, -1.0]), np.array([0.5, 2.0])
    np.testing.assert_allclose(losses.critic_loss_on_real(real), [-3.0, 1.0])
    np.testing.assert_allclose(losses.critic_loss_on_fake(fake), [0.5, 2.0])
    np.testing.assert_allclose(losses.generator_loss(fake), [-0.5, -2.0])
    np.testing.assert_allclose(losses.drift(real), [9.0, 1.0])


def test_penalty_of_a_linear_critic_is_its_weight_norm_minus_one_squared():
    weight = RANDOM.normal(size=(4, 4, 3))
    images = tf.constant(RANDOM.normal(size=(5, 4, 4, 3)))
    with tf.GradientTape() as tape:
        tape.watch(images)
        scores = tf.reduce_sum(images * weight, axis=(1, 2, 3))
    norms = losses.gradient_norm(tape.gradient(scores, images))
    expected = np.full(5, (np.linalg.norm(weight) - 1) ** 2)
    np.testing.assert_allclose(losses.gradient_penalty(norms), expected, rtol=1e-12)


def test_norm_of_a_zero_gradient_has_a_finite_derivative():
    zero = tf.zeros((2, 3, 3, 1))
    with tf.GradientTape() as tape:
        tape.watch(zero)
        norms = losses.gradient_norm(zero)
    np.testing.assert_allclose(norms, 0.0, atol=1e-14)
    np.testing.assert_array_equal(tape.gradient(norms, zero), np.zeros(zero.shape))


def test_reconstruction_is_a_sum_over_pixels_and_channels():
    images = np.zeros((2, 8, 8, 3))
    drawn = np.stack([np.full((8, 8, 3), 0.5), np.zeros((8, 8, 3))])
    np.testing.assert_allclose(
        losses.reconstruction_loss(images, drawn), [0.25 * 192, 0.0]
    )


def test_mixing_ends_at_the_two_images():
    real, fake = RANDOM.normal(size=(2, 2, 4, 4, 3))
    np.testing.assert_array_equal(losses.mix(real, fake, np.ones((2, 1, 1, 1))), real)
    np.testing.assert_array_equal(losses.mix(real, fake, np.zeros((2, 1, 1, 1))), fake)
    middle = losses.mix(real, fake, np.full((2, 1, 1, 1), 0.25))
    np.testing.assert_allclose(middle, 0.25 * real + 0.75 * fake)


def test_orthogonality_is_the_sum_of_squared_cosines():
    kernels = [RANDOM.normal(size=(3, 3, 2, 4)), RANDOM.normal(size=(5, 3))]
    expected = 0.0
    for kernel in kernels:
        filters = kernel.reshape(-1, kernel.shape[-1]).T
        for i, one in enumerate(filters):
            for j, other in enumerate(filters):
                if i != j:
                    size = np.linalg.norm(one) * np.linalg.norm(other)
                    expected += (one @ other / size) ** 2
    found = losses.orthogonality(kernels)
    assert float(found) == pytest.approx(expected)
    assert float(losses.orthogonality([3.0 * np.eye(4)])) == pytest.approx(0, abs=1e-9)
