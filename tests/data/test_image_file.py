"""Image files upright, within bounds; the oracle of a turn is Pillow's own."""

import numpy as np
import pytest
from PIL import Image, ImageOps

from hcm_tf.data import image_file
from hcm_tf.data.folder import _decode_one
from hcm_tf.data.resizing import ImageFormat
from hcm_tf.errors import UserError
from hcm_tf.explain import inputs
from hcm_tf.images import to_float

FORMAT = ImageFormat(size=32, channels=3, resize="crop", resize_filter="lanczos")


def turned_file(path, orientation):
    """A smooth picture without symmetry, whose EXIF data asks for a turn."""
    y, x = np.mgrid[:32, :48]
    pixels = np.stack([5 * x, 7 * y, 3 * x + 2 * y], -1).astype("uint8")
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(path, exif=exif, quality=95)
    return path


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_reader_turns_as_pillow_does(tmp_path, tiny_config, orientation):
    path = turned_file(tmp_path / "a.jpg", orientation)
    with Image.open(path) as image:
        expected = ImageOps.exif_transpose(image)
        unturned = FORMAT.apply(image).astype(int)
    np.testing.assert_array_equal(image_file.decode(path), expected)
    upright = FORMAT.apply(expected)
    np.testing.assert_array_equal(_decode_one(path, FORMAT), upright)
    np.testing.assert_array_equal(
        inputs.read_image(path, tiny_config, fit=True), to_float(upright)
    )
    # Not turning it is seen.
    far = np.abs(unturned - upright).mean() > 10
    assert far == (orientation != 1)


def test_an_image_that_fits_is_turned_too(tmp_path, tiny_config):
    pixels = np.zeros((32, 32, 3), "uint8")
    pixels[:16] = 255
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=exif)
    received = inputs.read_image(tmp_path / "a.png", tiny_config)
    np.testing.assert_array_equal(received, to_float(np.rot90(pixels, -1)))


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("size", [(10_001, 10_000), (20_000, 20_000)])
def test_too_many_pixels_are_named_and_not_decoded(tmp_path, tiny_config, size):
    path = tmp_path / "large.png"
    Image.new("1", size).save(path)
    with pytest.raises(UserError) as caught:
        inputs.read_image(path, tiny_config, fit=True)
    line = str(caught.value)
    assert "\n" not in line
    assert str(path) in line
    assert "more than 100,000,000 pixels" in line
    assert "100,000,000 pixels" in _decode_one(path, FORMAT)
