"""Pixels and encoded images as TensorFlow operations, for use inside a SavedModel."""

import tensorflow as tf

from export import image_header

# More are refused before they are decoded. These take about a second each, and are
# twice what a telephone's camera makes.
MAXIMUM_PIXELS = 25_000_000
GREY = (0.299, 0.587, 0.114)  # ITU-R 601, as Pillow converts to grey.


def to_pixels(images: tf.Tensor) -> tf.Tensor:
    """float in [-1, 1] -> uint8, rounded and clipped as by `images.to_uint8`."""
    scaled = tf.round((images + 1.0) * 127.5)
    return tf.cast(tf.clip_by_value(scaled, 0.0, 255.0), tf.uint8)


def decode(
    image_bytes: tf.Tensor,
    size: int,
    channels: int,
    *,
    resize: str,
    resize_filter: str,
) -> tf.Tensor:
    """Decodes image files and makes them square, as for training (`DataConfig`).

    Transparent pixels are put on white; a photograph is turned as its EXIF data says.
    At run time INVALID_ARGUMENT refuses a damaged file, one of another format, and one
    of more than MAXIMUM_PIXELS, which it sees before decoding anything.

    Args:
        image_bytes: PNG, JPEG, WebP or BMP files, string `(batch,)`.
        size: height and width of the result.
        channels: 1 for grey, 3 for RGB.
        resize: "crop" cuts the centre square, "stretch" resizes both sides.
        resize_filter: "lanczos" or "area".

    Returns:
        float32 `(batch, size, size, channels)`, in [-1, 1].
    """

    def decode_one(contents: tf.Tensor) -> tf.Tensor:
        image = _decode_upright(contents)
        if resize == "crop":
            image = _centre_square(image)
        image = _resize(_opaque(image), size, resize_filter)
        if channels == 1:
            image = tf.tensordot(image, tf.constant(GREY), 1)[..., tf.newaxis]
        # Training images are 8-bit too.
        image = tf.clip_by_value(tf.round(image), 0.0, 255.0)
        return tf.ensure_shape(image / 127.5 - 1.0, (size, size, channels))

    return tf.map_fn(
        decode_one,
        image_bytes,
        fn_output_signature=tf.float32,
        parallel_iterations=1,  # Several large images at once would fill the memory.
    )


def _decode_upright(contents: tf.Tensor) -> tf.Tensor:
    """One file -> uint8 `(height, width, channels)`, of 1 to 4 channels."""
    height, width, orientation = image_header.read(contents)
    known = tf.debugging.Assert(
        (height > 0) & (width > 0), ["Not a PNG, JPEG, WebP or BMP file."]
    )
    with tf.control_dependencies([known]):
        # Not the product, which may be too large for an integer.
        few = height <= MAXIMUM_PIXELS // tf.maximum(width, 1)
    small = tf.debugging.Assert(
        few,
        [f"More than {MAXIMUM_PIXELS:,} pixels (height, width):", height, width],
    )
    with tf.control_dependencies([known, small]):
        contents = tf.identity(contents)
    image = tf.io.decode_image(contents, expand_animations=False)
    image = tf.reshape(image, tf.concat([[-1], tf.shape(image)[-3:]], 0))[0]
    return image_header.turn(image, orientation)


def _opaque(image: tf.Tensor) -> tf.Tensor:
    """uint8 of 1 to 4 channels -> float32 RGB in [0, 255]."""
    shape = tf.shape(image)
    image = tf.cast(image, tf.float32)
    transparent = shape[-1] % 2 == 0  # Grey or RGB, with an alpha channel.
    colours = tf.where(transparent, shape[-1] - 1, shape[-1])
    alpha = tf.where(transparent, image[..., -1:] / 255.0, 1.0)
    rgb = tf.broadcast_to(
        image[..., :colours], tf.stack([shape[0], shape[1], tf.constant(3)])
    )
    return rgb * alpha + 255.0 * (1.0 - alpha)


def _centre_square(image: tf.Tensor) -> tf.Tensor:
    height, width = tf.shape(image)[0], tf.shape(image)[1]
    side = tf.minimum(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return image[top : top + side, left : left + side]


def _resize(image: tf.Tensor, size: int, resize_filter: str) -> tf.Tensor:
    if resize_filter == "area":
        return tf.image.resize(image, (size, size), "area")
    return tf.image.resize(image, (size, size), "lanczos3", antialias=True)
