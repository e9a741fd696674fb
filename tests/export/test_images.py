"""Image files decoded inside the SavedModel, compared with the training data's way."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from export.images import decode, to_pixels
from hcm_tf.data.resizing import ImageFormat
from hcm_tf.images import to_uint8

SIZE = 32


def picture(mode: str, size: tuple[int, int]) -> Image.Image:
    """A smooth picture with an edge, in any of Pillow's modes."""
    width, height = size
    y, x = np.mgrid[:height, :width]
    channels = [
        127 + 100 * np.sin(x / width * 5 + shift) * np.cos(y / height * 4)
        for shift in range(4)
    ]
    pixels = np.stack(channels, -1).clip(0, 255).astype("uint8")
    pixels[height // 3 :, width // 2 :, 0] = 250
    return Image.fromarray(pixels, "RGBA").convert(mode)


def encoded(image: Image.Image, form: str) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **({"lossless": True} if form == "WEBP" else {}))
    return file.getvalue()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("resize", ["crop", "stretch"])
@pytest.mark.parametrize("resize_filter", ["lanczos", "area"])
def test_is_close_to_the_training_data(channels, resize, resize_filter):
    files = [
        encoded(picture("RGB", (96, 64)), "PNG"),
        encoded(picture("RGBA", (50, 75)), "PNG"),
        encoded(picture("L", (64, 64)), "PNG"),
        encoded(picture("LA", (64, 128)), "PNG"),
        encoded(picture("RGB", (128, 96)), "WEBP"),
        encoded(picture("RGB", (SIZE, SIZE)), "PNG"),
    ]
    images = decode(
        tf.constant(files), SIZE, channels, resize=resize, resize_filter=resize_filter
    )
    image_format = ImageFormat(
        size=SIZE, channels=channels, resize=resize, resize_filter=resize_filter
    )
    expected = [image_format.apply(Image.open(io.BytesIO(file))) for file in files]
    difference = np.abs(to_uint8(images).astype(int) - np.stack(expected))
    # Pillow rounds between the two directions, TensorFlow does not.
    assert difference.mean(axis=(1, 2, 3)).max() <= 1.0
    assert (difference[-1] <= (0 if channels == 3 else 1)).all()


def test_jpeg_is_read():
    file = encoded(picture("RGB", (64, 64)), "JPEG")
    image = decode(tf.constant([file]), SIZE, 3, resize="crop", resize_filter="lanczos")
    direct = picture("RGB", (64, 64)).resize((SIZE, SIZE), Image.Resampling.LANCZOS)
    difference = np.abs(to_uint8(image)[0].astype(int) - np.asarray(direct))
    assert difference.mean() < 6


def test_pixels_round_as_the_training_data_does():
    values = np.linspace(-1.2, 1.2, 9999, dtype="float32").reshape(1, 99, 101, 1)
    np.testing.assert_array_equal(to_pixels(tf.constant(values)), to_uint8(values))
