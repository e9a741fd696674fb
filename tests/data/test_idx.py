import gzip
import struct

import numpy as np
import pytest

from hcm_tf.config import DataConfig
from hcm_tf.data import idx, load
from hcm_tf.errors import UserError

COUNTS = {"train": 40, "t10k": 30}


def idx_bytes(array):
    header = struct.pack(">HBB", 0, 8, array.ndim)
    return header + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


IMAGES = idx_bytes(np.random.default_rng(1).integers(0, 256, (30, 28, 28), np.uint8))
CUT_SHORT = gzip.compress(IMAGES)[:9000]
WRONG_SUM = gzip.compress(IMAGES)[:-8] + bytes(8)
LACKS_A_BYTE = gzip.compress(IMAGES[:-1])
TOO_LONG = gzip.compress(IMAGES + b"x")
HUGE = gzip.compress(struct.pack(">HBB3I", 0, 8, 3, 30, 2**31, 2**31))


@pytest.fixture
def files(tmp_path):
    random = np.random.default_rng(0)
    for split, count in COUNTS.items():
        images = random.integers(0, 256, (count, 28, 28), np.uint8)
        labels = np.arange(count, dtype=np.uint8) % 10
        path = tmp_path / f"{split}-images-idx3-ubyte.gz"
        path.write_bytes(gzip.compress(idx_bytes(images)))
        (tmp_path / f"{split}-labels-idx1-ubyte").write_bytes(idx_bytes(labels))
    return tmp_path


def config(files, **changes):
    directories = {"manual_dir": str(files), "data_dir": str(files / "data")}
    return DataConfig(**{"dataset": "mnist", **directories, **changes})


@pytest.mark.parametrize("dataset", ["mnist", "fashion_mnist"])
def test_reads_images_and_labels_of_both_splits(files, dataset):
    train, held_out = load(config(files, dataset=dataset, held_out=12), 32, 3)
    assert train.images.shape == (40, 32, 32, 3)
    assert held_out.images.shape == (12, 32, 32, 3)
    np.testing.assert_array_equal(held_out.labels["label"], np.arange(12) % 10)
    assert len(train.label_names["label"]) == 10
    assert train.name == dataset


def test_pixels_are_those_of_the_file(files):
    path = files / "train-images-idx3-ubyte.gz"
    expected = np.random.default_rng(0).integers(0, 256, (40, 28, 28), np.uint8)
    assert idx.shape_of(path) == expected.shape
    np.testing.assert_array_equal(list(idx.items(path)), expected)
    train, _ = load(config(files), 28, 1)
    np.testing.assert_array_equal(train.images[..., 0], expected)


def test_the_second_read_does_not_decode(files, monkeypatch):
    first, _ = load(config(files), 32, 1)
    monkeypatch.setattr(idx, "items", None)
    second, _ = load(config(files), 32, 1)
    np.testing.assert_array_equal(first.images, second.images)


def test_changed_files_are_read_again(files):
    load(config(files), 32, 1)
    images = np.zeros((40, 28, 28), np.uint8)
    path = files / "train-images-idx3-ubyte.gz"
    path.write_bytes(gzip.compress(idx_bytes(images)))
    train, _ = load(config(files), 32, 1)
    assert not train.images.any()


def test_max_images_takes_the_first(files):
    train, _ = load(config(files, max_images=7), 32, 1)
    every, _ = load(config(files, max_images=0), 32, 1)
    assert (len(train), len(every)) == (7, 40)
    np.testing.assert_array_equal(train.images, every.images[:7])


def test_a_missing_file_is_named(files):
    (files / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(UserError, match="lacks t10k-labels-idx1-ubyte"):
        load(config(files), 32, 1)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t10k-labels-idx1-ubyte", b"", "not an IDX file"),
        ("t10k-labels-idx1-ubyte", b"\x89PNG....", "not an IDX file"),
        ("t10k-labels-idx1-ubyte", idx_bytes(np.ones(30, np.uint8))[:-1], "cut short"),
        ("t10k-labels-idx1-ubyte", idx_bytes(np.ones(29, np.uint8)), "do not fit"),
        ("t10k-labels-idx1-ubyte", idx_bytes(np.full(30, 11, np.uint8)), "go up to 11"),
        ("t10k-images-idx3-ubyte.gz", b"no gzip", "cannot be read"),
    ],
)
def test_damaged_files_are_errors(files, name, content, message):
    (files / name).write_bytes(content)
    with pytest.raises(UserError, match=message):
        load(config(files), 32, 1)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(CUT_SHORT, "cannot be read", id="cut short"),
        pytest.param(WRONG_SUM, "cannot be read", id="wrong sum"),
        pytest.param(LACKS_A_BYTE, "cut short", id="lacks a byte"),
        pytest.param(TOO_LONG, "too long", id="too long"),
        pytest.param(HUGE, "do not fit", id="huge"),
    ],
)
def test_damage_is_seen_wherever_in_the_file(files, content, message):
    (files / "t10k-images-idx3-ubyte.gz").write_bytes(content)
    with pytest.raises(UserError, match=message):
        load(config(files), 32, 1)
    assert not list(files.rglob("images.npy"))


def test_the_system_directory_is_the_second_choice(files, monkeypatch, tmp_path):
    monkeypatch.setitem(idx._SYSTEM, "fashion_mnist", files)
    empty = tmp_path / "empty"
    assert idx.find(config(empty, dataset="fashion_mnist")) == files
    assert idx.find(config(empty, dataset="mnist")) is None
