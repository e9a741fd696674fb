import pathlib

import numpy as np
import pytest

from hcm_tf.data.array_file import ArrayWriter


@pytest.mark.parametrize("count", [1, 9, 1234])
@pytest.mark.parametrize(("shape", "kind"), [((2, 3), np.uint8), ((), np.int64)])
def test_the_file_is_what_numpy_would_have_written(tmp_path, count, shape, kind):
    items = np.random.default_rng(0).integers(0, 99, (count, *shape)).astype(kind)
    writer = ArrayWriter(tmp_path / "a.npy", shape, kind)
    for item in items:
        writer.append(item)
    writer.finish()
    np.save(tmp_path / "b.npy", items)
    assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "b.npy").read_bytes()
    mapped = np.load(tmp_path / "a.npy", mmap_mode="r")
    np.testing.assert_array_equal(mapped, items)


def test_an_item_of_another_shape_is_refused(tmp_path):
    writer = ArrayWriter(tmp_path / "a.npy", (2,), np.uint8)
    with pytest.raises(ValueError, match=r"An item is \(2,\)\. Received: \(3,\)"):
        writer.append(np.zeros(3, np.uint8))
    writer.close()


def test_an_unfinished_file_has_no_items(tmp_path):
    writer = ArrayWriter(tmp_path / "a.npy", (2,), np.uint8)
    writer.append(np.zeros(2, np.uint8))
    writer.close()
    assert len(np.load(tmp_path / "a.npy")) == 0


@pytest.mark.skipif(not pathlib.Path("/dev/full").exists(), reason="Linux's full disk")
def test_a_full_disk_is_an_error_and_can_be_closed():
    with pytest.raises(OSError, match="No space left"):
        fill(ArrayWriter(pathlib.Path("/dev/full"), (2**19,), np.uint8))


def fill(writer):
    try:
        for _ in range(9):
            writer.append(np.zeros(2**19, np.uint8))
    finally:
        writer.close()
