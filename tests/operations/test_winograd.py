"""Winograd's products equal the sums, and keep their precision."""

import numpy as np
import pytest
import tensorflow as tf

from hcm_tf.operations import convolution, winograd

RANDOM = np.random.default_rng(0)


def case(size, channels, filters, dtype="float64", batch=2):
    x = RANDOM.normal(size=(batch, size, size, channels))
    kernel = RANDOM.normal(size=(3, 3, channels, filters)) / np.sqrt(9 * channels)
    y = RANDOM.normal(size=(batch, size, size, filters))
    return [tf.constant(array, dtype) for array in (x, kernel, y)]


def plainly(x, kernel, y):
    """The convolution, and its derivatives for the upstream gradient y."""
    with tf.GradientTape() as tape:
        tape.watch([x, kernel])
        value = tf.nn.conv2d(x, kernel, 1, "SAME")
    return value, *tape.gradient(value, [x, kernel], y)


def error(actual, expected):
    assert actual.shape == expected.shape
    return np.abs(actual - expected).max() / np.abs(expected).max()


@pytest.mark.parametrize("size", [4, 8, 12])
def test_products_equal_sums(size):
    x, kernel, y = case(size, 5, 3)
    value, of_x, of_kernel = plainly(x, kernel, y)
    assert error(winograd.convolve(x, kernel), value) < 1e-14
    assert error(winograd.convolve_back(y, kernel), of_x) < 1e-14
    assert error(winograd.kernel_between(x, y), of_kernel) < 1e-14


def test_rounding_is_near_that_of_the_sums():
    x, kernel, y = case(8, 256, 256)
    exact = plainly(x, kernel, y)
    x, kernel, y = (tf.cast(array, tf.float32) for array in (x, kernel, y))
    sums = plainly(x, kernel, y)
    products = (
        winograd.convolve(x, kernel),
        winograd.convolve_back(y, kernel),
        winograd.kernel_between(x, y),
    )
    for actual, plain, expected in zip(products, sums, exact, strict=True):
        expected = tf.cast(expected, tf.float32)
        assert error(actual, expected) < 5e-6
        assert error(actual, expected) < 6 * max(error(plain, expected), 5e-7)


@pytest.mark.parametrize(
    ("shape", "kernel", "dtype", "pays"),
    [
        ((8, 8, 8, 128), (3, 3, 128, 128), "float32", True),
        ((7, 8, 8, 128), (3, 3, 128, 128), "float32", False),
        ((8, 8, 8, 64), (3, 3, 64, 128), "float32", False),
        ((32, 6, 6, 128), (3, 3, 128, 128), "float32", False),
        ((8, 8, 8, 128), (1, 1, 128, 128), "float32", False),
        ((8, 8, 8, 128), (3, 3, 128, 128), "bfloat16", False),
        ((None, 8, 8, 128), (3, 3, 128, 128), "float32", False),
    ],
)
def test_used_where_it_pays(shape, kernel, dtype, pays):
    x = tf.keras.Input(shape[1:], shape[0], dtype=dtype)
    assert convolution.winograd_pays(x, kernel) == pays


def test_convolution_uses_it_for_every_derivative(monkeypatch):
    monkeypatch.setattr(convolution, "FEWEST_WINOGRAD_CHANNELS", 2)
    monkeypatch.setattr(convolution, "FEWEST_WINOGRAD_TILES", 1)
    x, kernel, _ = case(4, 5, 6)

    def derivatives(convolve):
        with tf.GradientTape(persistent=True) as second:
            second.watch([x, kernel])
            with tf.GradientTape() as first:
                first.watch([x, kernel])
                loss = tf.reduce_sum(tf.sin(convolve(x, kernel)))
            once = first.gradient(loss, [x, kernel])
            norm = sum(tf.reduce_sum(tf.square(g)) for g in once)
        return loss, *once, *second.gradient(norm, [x, kernel])

    expected = derivatives(lambda x, k: tf.nn.conv2d(x, k, 1, "SAME"))
    graph = tf.function(lambda: derivatives(convolution.convolve), autograph=False)
    for actual, value in zip(graph(), expected, strict=True):
        assert error(actual, value) < 1e-13
    kinds = {op.type for op in graph.get_concrete_function().graph.get_operations()}
    assert not {kind for kind in kinds if kind.startswith("Conv2D")}
