import os

import numpy as np
import pytest
from PIL import Image

from hcm_tf.config import DataConfig
from hcm_tf.data import load
from hcm_tf.data.folder import _decode_one
from hcm_tf.data.resizing import ImageFormat
from hcm_tf.errors import UserError

GREY = ImageFormat(size=32, channels=1, resize="crop", resize_filter="area")
RGB = ImageFormat(size=32, channels=3, resize="crop", resize_filter="area")


@pytest.fixture
def root(tmp_path):
    (tmp_path / "images").mkdir()
    return tmp_path / "images"


def write_images(root, count, extension="png", start=0):
    """Plain images: the grey value of each is its number."""
    root.mkdir(parents=True, exist_ok=True)
    for value in range(start, start + count):
        image = Image.new("RGB", (32, 32), (value,) * 3)
        image.save(root / f"{value}.{extension}")


def config(root, **changes):
    data_dir = str(root.parent / "data")
    return DataConfig(**{"dataset": f"folder:{root}", "data_dir": data_dir, **changes})


def values(images):
    return images.images[:, 0, 0, 0].tolist()


def test_every_image_is_used_once(root):
    write_images(root, 60)
    train, held_out = load(config(root, held_out=10), 32, 3)
    assert (len(train), len(held_out)) == (50, 10)
    assert sorted(values(train) + values(held_out)) == list(range(60))
    assert train.labels == {}


def test_the_held_out_images_do_not_depend_on_the_limit(root):
    write_images(root, 60)
    every, held_out = load(config(root, held_out=10), 32, 3)
    some, same = load(config(root, held_out=10, max_images=20), 32, 3)
    assert values(some) == values(every)[:20]
    assert values(same) == values(held_out)


@pytest.mark.parametrize(
    ("limits", "digest"),
    [
        ({"held_out": 10, "max_images": 0}, "5ec7d517a2049c2abf4400afed4f39c5"),
        ({"held_out": 10, "max_images": 20}, "9f4e10836170e08aa3c4d81e8d430a00"),
        ({"held_out": 500}, "a6b493a0f4f3809620a5bf0f5d068955"),
    ],
)
def test_a_run_of_version_0_4_goes_on_with_its_images(root, limits, digest):
    """The digests are those that 0.4.0 recorded, of folders whose order is delicate."""
    for number in range(60):
        write_images(root / ("a", "a-b", "a/b", ".")[number % 4], 1, start=number)
    train, _ = load(config(root, **limits), 32, 3)
    assert train.digest().startswith(digest)
    assert train.label_names == {"folder": [".", "a", "a-b", "a/b"]}


def test_sub_folders_become_the_label(root):
    for number, name in enumerate(("cats", "dogs")):
        write_images(root / name, 30, start=100 * number)
    train, _ = load(config(root, held_out=5), 32, 3)
    assert train.label_names == {"folder": ["cats", "dogs"]}
    np.testing.assert_array_equal(
        train.labels["folder"], np.array(values(train)) // 100
    )


def test_a_single_sub_folder_is_no_label(root):
    write_images(root / "images", 30)
    train, _ = load(config(root), 32, 3)
    assert train.labels == {}


def test_few_images_train_with_a_smaller_held_out_set(root, caplog):
    write_images(root, 100)
    train, held_out = load(config(root), 32, 3)
    assert (len(train), len(held_out)) == (90, 10)
    assert "100 images: 10 are held out, not 500" in caplog.text
    assert "--max_images" not in caplog.text


@pytest.mark.parametrize(("asked", "held"), [(100, 100), (200, 30)])
def test_a_limit_does_not_make_a_source_small(root, caplog, asked, held):
    write_images(root, 300)
    train, held_out = load(config(root, held_out=asked, max_images=40), 32, 3)
    assert (len(train), len(held_out)) == (40, held)
    assert ("300 images: 30 are held out, not 200." in caplog.text) == (held != asked)
    most = 40 + asked
    assert f"300 image files, and {most} of them are used, at random" in caplog.text


def test_unreadable_files_are_counted_and_named(root, caplog):
    write_images(root, 40)
    (root / "text.png").write_text("not an image")
    (root / "empty.jpg").touch()
    Image.new("RGB", (64, 64), "red").save(root / "whole.jpg")
    whole = (root / "whole.jpg").read_bytes()
    (root / "whole.jpg").unlink()
    (root / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    train, held_out = load(config(root, held_out=10), 32, 3)
    assert sorted(values(train) + values(held_out)) == list(range(40))
    assert "3 file(s)" in caplog.text
    for name in ("text.png (not an image)", "empty.jpg (empty)", "cut.jpg ("):
        assert name in caplog.text
    caplog.clear()
    load(config(root, held_out=10), 32, 3)  # From the cache.
    assert "3 file(s)" in caplog.text


def test_no_more_than_five_unreadable_files_are_named(root, caplog):
    write_images(root, 40)
    for number in range(7):
        (root / f"{number}.gif").touch()
    load(config(root, held_out=10), 32, 3)
    assert "7 file(s)" in caplog.text
    assert caplog.text.count("(empty)") == 5
    assert "(empty), ..." in caplog.text


def test_changed_files_are_read_again(root):
    write_images(root, 30)
    load(config(root), 32, 3)
    write_images(root, 1, start=200)
    train, held_out = load(config(root), 32, 3)
    assert 200 in values(train) + values(held_out)


def test_hidden_and_other_files_are_ignored(root):
    write_images(root, 30)
    (root / "._1.png").write_text("a resource fork")
    (root / "notes.txt").write_text("notes")
    train, held_out = load(config(root), 32, 3)
    assert len(train) + len(held_out) == 30


def test_three_images_are_an_error_with_the_numbers(root):
    write_images(root, 3)
    with pytest.raises(UserError, match=r"has 3 usable image.* at least 20"):
        load(config(root), 32, 3)


def test_a_folder_without_images_is_an_error(root):
    (root / "notes.txt").write_text("notes")
    with pytest.raises(UserError, match="has no images"):
        load(config(root), 32, 3)


def test_a_missing_folder_and_a_file_are_errors(root):
    with pytest.raises(UserError, match="does not exist"):
        load(config(root / "none"), 32, 3)
    (root / "a.png").touch()
    with pytest.raises(UserError, match="is a file"):
        load(config(root / "a.png"), 32, 3)


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is unreadable for root")
def test_an_unreadable_folder_is_an_error(root):
    write_images(root / "closed", 1)
    (root / "closed").chmod(0)
    with pytest.raises(UserError, match="cannot be read"):
        load(config(root), 32, 3)
    (root / "closed").chmod(0o700)


def decode(path, image_format=RGB):
    result = _decode_one(path, image_format)
    assert isinstance(result, np.ndarray), result
    return result


@pytest.mark.parametrize(
    ("extension", "tolerance"),
    [
        *[("png", 0), ("BMP", 0), ("tiff", 0), ("tif", 0)],
        *[("jpg", 2), ("JPEG", 2), ("webp", 4), ("gif", 3)],
    ],
)
def test_formats(root, extension, tolerance):
    path = root / f"image.{extension}"
    Image.new("RGB", (50, 40), (200, 100, 50)).save(path)
    expected = np.broadcast_to((200, 100, 50), (32, 32, 3))
    np.testing.assert_allclose(decode(path), expected, atol=tolerance)


def test_one_pixel(root):
    Image.new("RGB", (1, 1), (9, 8, 7)).save(root / "a.png")
    expected = np.broadcast_to((9, 8, 7), (32, 32, 3))
    np.testing.assert_array_equal(decode(root / "a.png"), expected)


def test_exif_orientation_turns_the_image(root):
    pixels = np.zeros((32, 32, 3), np.uint8)
    pixels[:16] = 255  # The upper half is white.
    exif = Image.Exif()
    exif[0x0112] = 6  # Turn by 90 degrees clockwise to see it upright.
    Image.fromarray(pixels).save(root / "a.jpg", exif=exif, quality=95)
    np.testing.assert_allclose(decode(root / "a.jpg"), np.rot90(pixels, -1), atol=3)


def test_16_bit_grey_png_is_scaled(root):
    pixels = np.linspace(0, 65535, 32 * 32).astype(np.uint16).reshape(32, 32)
    Image.fromarray(pixels).save(root / "a.png")
    expected = pixels[..., None] / 65535 * 255
    np.testing.assert_allclose(decode(root / "a.png", GREY), expected, atol=0.51)


def test_palette_png_with_transparency_is_put_on_white(root):
    image = Image.new("P", (32, 32), 0)
    image.putpalette([255, 0, 0, 0, 255, 0])
    image.paste(1, (16, 0, 32, 32))
    image.save(root / "a.png", transparency=1)
    received = decode(root / "a.png")
    np.testing.assert_array_equal(received[0, 0], (255, 0, 0))
    np.testing.assert_array_equal(received[0, 31], (255, 255, 255))


def test_alpha_png_is_put_on_white(root):
    Image.new("RGBA", (32, 32), (255, 0, 0, 51)).save(root / "a.png")
    expected = np.broadcast_to((255, 204, 204), (32, 32, 3))
    np.testing.assert_allclose(decode(root / "a.png"), expected, atol=1)


def test_cmyk_jpeg(root):
    Image.new("CMYK", (32, 32), (0, 255, 255, 0)).save(root / "a.jpg", quality=95)
    expected = np.broadcast_to((255, 0, 0), (32, 32, 3))
    np.testing.assert_allclose(decode(root / "a.jpg"), expected, atol=4)


def test_an_animation_gives_its_first_frame(root):
    first, second = (Image.new("RGB", (32, 32), color) for color in ("red", "blue"))
    first.save(root / "a.gif", save_all=True, append_images=[second])
    expected = np.broadcast_to((255, 0, 0), (32, 32, 3))
    np.testing.assert_array_equal(decode(root / "a.gif"), expected)


def test_a_large_jpeg_is_filtered_as_if_decoded_in_full(root):
    ramp = np.linspace(0, 255, 2048).astype(np.uint8)
    pixels = np.broadcast_to(ramp[:, None], (2048, 2048))
    Image.fromarray(pixels).save(root / "a.jpg", quality=95)
    expected = pixels.reshape(32, 64, 32, 64).mean(axis=(1, 3))[..., None]
    np.testing.assert_allclose(decode(root / "a.jpg", GREY), expected, atol=2)


def test_a_decompression_bomb_is_not_decoded(root):
    Image.new("1", (20_000, 20_000)).save(root / "a.png")
    assert "pixels" in _decode_one(root / "a.png", RGB)
