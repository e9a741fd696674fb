import socket

import numpy as np
import pytest
import tensorflow_datasets as tfds

from hcm_tf.config import DataConfig
from hcm_tf.data import load, tfds_source
from hcm_tf.errors import UserError


@pytest.fixture
def offline(monkeypatch):
    hosts = []

    def refuse(address, **_):
        hosts.append(address)
        raise OSError("no network")

    monkeypatch.setattr(socket, "create_connection", refuse)
    for name in tfds_source._PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return hosts


def config(tmp_path, dataset, **changes):
    return DataConfig(**{"dataset": dataset, "data_dir": str(tmp_path), **changes})


def with_splits(builder, names):
    """Mocked builders do not know the splits that preparing would have found."""
    builder.info.set_splits(
        tfds.core.SplitDict(
            tfds.core.SplitInfo(
                name=name,
                shard_lengths=[40],
                num_bytes=0,
                filename_template=tfds.core.ShardedFileTemplate(
                    dataset_name=builder.name,
                    data_dir=builder.data_path,
                    filetype_suffix="tfrecord",
                ),
            )
            for name in names
        )
    )
    return builder


@pytest.mark.parametrize(
    ("dataset", "splits", "labels"),
    [
        ("celeb_a", ["train", "validation", "test"], []),
        ("cifar10", ["train", "test"], ["label"]),
        ("lsun/bedroom", ["train", "validation"], []),
    ],
)
def test_known_data_sets(tmp_path, monkeypatch, dataset, splits, labels):
    prepared = tfds_source.prepared
    monkeypatch.setattr(tfds_source, "_NEEDS", {})  # As if made elsewhere.
    monkeypatch.setattr(
        tfds_source, "prepared", lambda config: with_splits(prepared(config), splits)
    )
    with tfds.testing.mock_data(num_examples=40):
        train, held_out = load(
            config(tmp_path, dataset, max_images=25, held_out=6), 32, 3
        )
    assert train.images.shape == (25, 32, 32, 3)
    assert held_out.images.shape == (6, 32, 32, 3)
    assert sorted(train.labels) == labels


class Numbered(tfds.core.GeneratorBasedBuilder):
    """Images that are their number, in one split, with two labels."""

    VERSION = tfds.core.Version("1.0.0")
    SPLITS = ("everything",)

    def _info(self):
        features = {
            "text": tfds.features.Text(),
            "picture": tfds.features.Image(shape=(8, 8, 3)),
            "parity": tfds.features.ClassLabel(names=["even", "odd"]),
            "digit": tfds.features.ClassLabel(num_classes=10),
        }
        return tfds.core.DatasetInfo(
            builder=self, features=tfds.features.FeaturesDict(features)
        )

    def _split_generators(self, dl_manager):
        return {split: self._generate_examples() for split in self.SPLITS}

    def _generate_examples(self):
        for number in range(60):
            yield (
                number,
                {
                    "text": "",
                    "picture": np.full((8, 8, 3), number, np.uint8),
                    "parity": number % 2,
                    "digit": number % 10,
                },
            )


class NumberedWithValidation(Numbered):
    SPLITS = ("train", "validation")


class Wordy(Numbered):
    def _info(self):
        features = {"text": tfds.features.Text()}
        return tfds.core.DatasetInfo(
            builder=self, features=tfds.features.FeaturesDict(features)
        )


def numbers(images):
    return images.images[:, 0, 0, 0].tolist()


def test_a_single_split_is_divided(tmp_path):
    train, held_out = load(config(tmp_path, "numbered", held_out=10), 32, 3)
    assert (len(train), len(held_out)) == (50, 10)
    assert sorted(numbers(train) + numbers(held_out)) == list(range(60))
    np.testing.assert_array_equal(train.labels["parity"], np.array(numbers(train)) % 2)
    np.testing.assert_array_equal(train.labels["digit"], np.array(numbers(train)) % 10)
    assert train.label_names["parity"] == ["even", "odd"]


def test_the_held_out_images_do_not_depend_on_the_limit(tmp_path):
    _, every = load(config(tmp_path, "numbered", held_out=10), 32, 3)
    train, some = load(config(tmp_path, "numbered", held_out=10, max_images=20), 32, 3)
    assert numbers(every) == numbers(some)
    assert len(train) == 20


def test_the_validation_split_is_held_out(tmp_path):
    train, held_out = load(
        config(tmp_path, "numbered_with_validation", held_out=10, max_images=0), 32, 3
    )
    assert sorted(numbers(train)) == list(range(60))
    assert len(held_out) == 10


def test_the_second_read_does_not_decode(tmp_path, monkeypatch):
    first, _ = load(config(tmp_path, "numbered", held_out=10), 32, 3)
    monkeypatch.setattr(tfds_source, "_stream", None)
    second, _ = load(config(tmp_path, "numbered", held_out=10), 32, 3)
    np.testing.assert_array_equal(first.images, second.images)


def test_a_data_set_without_images_is_an_error(tmp_path):
    with pytest.raises(UserError, match="no image feature: its features are text"):
        load(config(tmp_path, "wordy"), 32, 3)


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        ("celeba", "Unknown data set celeba.* Did you mean celeb_a"),
        ("qqqqqqqq", "Unknown data set qqqqqqqq"),
        ("lsun/bedrom", "lsun has no variant bedrom: it has bedroom"),
        ("celeb_a/64", "celeb_a has no variant 64"),
        ("huggingface:mnist", "community"),
    ],
)
def test_unknown_names_are_errors_without_a_network(
    tmp_path, offline, dataset, message
):
    with pytest.raises(UserError, match=message):
        load(config(tmp_path, dataset), 32, 3)
    assert offline == []


def test_what_can_only_be_prepared_elsewhere_is_not_downloaded(tmp_path, offline):
    with pytest.raises(UserError, match="folder:PATH, or copy lsun/ from"):
        load(config(tmp_path, "lsun/bedroom"), 32, 3)
    assert offline == []


def test_without_a_network_the_error_says_what_to_put_where(tmp_path, offline):
    with pytest.raises(UserError) as caught:
        load(config(tmp_path, "cifar10", manual_dir=str(tmp_path / "m")), 32, 3)
    for words in ("cifar10 is not in", "www.cs.toronto.edu", "cifar-10-binary.tar.gz"):
        assert words in str(caught.value)
    assert f"into {tmp_path / 'm'}" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
    assert offline == [("www.cs.toronto.edu", 443)]


def test_a_data_set_downloaded_by_hand_names_its_files(tmp_path, offline):
    with pytest.raises(UserError, match=r"downloaded by hand.*ILSVRC2012_img_train"):
        load(config(tmp_path, "imagenet2012"), 32, 3)
    assert offline == []


def test_files_in_manual_dir_need_no_network(tmp_path, offline):
    (tmp_path / "cifar-10-binary.tar.gz").write_bytes(b"damaged")
    with pytest.raises(UserError, match="cannot prepare cifar10"):
        load(config(tmp_path, "cifar10", manual_dir=str(tmp_path)), 32, 3)
    assert offline == []


def test_a_proxy_is_trusted(offline, monkeypatch):
    url = "https://example.org/a.zip"
    assert tfds_source.unreachable_host(url) == "example.org"
    assert tfds_source.unreachable_host("gs://a/b") == "storage.googleapis.com"
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    assert tfds_source.unreachable_host(url) is None
