"""Gated tiles: plain forms equal the loops, and so does the one that skips."""

import numpy as np
import pytest
import reference
import tensorflow as tf

from hcm_tf.operations import EXECUTIONS, convolution, skipping, tiles, winograd

RANDOM = np.random.default_rng(0)
SHAPE = (3, 12, 12, 5)


def case(closed=0.5, batch=3, dtype="float64"):
    """A map, a kernel, and the numbers of its gates."""
    hidden = np.maximum(RANDOM.normal(size=(batch, *SHAPE[1:])), 0)
    kernel = RANDOM.normal(size=(3, 3, 5, 5)) / 5
    size = (batch, 3, 3, 1)
    numbers = np.where(RANDOM.random(size) < closed, -0.3, RANDOM.uniform(0.2, 3, size))
    return [tf.constant(array, dtype) for array in (hidden, kernel, numbers)]


def assert_near(actual, expected, tolerance=1e-12):
    assert actual.shape == expected.shape
    assert np.abs(actual - expected).max() <= tolerance * np.abs(expected).max()


@pytest.mark.parametrize("execution", EXECUTIONS)
@pytest.mark.parametrize("closed", [0.0, 0.5, 1.0])
def test_every_form_equals_the_loops(execution, closed):
    hidden, kernel, numbers = case(closed)
    gates = tiles.gate(numbers)
    compose = EXECUTIONS[execution].compose_tiles
    y, positive = compose(hidden, kernel, gates)
    expected, _ = reference.skip_tiles(*map(np.asarray, (hidden, kernel, numbers)))
    assert_near(y, expected)
    assert (closed == 1) == (np.abs(y - hidden).max() == 0)
    # Where a tile is closed nobody asks which of its responses were positive.
    open_pixels = np.asarray(tiles.pixels(gates, "float64")) > 0
    convolved = reference.convolve(np.asarray(hidden), np.asarray(kernel))
    np.testing.assert_array_equal(positive & open_pixels, (convolved > 0) & open_pixels)


@pytest.mark.parametrize("closed", [0.0, 0.4, 1.0])
def test_skipping_by_winograd_and_with_any_batch(monkeypatch, closed):
    monkeypatch.setattr(convolution, "FEWEST_WINOGRAD_CHANNELS", 2)
    monkeypatch.setattr(convolution, "FEWEST_WINOGRAD_TILES", 1)
    hidden, kernel, numbers = case(closed)
    gates = tiles.gate(numbers)
    expected, _ = reference.skip_tiles(*map(np.asarray, (hidden, kernel, numbers)))
    for batch, kind in ((3, "BatchMatMulV2"), (None, "Conv2D")):
        graph = tf.function(
            lambda x, g: skipping.compose(x, kernel, g)[0],
            input_signature=[
                tf.TensorSpec((batch, *SHAPE[1:]), tf.float64),
                tf.TensorSpec((batch, 3, 3, 1), tf.float64),
            ],
        )
        assert_near(graph(hidden, gates), expected)
        kinds = {op.type for op in graph.get_concrete_function().graph.get_operations()}
        assert kind in kinds
        assert ("Conv2D" in kinds) == (kind == "Conv2D")


def test_closed_tiles_are_not_convolved():
    hidden, kernel, numbers = case(0.7, batch=5)
    seen = []

    def count(windows, kernel, *_):
        seen.append(len(windows))
        return convolved(windows, kernel, 1, "VALID")

    convolved, tf.nn.conv2d = tf.nn.conv2d, count
    try:
        skipping.compose(hidden, kernel, tiles.gate(numbers))
    finally:
        tf.nn.conv2d = convolved
    (windows,) = seen
    opened = np.count_nonzero(np.asarray(numbers) > 0)
    assert windows - opened in (0, 1)  # The first tile is always there.
    assert 0 < opened < 0.5 * np.size(numbers)


def test_windows_by_winograd_equal_sums():
    windows = tf.constant(RANDOM.normal(size=(7, 6, 6, 5)))
    kernel = tf.constant(RANDOM.normal(size=(3, 3, 5, 4)))
    expected = tf.nn.conv2d(windows, kernel, 1, "VALID")
    assert_near(winograd.convolve_windows(windows, kernel), expected, 1e-13)


def test_gates_start_open_with_a_gradient():
    for size in (1, 7, 64):
        numbers = tf.fill((2, size, 1, 1), np.float32(tiles.BIAS))
        with tf.GradientTape() as tape:
            tape.watch(numbers)
            share = tiles.share(tiles.gate(numbers))
        np.testing.assert_array_equal(share, 1)
        slope = tape.gradient(share, numbers)
        np.testing.assert_allclose(slope, 1 / np.sinh(3.0) * 2, rtol=1e-5)


def test_gradients_equal_differences_off_the_kinks():
    hidden, kernel, numbers = case(0.3)
    weights = tf.constant(RANDOM.normal(size=SHAPE))
    compose = EXECUTIONS["fast"].compose_tiles

    def loss(numbers, hidden):
        return tf.reduce_sum(weights * compose(hidden, kernel, tiles.gate(numbers))[0])

    with tf.GradientTape() as tape:
        tape.watch([numbers, hidden])
        value = loss(numbers, hidden)
    found = [gradient.numpy() for gradient in tape.gradient(value, [numbers, hidden])]
    step = 1e-6
    for position, array in enumerate((numbers, hidden)):
        array = array.numpy()
        # Off ReLU's kink at 0, and off those of the gate at 0 and 1.5.
        smooth = np.argwhere((array > 1e-4) & (np.abs(array - 1.5) > 1e-3))
        for index in map(tuple, smooth[:: max(1, len(smooth) // 12)]):
            values = []
            for sign in (1, -1):
                moved = array.copy()
                moved[index] += sign * step
                both = [numbers, hidden]
                both[position] = tf.constant(moved)
                values.append(float(loss(*both)))
            slope = (values[0] - values[1]) / (2 * step)
            assert found[position][index] == pytest.approx(slope, rel=1e-4, abs=1e-6)
    array = numbers.numpy()
    partly = (array > 0) & (array < 1.5)
    assert (found[0][partly] != 0).all()
    assert (found[0][~partly] == 0).all()
