"""The fast forms equal the plain ones, and the plain ones equal the loops."""

import numpy as np
import pytest
import reference
import tensorflow as tf

from hcm_tf.operations import DEVICE, FAST, REFERENCE, placement

RANDOM = np.random.default_rng(0)
RANKS = RANDOM.permutation(40)


def assert_same(actual, expected, tolerance=1e-12):
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.shape == expected.shape
    assert np.abs(actual - expected).max() <= tolerance * np.abs(expected).max()


def test_plain_forms_equal_the_loops():
    attributes = RANDOM.normal(size=(2, 4, 4, 3))
    dictionary = RANDOM.normal(size=(16, 3, 3, 3, 5))
    kernel = np.asarray(placement.placement_kernel(dictionary))
    assert_same(placement.place(attributes), reference.place(attributes))
    upsampled = reference.upsample(reference.place(attributes))
    assert_same(
        REFERENCE.place_convolve(attributes, dictionary, 3),
        reference.convolve(upsampled, kernel),
    )
    x = RANDOM.normal(size=(2, 4, 4, 3))
    kernel = RANDOM.normal(size=(3, 3, 3, 5))
    assert_same(
        REFERENCE.upsample_convolve(x, kernel),
        reference.convolve(reference.upsample(x), kernel),
    )


def test_placement_kernel_gives_each_location_its_channels():
    dictionary = RANDOM.normal(size=(16, 3, 3, 3, 5))
    kernel = np.asarray(placement.placement_kernel(dictionary))
    for location in range(16):
        for attribute in range(3):
            np.testing.assert_array_equal(
                kernel[:, :, attribute * 16 + location], dictionary[location, attribute]
            )


OPERATIONS = [
    pytest.param("place", (2, 4, 4, 40), (16, 40, 3, 3, 5), id="placement"),
    pytest.param("place", (1, 4, 4, 40), (16, 40, 3, 3, 5), id="one placement"),
    pytest.param("upsample_convolve", (2, 8, 8, 6), (3, 3, 6, 5), id="8x8"),
    pytest.param("upsample_convolve", (2, 16, 16, 6), (3, 3, 6, 5), id="16x16"),
    pytest.param("upsample_convolve", (1, 32, 32, 2), (3, 3, 2, 2), id="32x32"),
    pytest.param("upsample_convolve", (3, 1, 1, 2), (3, 3, 2, 2), id="1x1"),
    pytest.param("upsample_convolve", (2, 4, 4, 9), (3, 3, 9, 2), id="4x4"),
]


def run(execution, operation, x, kernel):
    if operation == "place":
        # Two active attributes a location, so that their rows alone are read.
        active = np.argsort(np.argsort(RANKS[: x.shape[-1]])) < 2
        return execution.place_convolve(x * tf.cast(active, x.dtype), kernel, 2)
    return getattr(execution, operation)(x, kernel)


@pytest.mark.parametrize(("operation", "x_shape", "kernel_shape"), OPERATIONS)
def test_fast_equals_plain_with_its_gradients(operation, x_shape, kernel_shape):
    x = tf.constant(RANDOM.normal(size=x_shape))
    kernel = tf.constant(RANDOM.normal(size=kernel_shape))

    def value_and_gradients(execution):
        with tf.GradientTape() as tape:
            tape.watch([x, kernel])
            y = run(execution, operation, x, kernel)
            loss = tf.reduce_sum(tf.sin(y))
        return y, *tape.gradient(loss, [x, kernel])

    plain = value_and_gradients(REFERENCE)
    for actual, expected in zip(value_and_gradients(FAST), plain, strict=True):
        assert_same(actual, expected)
    # Made for sampling: its gradients are not promised.
    assert_same(run(DEVICE, operation, x, kernel), plain[0])


@pytest.mark.parametrize(("operation", "x_shape", "kernel_shape"), OPERATIONS)
def test_batch_may_be_unknown(operation, x_shape, kernel_shape):
    x, kernel = RANDOM.normal(size=x_shape), RANDOM.normal(size=kernel_shape)
    specification = tf.TensorSpec((None, *x_shape[1:]), tf.float64)
    for form in (REFERENCE, FAST, DEVICE):
        graph = tf.function(
            lambda x, form=form: run(form, operation, x, tf.constant(kernel)),
            input_signature=[specification],
        )
        assert_same(graph(x), run(form, operation, tf.constant(x), kernel))


def test_selection_equals_sorting_over_scales_and_signs():
    for scale in (1e-30, 1.0, 1e30):
        x = tf.constant(RANDOM.normal(size=(3, 64, 5)) * scale, "float32")
        for k in (1, 2, 31, 63, 64):
            expected = np.sort(x, axis=1)[:, 64 - k : 65 - k]
            np.testing.assert_array_equal(REFERENCE.select(x, k, 1), expected)
            np.testing.assert_array_equal(FAST.select(x, k, 1), expected)


IMAGES = [
    pytest.param((2, 8, 6, 3), (5, 5, 3, 7), id="from colour"),
    pytest.param((2, 6, 6, 1), (5, 5, 1, 7), id="from grey"),
    pytest.param((2, 6, 8, 7), (5, 5, 7, 3), id="to colour"),
    pytest.param((2, 5, 5, 7), (5, 5, 7, 3), id="odd size"),
    pytest.param((2, 4, 4, 7), (3, 3, 7, 1), id="to grey"),
    pytest.param((2, 4, 4, 7), (1, 1, 7, 3), id="1x1"),
]


@pytest.mark.parametrize(("x_shape", "kernel_shape"), IMAGES)
def test_image_convolutions_equal_plain_ones_to_the_third_derivative(
    x_shape, kernel_shape
):
    x = tf.constant(RANDOM.normal(size=x_shape))
    kernel = tf.constant(RANDOM.normal(size=kernel_shape))

    def derivatives(execution):
        with tf.GradientTape(persistent=True) as third:
            third.watch([x, kernel])
            with tf.GradientTape(persistent=True) as second:
                second.watch([x, kernel])
                with tf.GradientTape() as first:
                    first.watch([x, kernel])
                    y = execution.convolve(x, kernel)
                    loss = tf.reduce_sum(tf.sin(y))
                once = first.gradient(loss, [x, kernel])
                norm = sum(tf.reduce_sum(tf.sin(g)) for g in once)
            twice = second.gradient(norm, [x, kernel])
            norm = sum(tf.reduce_sum(tf.square(g)) for g in twice)
        return y, *once, *twice, *third.gradient(norm, [x, kernel])

    plain = derivatives(REFERENCE)
    for actual, expected in zip(derivatives(FAST), plain, strict=True):
        assert_same(actual, expected, 1e-11)
