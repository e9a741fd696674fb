"""Whether parts are still recognised after reconstruction."""

import numpy as np
import pytest

from hcm_tf.evaluate import faces


class Reader:
    """A classifier that reads both labels off the first pixel."""

    def features(self, images):
        return images[:, 0, 0, 0].astype(int)

    def log_probabilities(self, features):
        return {head: np.log(np.eye(3)[features] + 0.1) for head in ("hair", "hat")}


def kept(hair, hat):
    """Of four images, each of another class than the last; the fourth is spoilt."""
    real = np.zeros((4, 2, 2, 1))
    real[:, 0, 0, 0] = [0, 1, 2, 0]
    encoded = real.copy()
    encoded[3] = 1
    sets = {"real": real, "encoded": encoded, "refined": encoded[:2]}
    labels = {"hair": np.array(hair), "hat": np.array(hat)}
    return faces.accuracy_kept(Reader(), sets, labels)


def test_accuracy_of_every_set():
    found = kept([0, 1, 2, 0], [0, 0, 2, 0])
    assert found["count"] == {"real": 4, "encoded": 4, "refined": 2}
    assert found["heads"] == {
        "hair": {"real": 1, "encoded": 0.75, "refined": 1},
        "hat": {"real": 0.75, "encoded": 0.5, "refined": 0.5},
    }
    assert found["mean"] == pytest.approx(
        {"real": 0.875, "encoded": 0.625, "refined": 0.75}
    )


def test_images_whose_label_is_secret_do_not_count():
    """TensorFlow Datasets gives them -1."""
    found = kept([0, -1, -1, 0], [-1, -1, 2, 0])
    # Of the images that were refined none has a hat that is known.
    assert found["heads"] == {"hair": {"real": 1, "encoded": 0.5, "refined": 1}}
    assert found["mean"] == found["heads"]["hair"]
    assert kept([-1] * 4, [-1] * 4) == {}
