import pathlib

import numpy as np
import pytest

from hcm_tf.config import DataConfig
from hcm_tf.data.cache import cached, data_directory
from hcm_tf.data.image_set import ImageSet


def example(value):
    images = np.full((3, 2, 2, 1), value, np.uint8)
    return ImageSet(images, {"kind": np.arange(3)}, {"kind": ["a", "b", "c"]}, "it")


class Source:
    def __init__(self):
        self.reads = 0

    def __call__(self):
        self.reads += 1
        return example(self.reads), example(100)


@pytest.fixture
def config(tmp_path):
    return DataConfig(dataset="folder:it", data_dir=str(tmp_path))


def test_the_second_read_gives_the_same_without_the_source(config):
    source = Source()
    first = cached(config, {"a": 1}, source)
    second = cached(config, {"a": 1}, source)
    assert source.reads == 1
    for before, after in zip(first, second, strict=True):
        np.testing.assert_array_equal(before.images, after.images)
        np.testing.assert_array_equal(before.labels["kind"], after.labels["kind"])
        assert before.label_names == after.label_names
        assert before.name == after.name


def test_another_key_is_another_entry(config):
    source = Source()
    cached(config, {"a": 1}, source)
    cached(config, {"a": 2}, source)
    assert source.reads == 2


@pytest.mark.parametrize("damage", [b"", b"nonsense", None])
def test_a_corrupt_file_is_rebuilt(config, tmp_path, damage):
    source = Source()
    cached(config, {"a": 1}, source)
    (path,) = tmp_path.rglob("*.npz")
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2] if damage is None else damage)
    train, _ = cached(config, {"a": 1}, source)
    assert (source.reads, train.images[0, 0, 0, 0]) == (2, 2)
    cached(config, {"a": 1}, source)
    assert source.reads == 2


def test_an_unwritable_directory_is_only_a_warning(config, tmp_path, caplog):
    (tmp_path / "hcm_tf_cache").write_text("a file where the directory should be")
    train, _ = cached(config, {"a": 1}, Source())
    assert len(train) == 3
    assert "not cached in" in caplog.text


def test_an_interrupted_write_leaves_nothing(config, tmp_path, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez", interrupt)
    with pytest.raises(KeyboardInterrupt):
        cached(config, {"a": 1}, Source())
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_data_directory_follows_tensorflow_datasets(monkeypatch):
    assert data_directory(DataConfig(data_dir="/a")) == pathlib.Path("/a")
    monkeypatch.setenv("TFDS_DATA_DIR", "/b")
    assert data_directory(DataConfig()) == pathlib.Path("/b")
    monkeypatch.delenv("TFDS_DATA_DIR")
    expected = pathlib.Path.home() / "tensorflow_datasets"
    assert data_directory(DataConfig()) == expected
