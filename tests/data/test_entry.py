import errno
import hashlib
import json

import numpy as np
import pytest

from hcm_tf.data.array_file import ArrayWriter
from hcm_tf.data.entry import Unwritable, read, store
from hcm_tf.data.source import in_memory


@pytest.fixture
def entry(tmp_path, counted):
    store(tmp_path / "entry", counted.source)
    return tmp_path / "entry"


@pytest.mark.parametrize("limit", [0, 7])
def test_what_is_read_is_what_memory_would_have(tmp_path, make_counted, limit):
    counted = make_counted(limit=limit)
    store(tmp_path / "entry", counted.source)
    for found, expected in zip(
        read(tmp_path / "entry"), in_memory(counted.source), strict=True
    ):
        assert isinstance(found.images, np.memmap)
        np.testing.assert_array_equal(found.images, expected.images)
        assert found.labels.keys() == expected.labels.keys()
        for kind, label in found.labels.items():
            np.testing.assert_array_equal(label, expected.labels[kind])
        assert found.label_names == expected.label_names
        assert found.name == expected.name
        assert found.digest() == expected.digest()


def test_the_digest_is_that_of_the_array_and_is_not_computed_again(entry, counted):
    """Of shape and pixels, as of every version before: runs go on by it."""
    train = counted.images[5:]
    expected = hashlib.sha256(str(train.shape).encode() + train.tobytes()).hexdigest()
    found = read(entry)[0]
    assert found.digest() == expected
    assert found.part(0, 9).digest() != expected
    about = json.loads((entry / "about.json").read_text())
    assert about["sha256"] == expected
    (entry / "about.json").write_text(json.dumps({**about, "sha256": "known"}))
    assert read(entry)[0].digest() == "known"


def test_what_was_left_out_is_told_at_every_reading(entry, caplog):
    for _ in range(2):
        caplog.clear()
        read(entry)
        assert "3 files are left out" in caplog.text


def test_images_are_written_as_they_come(tmp_path, counted):
    """None of the last thousand is held back, and an item takes no room in memory."""
    counted = type(counted)(count=100_000)
    path, lengths = tmp_path / ".entry.partial" / "images.npy", []
    counted.before = lambda number: lengths.append(path.stat().st_size)
    store(tmp_path / "entry", counted.source)
    written = (np.array(lengths) - 128) // 48
    behind = np.arange(100_000) - written
    assert written[-1] > 50_000
    assert np.all(behind >= 0)
    assert np.all(behind <= 2**20 // 48 + 1)  # The file's buffer.


@pytest.mark.parametrize("at", [0, 17, 29])
@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_an_interrupted_reading_leaves_nothing(tmp_path, counted, at, error):
    def interrupt(number):
        if number == at:
            raise error

    counted.before = interrupt
    with pytest.raises(error):
        store(tmp_path / "entry", counted.source)
    assert list(tmp_path.iterdir()) == []
    assert read(tmp_path / "entry") is None


def test_what_a_killed_process_left_is_not_read_and_replaced(tmp_path, counted):
    partial = tmp_path / ".entry.partial"
    partial.mkdir()
    (partial / "images.npy").write_bytes(b"half")
    assert read(tmp_path / "entry") is None
    store(tmp_path / "entry", counted.source)
    assert [path.name for path in tmp_path.iterdir()] == ["entry"]
    np.testing.assert_array_equal(
        read(tmp_path / "entry")[0].images, counted.images[5:]
    )


def cut(path):
    path.write_bytes(path.read_bytes()[:-1])


def empty(path):
    path.write_bytes(b"")


def nonsense(path):
    path.write_bytes(b"nonsense")


def missing(path):
    path.unlink()


def another_array(path):
    with path.open("wb") as file:
        np.save(file, np.zeros((29, 4, 4, 3), np.uint8))


def pickled(path):
    with path.open("wb") as file:
        np.save(file, np.array([None, {}]), allow_pickle=True)


@pytest.mark.parametrize("name", ["images.npy", "label-1.npy", "about.json"])
@pytest.mark.parametrize(
    "damage", [cut, empty, nonsense, missing, another_array, pickled]
)
def test_a_damaged_entry_is_not_read_and_stored_anew(
    entry, counted, name, damage, caplog
):
    if (name, damage) == ("about.json", cut):
        (entry / name).write_text((entry / name).read_text().rstrip())
    damage(entry / name)
    assert read(entry) is None
    assert "is not readable, and is rebuilt" in caplog.text
    store(entry, counted.source)
    np.testing.assert_array_equal(read(entry)[0].images, counted.images[5:])


@pytest.mark.parametrize("about", ["[]", "{}", '{"count": "x"}', "1"])
def test_a_description_of_nonsense_is_not_read(entry, about):
    (entry / "about.json").write_text(about)
    assert read(entry) is None


@pytest.mark.parametrize("method", ["append", "finish", "__init__"])
def test_a_full_disk_leaves_nothing(tmp_path, counted, monkeypatch, method):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(ArrayWriter, method, full)
    with pytest.raises(Unwritable, match="No space left"):
        store(tmp_path / "entry", counted.source)
    assert list(tmp_path.iterdir()) == []


def test_a_source_that_cannot_be_read_is_no_fault_of_the_disk(tmp_path, counted):
    def broken(number):
        raise OSError("the source's disk")

    counted.before = broken
    with pytest.raises(OSError, match="the source's disk"):
        store(tmp_path / "entry", counted.source)


def test_too_little_room_is_told_before_anything_is_read(
    tmp_path, counted, monkeypatch
):
    usage = type("Usage", (), {"free": 33 * 48 - 1})
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage)
    with pytest.raises(Unwritable, match=r"0\.0 GB needed"):
        store(tmp_path / "entry", counted.source)
    assert counted.readings == 0
