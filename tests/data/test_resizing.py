import numpy as np
import pytest
from PIL import Image

from hcm_tf.config import DataConfig
from hcm_tf.data.resizing import ImageFormat


def image_format(size=4, channels=3, resize="crop", resize_filter="area"):
    config = DataConfig(resize=resize, resize_filter=resize_filter)
    return ImageFormat.of(config, size, channels)


def test_area_filter_is_the_mean_of_each_block():
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    expected = pixels.reshape(4, 2, 4, 2, 3).mean(axis=(1, 3))
    received = image_format().apply_to_array(pixels)
    # Pillow rounds to 8 bits after each of the two passes.
    np.testing.assert_allclose(received, expected, atol=1.01)


def lanczos_weights(inputs, outputs):
    """Row-stochastic matrix of the antialiased Lanczos filter with a = 3."""
    scale = inputs / outputs
    centres = (np.arange(outputs) + 0.5) * scale
    x = (np.arange(inputs) + 0.5 - centres[:, None]) / scale
    weights = np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0)
    return weights / weights.sum(axis=1, keepdims=True)


def test_lanczos_filter_equals_its_definition():
    pixels = np.random.default_rng(1).integers(64, 192, (24, 24), np.uint8)
    weights = lanczos_weights(24, 6)
    expected = np.clip(weights @ pixels @ weights.T, 0, 255)
    received = image_format(6, 1, resize_filter="lanczos").apply_to_array(pixels)
    # Pillow rounds to 8 bits after each of the two passes.
    np.testing.assert_allclose(received[..., 0], expected, atol=1.5)


@pytest.mark.parametrize("wide", [True, False])
def test_crop_keeps_the_centre_square_alone(wide):
    pixels = np.full((8, 20, 3), 255, np.uint8)
    pixels[:, 6:14] = np.arange(8, dtype=np.uint8)[:, None, None]
    expected = np.broadcast_to(np.arange(8)[:, None, None], (8, 8, 3))
    if not wide:
        pixels, expected = pixels.swapaxes(0, 1), expected.swapaxes(0, 1)
    received = image_format(8).apply_to_array(pixels)
    np.testing.assert_array_equal(received, expected)


def test_stretch_uses_the_whole_image():
    pixels = np.zeros((4, 8, 3), np.uint8)
    pixels[:, 4:] = 200
    received = image_format(resize="stretch").apply_to_array(pixels)
    np.testing.assert_array_equal(received[0, :, 0], [0, 0, 200, 200])


def test_an_image_of_the_right_size_is_unchanged():
    pixels = np.random.default_rng(2).integers(0, 256, (4, 4, 3), np.uint8)
    received = image_format(resize_filter="lanczos").apply_to_array(pixels)
    np.testing.assert_array_equal(received, pixels)


def test_colour_to_grey_is_luma_and_grey_to_colour_repeats():
    pixels = np.full((4, 4, 3), (200, 100, 50), np.uint8)
    grey = image_format(channels=1).apply_to_array(pixels)
    assert grey.shape == (4, 4, 1)
    luma = 0.299 * 200 + 0.587 * 100 + 0.114 * 50
    np.testing.assert_allclose(grey, luma, atol=0.51)
    colour = image_format(size=8).apply_to_array(grey)
    np.testing.assert_array_equal(colour, np.full((8, 8, 3), grey[0, 0, 0]))


def test_transparent_pixels_become_white():
    image = Image.new("RGBA", (4, 4), (0, 0, 0, 128))
    received = image_format().apply(image)
    np.testing.assert_allclose(received, 255 * (1 - 128 / 255), atol=1)


def test_16_bit_is_scaled_not_clipped():
    pixels = np.full((4, 4), 32768, np.uint16)
    received = image_format(channels=1).apply_to_array(pixels)
    np.testing.assert_array_equal(received, np.full((4, 4, 1), 128))


def test_other_pixels_are_refused():
    with pytest.raises(ValueError, match=r"8 or 16 bit\. Received: float32"):
        image_format().apply_to_array(np.zeros((4, 4, 3), np.float32))
    with pytest.raises(ValueError, match="floating-point"):
        image_format().apply(Image.new("F", (4, 4)))
    with pytest.raises(ValueError, match="32-bit"):
        image_format().apply(Image.new("I", (4, 4), 70_000))
