import numpy as np
import pytest

from hcm_tf.data import face_stream, faces


@pytest.mark.parametrize("workers", [1, 3])
def test_order_and_content_do_not_depend_on_the_workers(workers):
    records = list(face_stream.stream(range(20, 27), masks=True, workers=workers))
    assert len(records) == 7
    for index, record in zip(range(20, 27), records, strict=True):
        image, labels = faces.draw(index)
        np.testing.assert_array_equal(record["image"], image)
        assert record["labels"].tolist() == [labels[slot] for slot in faces.SLOTS]
    masks = faces.part_masks(26)
    for part, mask in zip(faces.PARTS, records[-1]["masks"], strict=True):
        np.testing.assert_array_equal(mask, masks[part])


def test_a_worker_that_dies_is_an_error(monkeypatch):
    monkeypatch.setattr(face_stream.sys, "executable", "/bin/true")
    with pytest.raises(RuntimeError, match="face 5 ended early"):
        list(face_stream.stream(range(5, 9), workers=2))


def test_closing_the_stream_ends_the_workers(monkeypatch):
    started = []
    start = face_stream.start_drawing
    monkeypatch.setattr(
        face_stream,
        "start_drawing",
        lambda *args: started.append(start(*args)) or started[-1],
    )
    records = face_stream.stream(range(10_000), workers=2)
    next(records)
    records.close()
    assert [process.poll() is not None for process in started] == [True, True]
