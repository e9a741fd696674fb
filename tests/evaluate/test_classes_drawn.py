"""Whether a run draws what it is asked for, by two classifiers."""

import dataclasses

import numpy as np
import pytest

from hcm_tf.config import Label
from hcm_tf.data import ImageSet
from hcm_tf.evaluate import classes
from hcm_tf.evaluate.__main__ import main
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
def run(make_run, tiny_config):
    model = dataclasses.replace(tiny_config.model, labels=KNOWN)
    return checkpoint.load(make_run(model=model))


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


def test_a_run_without_labels_is_one_line(tiny_run, capsys):
    assert main(["evaluate", "classes", f"--run_dir={tiny_run}"]) == 1
    told = capsys.readouterr().err
    assert "was trained without labels. Train with --conditional." in told
    assert told.count("\n") == 1
