"""What is scored and drawn of an AIR that finds what it was told."""

import numpy as np
import pytest
import tensorflow as tf

from benchmarks import air_model, air_scores
from benchmarks.air_model import SIDE, STEPS, WHERE


def squares():
    """Six images: black, with a square, with two, and again."""
    images = np.zeros((6, SIDE, SIDE, 1), np.uint8)
    images[[1, 2, 4, 5], 8:16, :8] = 200
    images[[2, 5], -8:, -8:] = 100
    return images


class Known:
    """Finds what it was told, whatever it is shown."""

    def __init__(self, counts, images):
        self.counts, self.images = counts, images

    def look(self, images, noise):
        there = np.arange(STEPS) < np.array(self.counts)[:, np.newaxis]
        drawn = np.zeros((len(images), STEPS, SIDE, SIDE), np.float32)
        drawn[:, 0] = self.images[..., 0] / 255
        return air_model.Looks(
            tf.constant(np.where(there, 100.0, -100.0), tf.float32),
            tf.zeros((len(images), STEPS, WHERE)),
            tf.zeros((len(images), STEPS)),
            tf.constant(drawn),
        )


def test_scores_are_those_of_known_counts():
    images = squares()
    truth = np.arange(6) % 3
    known = Known([0, 1, 2, 1, 0, 3], images)
    found = air_scores.score(known, images, truth, success=0.2)
    assert found["accuracy"] == 3 / 6
    assert found["mean absolute error"] == pytest.approx(3 / 6)
    assert found["confusion"] == [[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 1]]
    pixels = images / 255
    missed = np.square(pixels[4]).sum()  # The others are drawn, or black.
    expected = missed / pixels.size / pixels.var()
    assert found["error"] == pytest.approx(expected, rel=1e-5)
    exact = -SIDE * SIDE * np.log(air_model.NOISE * np.sqrt(2 * np.pi))
    counts = np.array([0, 1, 2, 1, 0, 3])
    success = 0.2
    prior = counts * np.log(success) + np.where(counts < STEPS, np.log1p(-success), 0)
    elbo = exact + np.mean(prior) - missed / (2 * air_model.NOISE**2) / 6
    assert found["elbo"] == pytest.approx(elbo, rel=1e-5)


def test_the_picture_frames_what_is_there():
    images = squares()[:2]
    pixels = air_scores.picture(Known([0, 1], images), images)
    assert pixels.shape == (2 * 128 + 4, 2 * 128 + 4, 3)
    orange = (pixels == air_scores.COLOURS[0]).all(axis=2)
    assert not orange[:, :128].any()  # Nothing is there.
    # The window of scale 1 in the middle: pixels 10 to 21, four times as large.
    rows, columns = np.nonzero(orange)
    assert (rows.min(), rows.max()) == (40, 88)
    assert (columns.min(), columns.max()) == (132 + 40, 132 + 88)
    assert (pixels[132 + 40, 132 + 8] == 200).all()  # The reconstruction below.
