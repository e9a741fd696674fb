"""Image files decoded inside the SavedModel, compared with the training data's way."""

import io
import struct
import zlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from export import image_header
from export.images import MAXIMUM_PIXELS, decode, to_pixels
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


# As a graph, since that is what a server gets.
read_header = tf.function(
    image_header.read, input_signature=[tf.TensorSpec((), tf.string)]
)


def header(file: bytes) -> tuple[int, int, int]:
    return tuple(int(value) for value in read_header(tf.constant(file)))


@pytest.mark.parametrize("size", [(300, 200), (1, 1), (70, 513)])
@pytest.mark.parametrize(
    ("form", "mode", "options"),
    [
        ("PNG", "RGBA", {}),
        ("JPEG", "RGB", {}),
        ("JPEG", "L", {"progressive": True, "comment": b"\xff\xc0 in a comment"}),
        ("BMP", "RGB", {}),
        ("WEBP", "RGB", {"lossless": False}),
        ("WEBP", "RGB", {"lossless": True}),
        ("WEBP", "RGBA", {"exif": b"Exif\0\0MM\0*\0\0\0\x08\0\0"}),
    ],
)
def test_the_header_says_what_pillow_says(form, mode, options, size):
    file = io.BytesIO()
    picture(mode, size).save(file, form, **options)
    assert header(file.getvalue()) == (size[1], size[0], 1)


@pytest.mark.parametrize("file", [b"", b"text", b"GIF89a", b"\xff\xd8\xff", b"BM"])
def test_the_header_of_what_is_no_image_has_no_size(file):
    assert header(file)[:2] == (0, 0)


def turned_file(orientation: int, little: bool = False, fill: bytes = b"") -> bytes:
    exif = Image.Exif()
    exif.endian = "<" if little else ">"
    exif[0x010F] = "a maker"
    exif[0x0112] = orientation
    file = io.BytesIO()
    picture("RGB", (96, 61)).save(file, "JPEG", exif=exif.tobytes(), quality=95)
    contents = file.getvalue()
    # Between its segments a JPEG file may have bytes that fill, and marks alone.
    return contents[:2] + fill + contents[2:]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("resize", ["crop", "stretch"])
def test_a_photograph_is_turned_as_pillow_turns_it(orientation, resize):
    file = turned_file(orientation, little=orientation % 2 == 0)
    with Image.open(io.BytesIO(file)) as image:
        assert image.getexif()[0x0112] == orientation
        upright = ImageOps.exif_transpose(image)
        image_format = ImageFormat(
            size=SIZE, channels=3, resize=resize, resize_filter="lanczos"
        )
        expected = image_format.apply(upright).astype(int)
        unturned = image_format.apply(image).astype(int)
    image = decode(tf.constant([file]), SIZE, 3, resize=resize, resize_filter="lanczos")
    assert np.abs(to_uint8(image)[0] - expected).mean() <= 1.5
    # Not turning it is far away.
    assert (np.abs(unturned - expected).mean() > 5) == (orientation != 1)


@pytest.mark.parametrize("fill", [b"\xff\xff\xff", b"\xff\x01"])
def test_filled_segments_are_passed(fill):
    file = turned_file(6, fill=fill)
    assert header(file) == (61, 96, 6)


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_does_not_exist_turns_nothing(orientation):
    assert header(turned_file(orientation))[2] == 1


def bomb_png(width: int, height: int) -> bytes:
    """Says its size, and has no pixels: to read those would be another error."""
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    length, check = struct.pack(">I", 13), struct.pack(">I", zlib.crc32(chunk))
    return b"\x89PNG\r\n\x1a\n" + length + chunk + check


def bomb_jpeg(width: int, height: int) -> bytes:
    file = turned_file(1)
    place = file.index(b"\xff\xc0") + 5
    return file[:place] + struct.pack(">HH", height, width) + file[place + 4 :]


@pytest.mark.parametrize(
    "file",
    [
        bomb_png(5001, 5000),
        bomb_png(2**31 - 1, 2**31 - 1),
        bomb_png(2**32 - 1, 2**32 - 1),
        bomb_png(1, MAXIMUM_PIXELS + 1),
        bomb_jpeg(65535, 65535),
        b"BM" + bytes(16) + struct.pack("<ii", 5001, -5000) + bytes(20),
        b"RIFF\0\0\0\0WEBPVP8X\n\0\0\0\0\0\0\0" + b"\xff" * 6,
        b"RIFF\0\0\0\0WEBPVP8L\n\0\0\0/" + b"\xff\xff\xff\x0f",
        b"RIFF\0\0\0\0WEBPVP8 \n\0\0\0\0\0\0\x9d\x01*" + b"\xff\x3f" * 2,
    ],
)
def test_too_many_pixels_are_refused_before_they_are_decoded(file):
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"25,000,000 pixels"):
        decode(tf.constant([file]), SIZE, 3, resize="crop", resize_filter="area")


def test_the_largest_size_is_read():
    file = encoded(Image.new("1", (5000, 5000), 1), "PNG")
    image = decode(tf.constant([file]), SIZE, 3, resize="crop", resize_filter="area")
    np.testing.assert_array_equal(image, np.ones((1, SIZE, SIZE, 3)))


def test_other_formats_are_refused():
    for file in (encoded(picture("L", (9, 9)), "GIF"), b"text", b""):
        with pytest.raises(tf.errors.InvalidArgumentError, match="Not a PNG, JPEG"):
            decode(tf.constant([file]), SIZE, 3, resize="crop", resize_filter="area")
