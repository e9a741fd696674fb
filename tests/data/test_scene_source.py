"""Scenes as a data set: which scenes train, which are held out, what a user is told."""

import struct
import subprocess
import sys

import numpy as np
import pytest
import tensorflow_datasets as tfds

from hcm_tf.config import DataConfig
from hcm_tf.data import idx, load, load_scenes, scene_source, scenes, tfds_source
from hcm_tf.data.scene import Items
from hcm_tf.data.scenes import RECIPES, draw
from hcm_tf.errors import UserError

CLASSES = idx._NAMES["fashion_mnist"]


def write_items(directory):
    """Fashion-MNIST's four files with few, small pictures, different in each split."""
    random = np.random.default_rng(0)
    for split, count in (("train", 50), ("t10k", 30)):
        images = np.zeros((count, 28, 28), np.uint8)
        images[:, 10:18, 10:18] = random.integers(60, 256, (count, 8, 8))
        labels = np.arange(count, dtype=np.uint8) % 10
        for name, array in (("images-idx3", images), ("labels-idx1", labels)):
            header = struct.pack(">HBB", 0, 8, array.ndim)
            header += struct.pack(f">{array.ndim}I", *array.shape)
            path = directory / f"{split}-{name}-ubyte"
            path.write_bytes(header + array.tobytes())
    return directory


def config(tmp_path, name, **changes):
    return DataConfig(
        **{"dataset": f"scenes/{name}", "data_dir": str(tmp_path / "data"), **changes}
    )


@pytest.fixture
def small(monkeypatch):
    """Sets of 30 scenes to train on and 12 to test."""
    monkeypatch.setattr(scene_source, "TRAIN_SCENES", 30)
    monkeypatch.setattr(scene_source, "TEST_SCENES", 12)


def test_the_published_numbers():
    assert (scene_source.TRAIN_SCENES, scene_source.TEST_SCENES) == (60_000, 320)


@pytest.mark.parametrize("name", [one for one in RECIPES if one != "fashion_items"])
def test_training_scenes_come_first_and_test_scenes_behind_them(tmp_path, name):
    own = config(tmp_path, name, max_images=6, held_out=4)
    channels = RECIPES[name].channels
    train, held_out = load(own, 64, channels)
    expected = [draw(name, index) for index in range(6)]
    np.testing.assert_array_equal(train.images, [one.image for one in expected])
    names = train.label_names["count"]
    counts = [int(names[number]) for number in train.labels["count"]]
    assert counts == [one.count for one in expected]
    test = load_scenes(own, 4)
    np.testing.assert_array_equal(held_out.images, [one.image for one in test])
    for index, scene in enumerate(test):
        np.testing.assert_array_equal(scene.labels, draw(name, 60_000 + index).labels)
    assert train.name == f"scenes/{name}"


def test_all_scenes_train_and_no_more_than_there_are_is_held_out(tmp_path, small):
    train, held_out = load(config(tmp_path, "genesis", max_images=0), 64, 3)
    assert (len(train), len(held_out)) == (30, 12)
    every = [one.tobytes() for one in (*train.images, *held_out.images)]
    assert len(set(every)) == 42
    assert len(load_scenes(config(tmp_path, "genesis"), 12)) == 12


@pytest.mark.parametrize(("size", "channels"), [(32, 1), (32, 3), (64, 3), (128, 1)])
def test_any_size_and_channels(tmp_path, size, channels):
    for name in ("binarized", "colored_on_colored"):
        own = config(tmp_path, name, max_images=3, held_out=2)
        train, held_out = load(own, size, channels)
        assert train.images.shape == (3, size, size, channels)
        assert held_out.images.shape == (2, size, size, channels)
        grey = draw(name, 0).image.mean()
        if name == "binarized":
            assert train.images[0].mean() == pytest.approx(grey, abs=1)
            assert np.ptp(train.images[0], axis=-1).max() == 0


def test_the_second_reading_draws_nothing(tmp_path, monkeypatch):
    own = config(tmp_path, "binarized", max_images=5, held_out=3)
    first, _ = load(own, 64, 1)
    monkeypatch.setattr(scenes, "draw", None)
    second, _ = load(own, 64, 1)
    np.testing.assert_array_equal(first.images, second.images)
    assert first.digest() == second.digest()


@pytest.mark.parametrize("dataset", ["scenes/sprites", "scenes", "scenes/"])
@pytest.mark.parametrize("read", [lambda own: load(own, 64, 3), load_scenes])
def test_an_unknown_name_is_one_line_with_the_known_ones(tmp_path, dataset, read):
    own = DataConfig(dataset=dataset, data_dir=str(tmp_path))
    with pytest.raises(UserError) as caught:
        read(own)
    message = str(caught.value)
    assert "\n" not in message
    assert f"Unknown scenes {dataset}: " in message
    assert all(name in message for name in RECIPES)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("count", [0, 321])
def test_more_test_scenes_than_there_are_is_refused(tmp_path, count):
    with pytest.raises(ValueError, match=f"between 1 and 320. Received: {count}"):
        load_scenes(config(tmp_path, "binarized"), count)


def test_test_scenes_show_items_of_the_test_split(tmp_path):
    write_items(tmp_path)
    own = config(
        tmp_path, "fashion_items", manual_dir=str(tmp_path), max_images=20, held_out=15
    )
    train, held_out = load(own, 64, 1)
    fashion = DataConfig(dataset="fashion_mnist")
    for images, split, start in ((train, "train", 0), (held_out, "test", 60_000)):
        pictures, classes = idx.pictures(fashion, tmp_path, split)
        items = Items(pictures, classes)
        for number, image in enumerate(images.images):
            expected = draw("fashion_items", start + number, items=items)
            np.testing.assert_array_equal(image, expected.image)
    assert train.label_names == {"count": ["0", "1", "2"]}
    test = load_scenes(own, 15)
    np.testing.assert_array_equal(held_out.images, [one.image for one in test])
    assert {shape for one in test for shape in one.shapes} <= set(CLASSES)


def test_changed_items_are_drawn_again(tmp_path):
    write_items(tmp_path)
    own = config(
        tmp_path, "fashion_items", manual_dir=str(tmp_path), max_images=9, held_out=2
    )
    before, _ = load(own, 64, 1)
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:16] + bytes(50 * 28 * 28))
    after, _ = load(own, 64, 1)
    assert before.images.any()
    assert not after.images.any()


def test_without_the_files_items_are_as_missing_as_fashion_mnist(tmp_path, monkeypatch):
    monkeypatch.setattr(idx, "_SYSTEM", {})
    monkeypatch.setattr(tfds_source, "unreachable_host", lambda url: "a.host")
    messages = []
    for dataset in ("scenes/fashion_items", "fashion_mnist"):
        with pytest.raises(UserError) as caught:
            load(DataConfig(dataset=dataset, data_dir=str(tmp_path / "data")), 64, 1)
        messages.append(str(caught.value))
    assert messages[0] == messages[1]
    assert "train-images-idx3-ubyte.gz" in messages[0]
    assert "--manual_dir" in messages[0]
    assert not list(tmp_path.rglob("images.npy"))


def test_items_may_come_from_tensorflow_datasets(tmp_path, monkeypatch):
    monkeypatch.setattr(idx, "_SYSTEM", {})
    with tfds.testing.mock_data(num_examples=40):
        own = config(tmp_path, "fashion_items", max_images=4, held_out=3)
        builder = tfds_source.prepared(
            DataConfig(dataset="fashion_mnist", data_dir=own.data_dir)
        )
        pictures, classes = tfds_source.pictures(builder, "test")
        assert pictures.shape == (40, 28, 28)
        assert pictures.dtype == np.uint8
        assert len(classes) == 40
        assert set(classes) <= set(builder.info.features["label"].names)
        # Random pictures are too bright for two of them to be added.
        monkeypatch.setattr(
            tfds_source, "pictures", lambda *_: (pictures // 2, classes)
        )
        train, held_out = load(own, 64, 1)
    items = Items(pictures // 2, classes)
    expected = [draw("fashion_items", index, items=items).image for index in range(4)]
    np.testing.assert_array_equal(train.images, expected)
    assert len(held_out) == 3


def test_scenes_are_drawn_without_tensorflow(tmp_path):
    code = f"""
import sys
from hcm_tf.config import DataConfig
from hcm_tf.data import load
config = DataConfig(
    dataset="scenes/textured", data_dir="{tmp_path}", max_images=5, held_out=5
)
train, held_out = load(config, 64, 3)
assert len(train) == len(held_out) == 5
assert not {{"tensorflow", "tensorflow_datasets"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)
