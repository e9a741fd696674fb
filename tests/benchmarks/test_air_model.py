"""AIR by slow loops, by quadrature, and by all outcomes of presence."""

import itertools
import math

import numpy as np
import pytest
import tensorflow as tf

from benchmarks import air_model
from benchmarks.air_model import SHIFT_SPREAD, SIDE, STEPS, WHAT, WHERE, WINDOW

# Inside, across an edge, and outside of the image altogether.
PLACES = np.array(
    [[0, 0, 0], [0.7, -0.9, 1.3], [-1.5, 3.1, -0.2], [3.0, -3.0, -9.0]], np.float32
)
RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.uniform(size=(len(PLACES), SIDE, SIDE)).astype(np.float32)
PAINTED = RANDOM.uniform(size=(len(PLACES), WINDOW, WINDOW)).astype(np.float32)


def bilinear(pixels, down, right):
    """The four pixels around a place, each by its share; 0 outside."""
    total, top, left = 0.0, math.floor(down), math.floor(right)
    for row, column in itertools.product((top, top + 1), (left, left + 1)):
        if 0 <= row < len(pixels) and 0 <= column < len(pixels):
            share = (1 - abs(down - row)) * (1 - abs(right - column))
            total += share * pixels[row, column]
    return total


def resampled(pixels, size, place):
    """Every pixel of the result from where `place` says."""
    found = np.zeros((size, size))
    for row, column in itertools.product(range(size), repeat=2):
        found[row, column] = bilinear(pixels, place(row, 0), place(column, 1))
    return found


def geometry(where):
    scale = math.exp(air_model.SCALE_SPREAD * math.tanh(where[0]))
    return scale, 15.5 + SHIFT_SPREAD * where[1:].astype(float)


def test_reading_is_bilinear():
    found = air_model.read(IMAGES, PLACES)
    for image, where, actual in zip(IMAGES, PLACES, found, strict=True):
        scale, middle = geometry(where)
        expected = resampled(
            image, WINDOW, lambda i, axis, s=scale, m=middle: m[axis] + s * (i - 5.5)
        )
        np.testing.assert_allclose(actual, expected, atol=1e-5)
    assert np.abs(found[3]).max() == 0  # Wholly outside.
    assert np.abs(found[2]).max() > 0.5


def test_writing_is_bilinear():
    found = air_model.write(PAINTED, PLACES)
    for painted, where, actual in zip(PAINTED, PLACES, found, strict=True):
        scale, middle = geometry(where)
        expected = resampled(
            painted, SIDE, lambda i, axis, s=scale, m=middle: (i - m[axis]) / s + 5.5
        )
        np.testing.assert_allclose(actual, expected, atol=1e-5)


def test_writing_undoes_reading_at_whole_pixels():
    where = np.array([[0, -6, 3], [0, 0, 10]], np.float32)
    where[:, 1:] /= SHIFT_SPREAD
    images = IMAGES[:2]
    kept = np.zeros_like(images)
    kept[0, 4:16, 13:25] = images[0, 4:16, 13:25]
    kept[1, 10:22, 20:32] = images[1, 10:22, 20:32]
    windows = air_model.read(images, where)
    np.testing.assert_allclose(windows[0], images[0, 4:16, 13:25], atol=1e-5)
    np.testing.assert_allclose(air_model.write(windows, where), kept, atol=1e-5)


def test_windows_stay_near_the_items_size():
    scales = air_model.windows(np.array([[-50, 0, 0], [50, 0, 0]], np.float32))[0]
    np.testing.assert_allclose(scales, np.exp([-0.2, 0.2]), rtol=1e-6)


@pytest.mark.parametrize("which", range(WHERE))
def test_places_have_the_gradients_that_differences_say(which):
    where = tf.constant(PLACES[1:2])
    step = np.zeros((1, WHERE), np.float32)
    step[0, which] = 1e-3

    def value(where):
        drawn = air_model.write(air_model.read(IMAGES[:1], where), where)
        return tf.reduce_sum(drawn * IMAGES[1])

    with tf.GradientTape() as tape:
        tape.watch(where)
        total = value(where)
    actual = tape.gradient(total, where)[0, which]
    expected = (value(where + step) - value(where - step)) / 2e-3
    assert abs(float(actual)) > 0.1
    np.testing.assert_allclose(actual, expected, rtol=0.02)


def test_cost_of_a_normal_is_its_divergence():
    mean, deviation = np.array([0.3, -1.2]), np.array([0.5, 1.7])
    x = np.linspace(-15, 15, 20001)[:, np.newaxis]

    def log_density(mean, deviation):
        away = (x - mean) / deviation
        return -0.5 * away**2 - np.log(deviation) - 0.5 * np.log(2 * np.pi)

    log_q, log_p = log_density(mean, deviation), log_density(0, 1)
    expected = np.sum(np.exp(log_q) * (log_q - log_p)) * (x[1, 0] - x[0, 0])
    actual = air_model.normal_cost(mean, np.log(deviation))
    np.testing.assert_allclose(actual, expected, rtol=1e-6)
    assert float(air_model.normal_cost(tf.zeros(2), tf.zeros(2))) == 0


def sequences(logits):
    """All outcomes of presence: the count and the log probability of each.

    Presence is drawn for every look; from the first absence on all are absent.
    """
    log_there, log_absent = -np.log1p(np.exp(-logits)), -np.log1p(np.exp(logits))
    for outcome in itertools.product((0, 1), repeat=STEPS):
        count = int(np.cumprod(outcome).sum())
        yield count, sum(np.where(outcome, log_there, log_absent))


def test_after_an_absence_nothing_is_there():
    logits = np.array([0.4, -1.1, 2.0])
    expected = np.zeros(STEPS + 1)
    for count, log_probability in sequences(logits):
        expected[count] += np.exp(log_probability)
    found = air_model.log_counts(tf.constant(logits[np.newaxis]))[0]
    np.testing.assert_allclose(np.exp(found), expected, rtol=1e-12)
    counts = air_model.most_likely_count(
        tf.constant([[-1.0, 5, 5], [1, -1, 5], [1, 1, -1], [1, 1, 1]])
    )
    np.testing.assert_array_equal(counts, [0, 1, 2, 3])


def small_looks(logits):
    """Three objects on images of two pixels."""
    random = np.random.default_rng(3)
    drawn = random.uniform(size=(1, STEPS, 1, 2))
    costs = random.uniform(size=(1, STEPS))
    return air_model.Looks(logits, None, tf.constant(costs), tf.constant(drawn))


def value_of(count, image, looks, success):
    """What a count of objects is worth, but for the posterior of the count."""
    drawn = looks.drawn.numpy()[0, :count].sum(axis=0)
    squares = np.square((image - drawn) / air_model.NOISE).sum()
    pixels = image.size * np.log(air_model.NOISE * np.sqrt(2 * np.pi))
    prior = success**count * (1 if count == STEPS else 1 - success)
    costs = looks.costs.numpy()[0, :count].sum()
    return -0.5 * squares - pixels + np.log(prior) - costs


def test_bound_and_gradient_are_those_of_sampled_presence():
    """The score function's expectation, over every count that it may draw."""
    image, success = np.array([[0.9, 0.4]]), 0.2
    logits = tf.constant([[0.4, -1.1, 2.0]], tf.float64)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        looks = small_looks(logits)
        found = air_model.bound(
            tf.constant(image[np.newaxis]), looks, tf.constant(success, tf.float64)
        )
    actual = tape.gradient(found.elbo, logits)[0]
    raw = logits.numpy()[0]
    presence = 1 / (1 + np.exp(-raw))
    posterior = np.append(np.cumprod(presence), 0)
    posterior = np.append(1, posterior[:-1]) * np.append(1 - presence, 1)
    elbo, gradient = 0.0, np.zeros(STEPS)
    for count in range(STEPS + 1):
        worth = value_of(count, image, looks, success) - np.log(posterior[count])
        looked = np.arange(STEPS) <= count
        there = np.arange(STEPS) < count
        score = looked * (there - presence)  # Of the log probability of the count.
        elbo += posterior[count] * worth
        gradient += posterior[count] * worth * score
    np.testing.assert_allclose(found.elbo, [elbo], rtol=1e-9)
    np.testing.assert_allclose(actual, gradient, rtol=1e-9)
    parts = found.likelihood - found.count_cost - found.object_cost
    np.testing.assert_allclose(parts, found.elbo, rtol=1e-12)


def test_looks_are_where_and_what_they_say():
    air = air_model.Air()
    noise = RANDOM.normal(size=(STEPS, 4, WHERE + WHAT)).astype(np.float32)
    looks = air.look(IMAGES, noise)
    assert looks.logits.shape == (4, STEPS)
    windows = air_model.windows(looks.where[:, 1])
    drawn = looks.drawn[:, 1].numpy()
    for picture, scale, middle in zip(drawn, *windows, strict=True):
        far = np.abs(np.arange(SIDE) - middle.numpy()[:, np.newaxis])
        outside = far >= float(scale) * (WINDOW + 1) / 2
        assert picture[outside[0]].sum() == 0
        assert picture[:, outside[1]].sum() == 0
        assert picture.max() > 0
    # A look does not know what comes after it.
    noise[2] += 1
    later = air.look(IMAGES, noise)
    np.testing.assert_array_equal(looks.drawn[:, :2], later.drawn[:, :2])
    np.testing.assert_array_equal(looks.logits[:, :3], later.logits[:, :3])
    assert np.abs(looks.where[:, 2] - later.where[:, 2]).min() > 1e-3
