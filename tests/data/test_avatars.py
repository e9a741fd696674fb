import numpy as np
import pytest

from hcm_tf.config import DataConfig
from hcm_tf.data import avatars, faces, load, load_parts
from hcm_tf.errors import UserError


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.setattr(avatars, "TRAIN_FACES", 12)
    monkeypatch.setattr(avatars, "TEST_FACES", 5)
    return DataConfig(data_dir=str(tmp_path), held_out=4)


def test_load_gives_the_faces_and_their_labels(config):
    train, held_out = load(config, 64, 3)
    assert train.images.shape == (12, 64, 64, 3)
    assert held_out.images.shape == (4, 64, 64, 3)
    assert train.label_names == {
        slot: list(names) for slot, names in faces.SLOTS.items()
    }
    drawn = {}
    for index in range(12):
        image, labels = faces.draw(index)
        drawn[image.tobytes()] = labels
    for position, image in enumerate(train.images):
        labels = drawn.pop(image.tobytes())  # So each face occurs once.
        received = {slot: label[position] for slot, label in train.labels.items()}
        assert received == labels


def test_grey_and_another_size(config):
    train, _ = load(config, 32, 1)
    assert train.images.shape == (12, 32, 32, 1)


def test_parts_are_the_held_out_faces_with_their_masks(config):
    _, held_out = load(config, 64, 3)
    images, masks = load_parts(config)
    assert images.shape == (5, 64, 64, 3)
    np.testing.assert_array_equal(images[:4], held_out.images)
    indices = {faces.draw(index)[0].tobytes(): index for index in range(12, 17)}
    assert tuple(masks) == faces.PARTS
    for position, image in enumerate(images):
        expected = faces.part_masks(indices[image.tobytes()])
        for part, mask in masks.items():
            assert mask.dtype == bool
            np.testing.assert_array_equal(mask[position], expected[part])


def test_an_interrupted_preparation_is_done_again(config, monkeypatch):
    stream = avatars.face_stream.stream

    def interrupted(indices, **options):
        records = stream(indices, **options)
        yield next(records)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(avatars.face_stream, "stream", interrupted)
        with pytest.raises(KeyboardInterrupt):
            load(config, 64, 3)
    train, _ = load(config, 64, 3)
    assert len(train) == 12


def test_a_directory_that_cannot_be_written_is_an_error(config, tmp_path):
    (tmp_path / "avatars").write_text("a file where the directory should be")
    with pytest.raises(UserError, match="cannot be stored in"):
        load(config, 64, 3)
