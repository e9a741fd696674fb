"""What the critic sees of an image: differentiable augmentation.

With few images a critic soon knows them by heart, and its gradients teach nothing any
more. If it only ever sees real and generated images after the same random changes, the
generator still learns the images as they are (Zhao et al. 2020, "Differentiable
augmentation for data-efficient GAN training", whose policies and strengths these are).
"""

from collections.abc import Sequence

import tensorflow as tf

KINDS = ("color", "translation", "cutout")
NUMBERS = 7  # Random numbers of one image: 3 of color, 2 of each other kind.
SHIFT = 1 / 8  # Of a side, at most, either way.
CUT = 1 / 2  # Side of the square, of the image's.


def augment(images: tf.Tensor, numbers: tf.Tensor, kinds: Sequence[str]) -> tf.Tensor:
    """Changes every image by its own numbers; differentiable any number of times.

    Args:
        images: float `(batch, height, width, channels)` in [-1, 1].
        numbers: uniform in [0, 1), `(batch, NUMBERS)`.
        kinds: what to change, of KINDS; in their order whatever the order here.

    Returns:
        The same shape. Colours may leave [-1, 1]; what moves in, or is cut out, is
        mid-grey (0).
    """
    numbers = tf.cast(numbers, images.dtype)
    if "color" in kinds:
        images = _color(images, numbers[:, 0], numbers[:, 1], numbers[:, 2])
    if "translation" in kinds:
        images = _translation(images, numbers[:, 3], numbers[:, 4])
    if "cutout" in kinds:
        images = _cutout(images, numbers[:, 5], numbers[:, 6])
    return images


def _color(
    images: tf.Tensor, brightness: tf.Tensor, saturation: tf.Tensor, contrast: tf.Tensor
) -> tf.Tensor:
    """Adds -0.5 to 0.5, then takes 0 to 2 of saturation, 0.5 to 1.5 of contrast."""
    images += _each(brightness) - 0.5
    grey = tf.reduce_mean(images, axis=3, keepdims=True)
    images = grey + 2.0 * _each(saturation) * (images - grey)
    mean = tf.reduce_mean(images, axis=(1, 2, 3), keepdims=True)
    return mean + (0.5 + _each(contrast)) * (images - mean)


def _translation(images: tf.Tensor, down: tf.Tensor, right: tf.Tensor) -> tf.Tensor:
    """Moves by whole pixels, at most SHIFT of a side either way."""
    height, width = images.shape[1:3]
    return translate(images, _pixels(down, height), _pixels(right, width))


def _pixels(numbers: tf.Tensor, side: int) -> tf.Tensor:
    return shift(numbers, int(side * SHIFT + 0.5))


def shift(numbers: tf.Tensor, most: int) -> tf.Tensor:
    """Whole numbers from -most to most, equally likely: int32, as many.

    Args:
        numbers: uniform in [0, 1).
        most: at least 0.
    """
    return _whole(numbers, 2 * most + 1) - most


def translate(images: tf.Tensor, down: tf.Tensor, right: tf.Tensor) -> tf.Tensor:
    """Moves every image by its own whole numbers of pixels; 0 moves in.

    Args:
        images: float `(batch, height, width, channels)`.
        down, right: int32 `(batch,)`.
    """
    # A product with a matrix of zeros and ones has every derivative that one needs,
    # which a gather's scatter has not at the same speed.
    rows = _moving(down, images.shape[1], images.dtype)
    columns = _moving(right, images.shape[2], images.dtype)
    moved = tf.einsum("nyi,nijc->nyjc", rows, images)
    return tf.einsum("nxj,nyjc->nyxc", columns, moved)


def _moving(by: tf.Tensor, side: int, dtype: tf.DType) -> tf.Tensor:
    """`(batch, side, side)`: row y has its one at the pixel that moves to y."""
    source = tf.range(side)[tf.newaxis, :] - by[:, tf.newaxis]
    # Rows from outside the image stay zero.
    return tf.one_hot(source, side, dtype=dtype)


def _cutout(images: tf.Tensor, top: tf.Tensor, left: tf.Tensor) -> tf.Tensor:
    """Puts a grey square of side CUT anywhere, also partly outside."""
    rows = _outside_cut(top, images.shape[1])
    columns = _outside_cut(left, images.shape[2])
    kept = tf.logical_or(rows[:, :, tf.newaxis], columns[:, tf.newaxis, :])
    return images * tf.cast(kept, images.dtype)[..., tf.newaxis]


def _outside_cut(numbers: tf.Tensor, side: int) -> tf.Tensor:
    cut = int(side * CUT + 0.5)
    first = _whole(numbers, side + 1 - cut % 2) - cut // 2
    pixels = tf.range(side)[tf.newaxis, :]
    first = first[:, tf.newaxis]
    return tf.logical_or(pixels < first, pixels >= first + cut)


def _whole(numbers: tf.Tensor, count: int) -> tf.Tensor:
    """Whole numbers from 0 to `count` - 1, equally likely."""
    # A number next to 1 may round up to `count`.
    return tf.minimum(tf.cast(numbers * count, tf.int32), count - 1)


def _each(numbers: tf.Tensor) -> tf.Tensor:
    return numbers[:, tf.newaxis, tf.newaxis, tf.newaxis]
