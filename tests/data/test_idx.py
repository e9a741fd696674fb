import gzip
import struct

import numpy as np
import pytest

from hcm_tf.config import DataConfig
from hcm_tf.data import idx, load
from hcm_tf.errors import UserError

COUNTS = {"train": 40, "t10k": 30}

# Without the time, which would be part of the test's name.
CUT_SHORT = gzip.compress(b"x" * 99, mtime=0)[:20]


def idx_bytes(array):
    header = struct.pack(">HBB", 0, 8, array.ndim)
    return header + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


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
    return DataConfig(**{"dataset": "mnist", "manual_dir": str(files), **changes})


@pytest.mark.parametrize("dataset", ["mnist", "fashion_mnist"])
def test_reads_images_and_labels_of_both_splits(files, dataset):
    train, held_out = load(config(files, dataset=dataset, held_out=12), 32, 3)
    assert train.images.shape == (40, 32, 32, 3)
    assert held_out.images.shape == (12, 32, 32, 3)
    np.testing.assert_array_equal(held_out.labels["label"], np.arange(12) % 10)
    assert len(train.label_names["label"]) == 10
    assert train.name == dataset


def test_pixels_are_those_of_the_file(files):
    raw = idx.read_idx(files / "train-images-idx3-ubyte.gz")
    expected = np.random.default_rng(0).integers(0, 256, (40, 28, 28), np.uint8)
    np.testing.assert_array_equal(raw, expected)


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
        ("t10k-images-idx3-ubyte.gz", CUT_SHORT, "cannot be read"),
        ("t10k-images-idx3-ubyte.gz", b"no gzip", "cannot be read"),
    ],
)
def test_damaged_files_are_errors(files, name, content, message):
    (files / name).write_bytes(content)
    with pytest.raises(UserError, match=message):
        load(config(files), 32, 1)


def test_the_system_directory_is_the_second_choice(files, monkeypatch, tmp_path):
    monkeypatch.setitem(idx._SYSTEM, "fashion_mnist", files)
    empty = tmp_path / "empty"
    assert idx.find(config(empty, dataset="fashion_mnist")) == files
    assert idx.find(config(empty, dataset="mnist")) is None
