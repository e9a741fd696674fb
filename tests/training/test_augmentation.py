"""Augmentation: against plain loops over pixels, its derivatives, and the trainer."""

import numpy as np
import pytest
import tensorflow as tf

from hcm_tf.training.augmentation import KINDS, NUMBERS, augment

SHAPE = (6, 16, 16, 3)


def batch(shape=SHAPE, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype("float32")


def numbers(count=SHAPE[0], seed=1):
    return np.random.default_rng(seed).uniform(0, 1, (count, NUMBERS))


def color_by_definition(image, brightness, saturation, contrast):
    image = image + (brightness - 0.5)
    grey = image.mean(axis=2, keepdims=True)
    image = (image - grey) * 2 * saturation + grey
    return (image - image.mean()) * (contrast + 0.5) + image.mean()


def moved_by_definition(image, down, right):
    height, width, _ = image.shape
    out = np.zeros_like(image)
    dy = int(down * (2 * (height // 8) + 1)) - height // 8
    dx = int(right * (2 * (width // 8) + 1)) - width // 8
    for y in range(height):
        for x in range(width):
            if 0 <= y - dy < height and 0 <= x - dx < width:
                out[y, x] = image[y - dy, x - dx]
    return out


def cut_by_definition(image, top, left):
    height, width, _ = image.shape
    out = image.copy()
    first_y = int(top * (height + 1)) - height // 4
    first_x = int(left * (width + 1)) - width // 4
    for y in range(first_y, first_y + height // 2):
        for x in range(first_x, first_x + width // 2):
            if 0 <= y < height and 0 <= x < width:
                out[y, x] = 0
    return out


@pytest.mark.parametrize(
    ("kind", "definition", "own"),
    [
        ("color", color_by_definition, slice(0, 3)),
        ("translation", moved_by_definition, slice(3, 5)),
        ("cutout", cut_by_definition, slice(5, 7)),
    ],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_each_kind_is_its_definition(kind, definition, own, channels):
    images, random = batch((*SHAPE[:3], channels)), numbers()
    changed = augment(images, random, [kind]).numpy()
    assert np.abs(changed - images).max() > 0.1 or channels == 1
    for image, row, result in zip(images, random, changed, strict=True):
        expected = definition(image.astype("float64"), *row[own])
        np.testing.assert_allclose(result, expected, atol=2e-6)


def test_all_kinds_follow_one_another():
    images, random = batch(), numbers()
    expected = images
    for kind in KINDS:
        expected = augment(expected, random, [kind])
    np.testing.assert_array_equal(augment(images, random, KINDS[::-1]), expected)
    np.testing.assert_array_equal(augment(images, random, ()), images)


@pytest.mark.parametrize("edge", [0.0, 1.0 - 2.0**-24])
def test_the_outermost_numbers_stay_in_range(edge):
    images = np.ones(SHAPE, "float32")
    random = np.full((SHAPE[0], NUMBERS), edge, "float32")
    moved = augment(images, random, ["translation"]).numpy()
    assert moved.sum() == SHAPE[0] * 14 * 14 * 3
    cut = augment(images, random, ["cutout"]).numpy()
    # A quarter of the square lies inside, in a corner.
    assert (cut == 0).sum() == SHAPE[0] * 4 * 4 * 3


def test_every_shift_is_as_likely_as_any_other():
    count = 20_000
    images = np.zeros((count, 16, 16, 1), "float32")
    images[:, 8, 8] = 1.0
    moved = augment(images, numbers(count), ["translation"]).numpy()[..., 0]
    seen = moved.sum(axis=0)
    assert seen.sum() == count
    there = seen[6:11, 6:11]
    assert there.sum() == count
    np.testing.assert_allclose(there / count, 1 / 25, atol=0.006)


def test_gradients_are_those_of_finite_differences():
    images, random = tf.constant(batch().astype("float64")), numbers()
    direction = tf.constant(batch(seed=3).astype("float64"))

    def loss(at):
        return tf.reduce_sum(tf.sin(augment(at, random, KINDS)))

    with tf.GradientTape() as tape:
        tape.watch(images)
        value = loss(images)
    slope = tf.reduce_sum(tape.gradient(value, images) * direction)
    step = 1e-6
    ahead, behind = loss(images + step * direction), loss(images - step * direction)
    np.testing.assert_allclose((ahead - behind) / (2 * step), slope, rtol=1e-7)
