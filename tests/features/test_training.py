"""Training a classifier, its damage and its temperatures."""

import numpy as np
import pytest
import tensorflow as tf

from hcm_tf.data import ImageSet
from hcm_tf.features import classifier, training
from hcm_tf.features.classifier import Classifier, log_softmax
from hcm_tf.images import to_float
from hcm_tf.metrics.composition import predicted

HEADS = {"side": ("left", "right"), "shade": ("dark", "light")}


def squares(count, seed):
    """A block on the left or right, dark or light, on grey."""
    random = np.random.default_rng(seed)
    labels = {head: random.integers(0, 2, count) for head in HEADS}
    images = np.full((count, 8, 8, 1), 128, np.uint8)
    for image, side, shade in zip(images, *labels.values(), strict=True):
        image[2:6, 4 * side : 4 * side + 4] = 255 * shade
    names = {head: list(own) for head, own in HEADS.items()}
    return ImageSet(images, labels, names, "squares")


@pytest.fixture(scope="module")
def trained():
    train, steps = squares(300, 0), []
    weights = training.trained_weights(
        train.images,
        train.labels,
        HEADS,
        epochs=20,
        report=lambda step, count, loss: steps.append((step, count, loss)),
    )
    return weights, steps


def test_training_learns_what_can_be_learned(trained):
    weights, steps = trained
    assert [step for step, *_ in steps] == list(range(1, 61))
    assert {count for _, count, _ in steps} == {60}
    # Two heads that know nothing lose log 2 each.
    assert steps[0][2] == pytest.approx(2 * np.log(2), rel=0.5)
    assert steps[-1][2] < 0.7 * steps[0][2]
    about = {"name": "labels", "sees": "", "side": 8, "channels": 1}
    made = Classifier(weights, HEADS, about)
    new = squares(200, 1)
    found = predicted(made.log_probabilities(made.features(to_float(new.images))))
    for head, labels in new.labels.items():
        assert np.mean(found[head] == labels) > 0.95


def test_calibration_reports_on_images_that_it_did_not_choose_by(trained):
    held_out = squares(400, 2)
    about = {"name": "labels", "sees": "", "side": 8, "channels": 1}
    made = training.calibrate(trained[0], HEADS, about, held_out)
    assert min(made.about["accuracy"].values()) > 0.95
    # What a constant answer would score, of 200: never under a half.
    for share in made.about["most_frequent"].values():
        assert 0.5 <= share < 0.65
    damage = made.about["damage"]
    assert damage["halves of two"]["sure"] < damage["nothing"]["sure"]
    again = classifier.rounded(made.weights)
    for name, array in made.weights.items():
        np.testing.assert_array_equal(array, again[name])


@pytest.mark.parametrize("true_temperature", [0.5, 1.0, 3.0])
def test_temperatures_undo_a_known_one(true_temperature):
    random = np.random.default_rng(0)
    logits = random.normal(0, 2, (20_000, 4))
    probabilities = np.exp(log_softmax(logits))
    thresholds = probabilities.cumsum(axis=1)
    labels = (random.random((20_000, 1)) > thresholds).sum(axis=1).clip(max=3)

    class Overconfident:
        def log_probabilities(self, features):
            return {"head": log_softmax(features * true_temperature)}

    nothing, own = np.zeros(20_000), {"head": labels}
    found = training.temperatures(Overconfident(), logits, own, own, nothing)
    assert found["head"] == pytest.approx(true_temperature, rel=0.05)


def test_temperatures_know_that_an_image_can_be_two_things():
    logits = np.tile([3.0, 0.0], (100, 1))
    own, others = {"head": np.zeros(100, int)}, {"head": np.ones(100, int)}

    class Sure:
        def log_probabilities(self, features):
            return {"head": log_softmax(features)}

    found = training.temperatures(Sure(), logits, own, others, np.full(100, 0.25))
    # The likelihood is largest where the odds are 3 to 1.
    assert found["head"] == pytest.approx(3 / np.log(3), rel=0.01)


def test_calibrated_weights_divide_the_logits_of_their_head_alone():
    weights = classifier.initial_weights(8, 1, HEADS, 0)
    new = training.calibrated(weights, {"shade": 2.0})
    for name, array in weights.items():
        factor = 0.5 if name.startswith("shade/") else 1
        np.testing.assert_allclose(new[name], factor * array, rtol=1e-6)


def test_damage_is_repeatable_in_range_and_halves_say_whose_they_are():
    batch = np.zeros((100, 16, 16, 3), np.uint8)
    batch[:] = np.linspace(60, 200, 100).astype(np.uint8)[:, None, None, None]
    arguments = tf.constant(batch), tf.constant([0, 5])
    images, other, share = (array.numpy() for array in training._augmented(*arguments))
    np.testing.assert_array_equal(images, training._augmented(*arguments)[0])
    another = training._augmented(arguments[0], tf.constant([0, 6]))[0]
    assert np.abs(another - images).max() > 0.05
    assert -1 <= images.min() < images.max() <= 1
    np.testing.assert_array_equal(other, np.roll(np.arange(100), 1))
    np.testing.assert_array_equal(share[:15], 0.5)
    np.testing.assert_array_equal(share[40:], 0)
    assert 0 < share[15:40].min() < share[15:40].max() < 0.5
    # The first image is the darkest; its right half is of the brightest, the last.
    left, right = images[0, :, :8].mean(), images[0, :, 8:].mean()
    assert right - left == pytest.approx((200 - 60) / 127.5, abs=0.15)
    # What is damaged mildly keeps its shade.
    moved = images[40:].mean(axis=(1, 2, 3)) - (batch[40:, 0, 0, 0] / 127.5 - 1)
    assert np.abs(moved).max() < 0.1


def test_shift_moves_by_whole_pixels_and_repeats_the_border():
    image = np.arange(25, dtype=np.float32).reshape(1, 5, 5, 1)
    moved = training._shifted(tf.constant(image), tf.constant([[1.2, -1.9]])).numpy()
    padded = np.pad(image[0, ..., 0], 2, mode="edge")
    np.testing.assert_array_equal(moved[0, ..., 0], padded[3:8, 0:5])
