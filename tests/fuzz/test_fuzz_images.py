"""Damaged image files are refused where they are read, in bounded memory."""

import io
import resource

import numpy as np
import pytest
import tensorflow as tf
from fuzzing import EXAMPLES, attempt, damaged, tries
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from export import images
from hcm_tf.data.folder import _decode_one
from hcm_tf.data.resizing import ImageFormat
from hcm_tf.errors import UserError
from hcm_tf.explain.inputs import read_image

FORMAT = ImageFormat(size=32, channels=3, resize="crop", resize_filter="lanczos")
# As the readers do: Pillow warns about oddities that keep no image from being read.
pytestmark = pytest.mark.filterwarnings("ignore")
# Turned by a quarter (EXIF 2.3, tag 0x0112).
TURNED = b"Exif\0\0II*\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0\6\0\0\0\0\0\0\0"
# (format, mode, what else the file has)
KINDS = (
    ("PNG", "RGBA", {}),
    ("PNG", "P", {}),
    ("PNG", "I;16", {}),
    (
        "JPEG",
        "RGB",
        {"exif": TURNED},
    ),
    ("JPEG", "CMYK", {"progressive": True}),
    ("WEBP", "RGB", {}),
    ("WEBP", "RGBA", {"lossless": True}),
    ("GIF", "P", {}),
    ("BMP", "RGB", {}),
    ("TIFF", "RGB", {"compression": "tiff_lzw"}),
)
GIGABYTE = 2**30


def file(kind, mode, options):
    pixels = np.random.default_rng(0).integers(0, 256, (24, 40, 4), "uint8")
    image = Image.fromarray(pixels).convert("RGBA")
    image = image.convert("L" if mode == "I;16" else "RGB" if mode != "RGBA" else mode)
    written = io.BytesIO()
    image.convert(mode).save(written, kind, **options)
    return written.getvalue()


FILES = [file(*kind) for kind in KINDS]
CONTENTS = st.sampled_from(FILES).flatmap(damaged)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("images") / "image.bin"


@pytest.fixture(scope="module")
def decode():
    """What a served model does with a file."""
    return tf.function(
        lambda contents: images.decode(
            contents, 32, 3, resize="crop", resize_filter="lanczos"
        ),
        input_signature=[tf.TensorSpec([None], tf.string)],
        autograph=False,
    )


@pytest.fixture(scope="module", autouse=True)
def bounded_memory():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    yield
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    assert after - before < GIGABYTE


@tries(EXAMPLES)
@given(contents=CONTENTS)
def test_in_a_folder(contents, path):
    path.write_bytes(contents)
    result = _decode_one(path, FORMAT)
    if not isinstance(result, str):
        assert (result.shape, result.dtype) == ((32, 32, 3), np.uint8)
    else:
        assert result


@tries(EXAMPLES)
@given(contents=CONTENTS)
def test_of_one_to_explain(contents, path, tiny_config):
    path.write_bytes(contents)
    image, refusal = attempt(lambda: read_image(path, tiny_config, fit=True), UserError)
    if refusal:
        assert str(path) in str(refusal)
    else:
        assert image.shape == (32, 32, 3)
        assert np.abs(image).max() <= 1


@tries(EXAMPLES)
@given(contents=CONTENTS)
def test_in_a_served_model(contents, decode):
    image, refusal = attempt(
        lambda: decode(tf.constant([contents])), tf.errors.InvalidArgumentError
    )
    if not refusal:
        assert image.shape == (1, 32, 32, 3)
        assert np.abs(image).max() <= 1


@pytest.mark.parametrize("index", range(len(KINDS)))
def test_the_files_are_good_before_they_are_damaged(index, path, decode):
    path.write_bytes(FILES[index])
    assert not isinstance(_decode_one(path, FORMAT), str)
    if KINDS[index][0] in ("PNG", "JPEG", "WEBP", "BMP") and KINDS[index][1] != "CMYK":
        decode(tf.constant([FILES[index]]))
