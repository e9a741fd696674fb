import os
import pathlib
import subprocess
import threading
import time

import numpy as np
import pytest

from hcm_tf.config import DataConfig
from hcm_tf.data import free_memory
from hcm_tf.data.cache import cached, data_directory, stamp
from hcm_tf.errors import UserError


@pytest.fixture
def config(tmp_path):
    return DataConfig(dataset="folder:it", data_dir=str(tmp_path))


def test_the_second_reading_gives_the_same_without_the_source(config, counted):
    first = cached(config, {"a": 1}, counted.source)
    second = cached(config, {"a": 1}, counted.source)
    assert counted.readings == 1
    for before, after in zip(first, second, strict=True):
        np.testing.assert_array_equal(before.images, after.images)
        assert before.digest() == after.digest()


def test_another_key_is_another_entry(config, counted):
    cached(config, {"a": 1}, counted.source)
    cached(config, {"a": 2}, counted.source)
    assert counted.readings == 2


def test_a_damaged_entry_is_read_from_the_source_once_more(config, counted, tmp_path):
    before, _ = cached(config, {"a": 1}, counted.source)
    (path,) = tmp_path.rglob("about.json")
    path.write_text("")
    after, _ = cached(config, {"a": 1}, counted.source)
    cached(config, {"a": 1}, counted.source)
    assert counted.readings == 2
    np.testing.assert_array_equal(after.images, counted.images[5:])
    # Whoever trains from what was there before goes on with it.
    np.testing.assert_array_equal(before.images, counted.images[5:])


def test_files_of_other_versions_stay(config, counted, tmp_path):
    old = tmp_path / "hcm_tf_cache" / "folder_it-0123456789abcdef0123.npz"
    old.parent.mkdir()
    old.write_bytes(b"old")
    cached(config, {"a": 1}, counted.source)
    assert old.read_bytes() == b"old"


def unwritable(tmp_path):
    (tmp_path / "hcm_tf_cache").write_text("a file where the directory should be")


def test_images_that_cannot_be_cached_are_in_memory(config, counted, tmp_path, caplog):
    unwritable(tmp_path)
    train, held_out = cached(config, {"a": 1}, counted.source)
    assert not isinstance(train.images, np.memmap)
    np.testing.assert_array_equal(train.images, counted.images[5:])
    assert len(held_out) == 5
    assert "not cached in" in caplog.text
    assert "3 files are left out" in caplog.text


def test_images_that_fit_nowhere_are_one_line(config, counted, tmp_path, monkeypatch):
    unwritable(tmp_path)
    monkeypatch.setattr(free_memory, "available", lambda: 33 * 48 - 1)
    with pytest.raises(
        UserError, match=r"counted take 0\.0 GB.* File exists"
    ) as caught:
        cached(config, {"a": 1}, counted.source)
    assert counted.readings == 0
    assert len(str(caught.value).splitlines()) == 1
    assert "--data_dir" in str(caught.value)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 1 MB."""
    path = tmp_path / "disk"
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(path)]
    if os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("needs the right to mount a small file system")
    yield path
    subprocess.run(["umount", str(path)], check=True)


def test_a_disk_that_fills_up_meanwhile(small_disk, make_counted, caplog):
    counted = make_counted(count=15_000)  # 720 kB.
    filler = small_disk / "filler"
    counted.before = lambda number: number == 9_000 and fill_up(filler)
    config = DataConfig(dataset="folder:it", data_dir=str(small_disk))
    train, _ = cached(config, {"a": 1}, counted.source)
    np.testing.assert_array_equal(train.images, counted.images[5:])
    assert "No space left on device" in caplog.text
    left = [path for path in small_disk.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in left if path != filler) == 0


def fill_up(path):
    """All the room there is, the first time only."""
    if path.exists():
        return
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass


def test_two_at_once_read_the_source_once(config, counted):
    """Each opens the lock's file for itself, as two processes would."""
    counted.before = lambda number: time.sleep(0.01)
    found = []

    def work():
        found.append(cached(config, {"a": 1}, counted.source)[0])

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counted.readings == 1
    for train in found:
        np.testing.assert_array_equal(train.images, counted.images[5:])


def test_a_stamp_changes_with_the_file(tmp_path):
    path = tmp_path / "file"
    assert stamp(path) == (0, 0)
    path.write_text("one")
    first = stamp(path)
    assert first[0] == 3
    path.write_text("three")
    assert stamp(path) != first


def test_data_directory_follows_tensorflow_datasets(monkeypatch):
    assert data_directory(DataConfig(data_dir="/a")) == pathlib.Path("/a")
    monkeypatch.setenv("TFDS_DATA_DIR", "/b")
    assert data_directory(DataConfig()) == pathlib.Path("/b")
    monkeypatch.delenv("TFDS_DATA_DIR")
    expected = pathlib.Path.home() / "tensorflow_datasets"
    assert data_directory(DataConfig()) == expected
