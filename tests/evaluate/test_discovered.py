"""Discovered classes beside the data's labels and k-means."""

import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf

from hcm_tf import data
from hcm_tf.config import DataConfig
from hcm_tf.data import ImageSet
from hcm_tf.evaluate import discovered
from hcm_tf.evaluate.__main__ import main
from hcm_tf.labels import all_of
from hcm_tf.runs import checkpoint

COUNT = 3


def images(count, seed, names=("light",)):
    """Dark, grey and bright ones."""
    random = np.random.default_rng(seed)
    numbers = random.integers(0, COUNT, count)
    pixels = (
        random.integers(0, 40, (count, 32, 32, 3)) + 100 * numbers[:, None, None, None]
    )
    return ImageSet(
        images=pixels.astype("uint8"),
        labels=dict.fromkeys(names, numbers),
        label_names={key: ["dark", "grey", "bright"] for key in names},
        name="drawn",
    )


@pytest.fixture(scope="module")
def run_dir(make_run, tiny_config):
    model = dataclasses.replace(tiny_config.model, discovered_classes=COUNT)
    found = all_of(model, DataConfig(), images(1, 0, ()))
    return make_run(model=dataclasses.replace(model, labels=found))


class Reader:
    """An encoder that reads the class off the brightness, rightly or not at all."""

    def __init__(self, right):
        self.right = right

    def read(self, pictures):
        light = np.asarray(pictures).mean(axis=(1, 2, 3))
        number = np.digitize(light, [-0.5, 0.3]) if self.right else np.zeros(len(light))
        scores = np.eye(COUNT)[(number.astype(int) + 1) % COUNT]
        return np.stack([light, light], axis=1), [scores]


def test_scores_tell_a_reader_from_one_that_is_not(run_dir):
    run = checkpoint.load(run_dir)
    sets = images(300, 0), images(120, 1)
    for right in (True, False):
        own = dataclasses.replace(run, encoder=Reader(right))
        found = discovered.measure(own, *sets, count=200)["light"]
        assert list(found) == [
            "discovered",
            "k-means, pixels",
            "k-means, principal components",
            "k-means, latents",
        ]
        for way, scores in found.items():
            expected = float(right or way != "discovered")
            assert scores["adjusted Rand index"] == pytest.approx(expected, abs=1e-9)
            assert (scores["accuracy, best matching"] == 1) == expected, way
    text = discovered.table({"light": found})
    assert "| light | discovered | 0.000 | 0.000 |" in text
    assert "| light | k-means, pixels | 1.000 | 1.000 | 1.000 |" in text


def test_images_whose_label_is_secret_do_not_count(run_dir):
    """TensorFlow Datasets gives them -1."""
    run = dataclasses.replace(checkpoint.load(run_dir), encoder=Reader(True))
    # Of a corner alone, whose principal components are quick.
    train, test = (
        dataclasses.replace(one, images=one.images[:, :4, :4])
        for one in (images(300, 0), images(120, 1))
    )
    light = np.where(np.arange(120) < 80, test.labels["light"], -1)
    test = dataclasses.replace(
        test,
        labels={"light": light, "mood": np.full(120, -1)},
        label_names={"light": ["dark", "grey", "bright"], "mood": ["good", "bad"]},
    )
    found = discovered.measure(run, train, test, count=200)
    assert list(found) == ["light"]
    for scores in found["light"].values():
        assert list(scores.values()) == pytest.approx([1, 1, 1])


def test_an_encoder_is_read_in_batches(run_dir):
    encoder = checkpoint.load(run_dir).encoder
    offsets = encoder.offsets
    offsets.assign(tf.ones_like(offsets.value))
    pixels = images(130, 0).images
    latents, classes = discovered.read(encoder, pixels)
    unbounded, scores = encoder.read((pixels / 127.5 - 1).astype("float32"))
    np.testing.assert_allclose(latents, np.tanh(unbounded), atol=1e-5)
    np.testing.assert_array_equal(classes, np.argmax(scores[-1], axis=1))


def test_principal_components_are_those_of_the_singular_values():
    random = np.random.default_rng(0)
    points = random.normal(size=(50, 6)) @ random.normal(size=(6, 6)) + 3
    others = random.normal(size=(7, 6))
    _, _, vectors = np.linalg.svd(points - points.mean(0))
    expected = (others - points.mean(0)) @ vectors[:3].T
    found = discovered.principal(points, 3)(others)
    np.testing.assert_allclose(np.abs(found), np.abs(expected), atol=1e-9)


def test_the_command_writes_what_it_says(run_dir, monkeypatch, capsys):
    monkeypatch.setattr(data, "load", lambda *_: (images(60, 0), images(40, 1)))
    assert main(["evaluate", "discovered", f"--run_dir={run_dir}", "--count=50"]) == 0
    told = capsys.readouterr().out
    written = json.loads((run_dir / "discovered.json").read_text())
    assert written["images"] == 40
    assert written["count"] == 50
    for way, scores in written["labels"]["light"].items():
        row = " | ".join(f"{value:.3f}" for value in scores.values())
        assert f"| light | {way} | {row} |" in told


def test_what_cannot_be_compared_is_one_line(run_dir, tiny_run, monkeypatch, capsys):
    # Behind another, too, it is found before anything is read.
    monkeypatch.setattr(data, "load", None)
    for first in ([], [f"--run_dir={run_dir}"]):
        assert main(["evaluate", "discovered", *first, f"--run_dir={tiny_run}"]) == 1
        told = capsys.readouterr().err
        assert "without discovered classes. Train with --discovered_classes=N." in told
        assert told.count("\n") == 1
    secret = images(9, 1)
    secret.labels["light"][:] = -1
    for test in (images(9, 1, ()), secret):
        monkeypatch.setattr(data, "load", lambda *_, test=test: (images(9, 0), test))
        assert main(["evaluate", "discovered", f"--run_dir={run_dir}"]) == 1
        told = capsys.readouterr().err
        assert "drawn has no labels to compare discovered classes with" in told
        assert told.count("\n") == 1


def test_images_of_more_values_than_there_are_images_have_them_too():
    random = np.random.default_rng(0)
    points = random.normal(size=(20, 300)) * np.linspace(3, 0.1, 300) + 3
    others = random.normal(size=(7, 300))
    _, _, vectors = np.linalg.svd(points - points.mean(0), full_matrices=False)
    expected = (others - points.mean(0)) @ vectors[:19].T
    found = discovered.principal(points, 64)(others)
    np.testing.assert_allclose(np.abs(found), np.abs(expected), atol=1e-9)
