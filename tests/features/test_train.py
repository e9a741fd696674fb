"""The command that makes a classifier, as a user runs it."""

import numpy as np
import pytest

from hcm_tf.data import face_stream, faces
from hcm_tf.features import classifier, sources, train


def run(*arguments):
    return train.main(["train", *map(str, arguments)])


def test_faces_of_the_classifier_are_not_those_of_the_data_set():
    from hcm_tf.data import avatars

    data_set = range(avatars.TRAIN_FACES + avatars.TEST_FACES)
    assert data_set.stop <= sources.TRAIN_FACES
    assert sources.TRAIN_FACES + 500_000 <= sources.HELD_OUT_FACES


def test_drawn_faces_have_the_labels_of_their_numbers():
    drawn = sources.drawn_faces(range(7, 10))
    for place, index in enumerate(range(7, 10)):
        image, labels = faces.draw(index)
        np.testing.assert_array_equal(drawn.images[place], image)
        assert {head: own[place] for head, own in drawn.labels.items()} == labels


def test_the_command_writes_a_classifier_of_faces(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sources, "HELD_OUT", 100)
    path = tmp_path / "parts.npz"
    assert run(f"--out={path}", "--count=100", "--epochs=1") == 0
    text = capsys.readouterr().out
    assert "step 1 of 1" in text
    assert "speckle, fraction 0.1" in text
    made = classifier.load(path, faces.SLOTS)
    assert made.name == "parts"
    assert "faces 1000000 to 1000099 train" in made.about["images"]
    assert path.stat().st_size < 2 * 2**20
    assert [child.name for child in tmp_path.iterdir()] == ["parts.npz"]


def test_the_command_takes_labelled_data_sets(tmp_path, monkeypatch, capsys):
    from hcm_tf.data import ImageSet

    random = np.random.default_rng(0)
    labels = random.integers(0, 2, 160)
    images = np.full((160, 32, 32, 1), 40, np.uint8)
    images[labels == 1, 8:24] = 220
    whole = ImageSet(images, {"label": labels}, {"label": ["plain", "bar"]}, "bars")
    seen = []

    def load(config, side, channels):
        seen.append((config.dataset, config.max_images, side, channels))
        return whole.part(0, 100), whole.part(100, 160)

    monkeypatch.setattr(sources, "load", load)
    path = tmp_path / "labels.npz"
    flags = ("--dataset=bars", "--image_size=32", "--channels=1", "--count=100")
    assert run(f"--out={path}", *flags, "--epochs=30") == 0
    assert seen == [("bars", 100, 32, 1)]
    made = classifier.load(path, {"label": ("plain", "bar")})
    assert made.about["accuracy"]["label"] > 0.9
    assert "bars" in made.sees
    assert "accuracy" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        ({}, {}),
        ({"secret": np.full(200, -1)}, {"secret": ["a", "b"]}),
        ({"same": np.zeros(200, int)}, {"same": ["a"]}),
    ],
)
def test_data_without_labels_is_refused(tmp_path, monkeypatch, capsys, labels, names):
    from hcm_tf.data import ImageSet

    plain = ImageSet(np.zeros((200, 64, 64, 3), np.uint8), labels, names, "folder:x")
    monkeypatch.setattr(sources, "load", lambda *_: (plain, plain))
    path = tmp_path / "labels.npz"
    assert run(f"--out={path}", "--dataset=folder:x") == 1
    assert "folder:x has no labels" in capsys.readouterr().err
    assert not path.exists()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--out=none/parts.npz"], "cannot be written to"),
        (["--out=parts.keras"], r"must end in .npz"),
        (["--out=parts.npz", "--image_size=32"], "leave out --image_size"),
        (["--out=parts.npz", "--count=99"], "99 images are too few"),
    ],
)
def test_mistakes_are_one_line(tmp_path, monkeypatch, capsys, flags, message):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(face_stream, "stream", lambda indices: iter(()))
    monkeypatch.setattr(sources, "drawn_faces", few_faces)
    assert run(*flags) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def few_faces(indices):
    from hcm_tf.data import ImageSet

    count = len(indices)
    return ImageSet(
        np.zeros((count, 64, 64, 3), np.uint8),
        {slot: np.zeros(count, np.int64) for slot in faces.SLOTS},
        {slot: list(names) for slot, names in faces.SLOTS.items()},
        "avatars",
    )
