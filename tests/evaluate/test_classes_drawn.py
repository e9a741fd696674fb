"""Whether a run draws what it is asked for, by two classifiers."""

import dataclasses
import json

import numpy as np
import pytest

from hcm_tf import data
from hcm_tf.config import Label
from hcm_tf.data import ImageSet
from hcm_tf.evaluate import classes
from hcm_tf.evaluate.__main__ import main
from hcm_tf.features import training as classifiers
from hcm_tf.prior import draw
from hcm_tf.runs import checkpoint

KNOWN = (Label("light", ("dark", "bright"), (0.7, 0.3)),)


def images(count, seed):
    """Dark and bright ones, which nobody can take for each other."""
    random = np.random.default_rng(seed)
    numbers = random.integers(0, 2, count)
    pixels = (
        random.integers(0, 80, (count, 32, 32, 3)) + 150 * numbers[:, None, None, None]
    )
    return ImageSet(
        images=pixels.astype("uint8"),
        labels={"light": numbers},
        label_names={"light": ["dark", "bright"]},
        name="drawn",
    )


@pytest.fixture(scope="module")
def run_dir(make_run, tiny_config):
    model = dataclasses.replace(tiny_config.model, labels=KNOWN)
    return make_run(model=model)


@pytest.fixture(scope="module")
def run(run_dir):
    return checkpoint.load(run_dir)


class Painter:
    """A run that paints what it is asked for, but one class badly."""

    def __init__(self, run, wrong):
        self.config, self.generator, self.prior = run.config, run.generator, run.prior
        self._wrong = wrong

    def draw(self, latents):
        bright = latents[:, -1] == 1
        values = np.where(bright, 0.0 if self._wrong else 0.6, -0.6)
        shape = (len(latents), 32, 32, 3)
        noise = np.random.default_rng(0).uniform(-0.2, 0.2, shape)
        return (values[:, None, None, None] + noise).astype("float32")


def test_samples_come_with_the_classes_that_were_asked_for(run):
    pixels, numbers = classes.sampled(run, 120, 5)
    np.testing.assert_array_equal(numbers[:, 0], draw(run.prior, 5, 120)[:, -1] == 1)
    assert pixels.shape == (120, 32, 32, 3)


def test_accuracies_tell_a_good_painter_from_a_bad_one(run):
    found = {
        wrong: classes.measure(
            *(Painter(run, wrong), images(600, 0), images(200, 1)), count=600, epochs=6
        )["light"]
        for wrong in (False, True)
    }
    for one in found.values():
        assert one["real_on_real"] > 0.97
        assert one["most_frequent"] == pytest.approx(0.5, abs=0.1)
    assert found[False]["real_on_samples"] > 0.97
    assert found[False]["samples_on_real"] > 0.97
    text = classes.table({"light": found[False]})
    assert f"| light | {found[False]['real_on_real']:.3f} |" in text


def with_labels(images, numbers):
    return dataclasses.replace(images, labels={"light": numbers})


def test_images_whose_label_is_secret_do_not_count(run):
    """TensorFlow Datasets gives them -1."""
    train, test = images(100, 0), images(60, 1)
    numbers = np.where(np.arange(60) < 40, test.labels["light"], -1)
    found = [
        classes.measure(Painter(run, False), train, one, count=100, epochs=1)
        for one in (with_labels(test, numbers), test.part(0, 40))
    ]
    assert found[0] == found[1]


def start(run_dir, *arguments):
    return main(["evaluate", "classes", f"--run_dir={run_dir}", *arguments])


def test_both_classifiers_learn_from_as_many(run_dir, monkeypatch, capsys):
    counts = []

    def spy(images, *arguments, **options):
        counts.append(len(images))
        return trained_weights(images, *arguments, **options)

    trained_weights = classifiers.trained_weights
    monkeypatch.setattr(classifiers, "trained_weights", spy)
    monkeypatch.setattr(data, "load", lambda *_: (images(110, 0), images(40, 1)))
    assert start(run_dir, "--count=500", "--epochs=1") == 0
    assert counts == [110, 110]
    told = capsys.readouterr().out
    assert "learnt from 110 real images, and from 110 samples; 40 other" in told
    written = json.loads((run_dir / "classes.json").read_text())
    assert (written["count"], written["images"]) == (110, 40)


def test_what_teaches_or_tests_nothing_is_one_line(run_dir, monkeypatch, capsys):
    def refused(train, test, *arguments):
        monkeypatch.setattr(data, "load", lambda *_: (train, test))
        assert start(run_dir, *arguments) == 1
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.count("\n") == 1
        return captured.err

    few, many = images(99, 0), images(100, 0)
    assert "--count must be at least 100" in refused(many, few, "--count=99")
    assert "drawn has 99 training images, and a classifier needs 100" in (
        refused(few, many)
    )
    secret = with_labels(few, np.full(99, -1))
    assert "drawn keeps the label light of its test images secret" in (
        refused(many, secret)
    )


def test_a_run_without_labels_is_one_line(run_dir, tiny_run, monkeypatch, capsys):
    # Behind another, too, it is found before anything is read.
    monkeypatch.setattr(data, "load", None)
    for first in ([], [f"--run_dir={run_dir}"]):
        assert main(["evaluate", "classes", *first, f"--run_dir={tiny_run}"]) == 1
        told = capsys.readouterr().err
        assert "was trained without labels. Train with --conditional." in told
        assert told.count("\n") == 1
