"""Pixels and encoded images as TensorFlow operations, for use inside a SavedModel."""

import tensorflow as tf

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

    Transparent pixels are put on white; of an animation the first frame counts. Not as
    for training: a rotation in a photograph's EXIF data is ignored.

    Args:
        image_bytes: PNG, JPEG or WebP files (also BMP and GIF), string `(batch,)`.
        size: height and width of the result.
        channels: 1 for grey, 3 for RGB.
        resize: "crop" cuts the centre square, "stretch" resizes both sides.
        resize_filter: "lanczos" or "area".

    Returns:
        float32 `(batch, size, size, channels)`, in [-1, 1].
    """

    def decode_one(contents: tf.Tensor) -> tf.Tensor:
        image = _opaque(tf.io.decode_image(contents, expand_animations=False))
        if resize == "crop":
            image = _centre_square(image)
        image = _resize(image, size, resize_filter)
        if channels == 1:
            image = tf.tensordot(image, tf.constant(GREY), 1)[..., tf.newaxis]
        # Training images are 8-bit too.
        image = tf.clip_by_value(tf.round(image), 0.0, 255.0)
        return tf.ensure_shape(image / 127.5 - 1.0, (size, size, channels))

    return tf.map_fn(decode_one, image_bytes, fn_output_signature=tf.float32)


def _opaque(image: tf.Tensor) -> tf.Tensor:
    """uint8 of 1 to 4 channels, perhaps frames -> float32 RGB in [0, 255]."""
    shape = tf.shape(image)[-3:]
    image = tf.reshape(image, tf.concat([[-1], shape], 0))[0]
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
