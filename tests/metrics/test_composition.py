"""What a classifier says of images, to numbers: closed forms and a slow count."""

import numpy as np
import pytest

from hcm_tf.metrics import composition


def log(rows):
    return np.log(np.asarray(rows, float))


def test_confidence_is_the_mean_over_heads_of_the_largest_logarithm():
    heads = {"a": log([[0.5, 0.5], [0.9, 0.1]]), "b": log([[0.25, 0.5, 0.25]] * 2)}
    expected = [np.log(0.5), (np.log(0.9) + np.log(0.5)) / 2]
    np.testing.assert_allclose(composition.confidence(heads), expected, rtol=1e-12)


def test_the_rule_calls_one_in_twenty_real_images_unsure():
    confidences = np.random.default_rng(0).permutation(np.arange(1000.0)) - 1000
    threshold = composition.sure_threshold(confidences)
    assert composition.sure_rate(confidences, threshold) == 0.95
    assert composition.sure_rate(confidences + 1000, threshold) == 1
    assert composition.sure_rate(confidences - 1000, threshold) == 0


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ([0, 1, 2], [2, 1, 0, 0, 1, 2], 0),
        ([0, 0], [3, 3, 3], 1),
        ([0, 0, 0, 1], [0, 1, 1, 1], 0.5),
    ],
)
def test_total_variation(one, other, expected):
    one, other = np.array(one), np.array(other)
    assert composition.total_variation(one, other) == pytest.approx(expected, abs=1e-15)
    assert composition.total_variation(other, one) == pytest.approx(expected, abs=1e-15)


def test_the_floor_is_measured_at_the_count_of_the_samples():
    random = np.random.default_rng(1)
    real = {"a": random.integers(0, 12, 4000)}
    report = composition.label_distances({"a": random.integers(0, 12, 500)}, real)["a"]
    assert report["count"] == 500
    # Twelve classes, both sides of 500: the mean of 12 half-normal differences.
    expected = 6 * np.sqrt(2 / np.pi) * np.sqrt(2 * (1 / 12) * (11 / 12) / 500)
    assert report["floor"] == pytest.approx(expected, rel=0.5)
    assert report["distance"] == pytest.approx(expected, rel=0.5)
    one_class = composition.label_distances({"a": np.zeros(500, int)}, real)["a"]
    assert one_class["distance"] == pytest.approx(11 / 12, abs=0.03)


def test_more_samples_than_real_halves_are_cut_to_those():
    labels = {"a": np.array([0, 0, 1, 1, 1, 1])}
    report = composition.label_distances(labels, {"a": np.array([0, 1, 1, 1])})["a"]
    assert report == {"distance": 0.5, "floor": 0.5, "count": 2}


def test_unseen_combinations_are_those_that_a_loop_does_not_find():
    random = np.random.default_rng(2)
    training, own = (
        {head: random.integers(0, 9, count) for head in "abc"} for count in (60, 40)
    )
    unseen = sum(
        not any(
            all(own[head][i] == training[head][j] for head in "ab") for j in range(60)
        )
        for i in range(40)
    )
    assert 0 < unseen < 40
    assert composition.unseen_share(own, training, "ab") == unseen / 40
    assert composition.unseen_share(training, training, "abc") == 0


def test_judge_sees_collapse_mixture_and_novelty():
    random = np.random.default_rng(3)

    def says(labels, certainty):
        probabilities = np.full((len(labels), 4), (1 - certainty) / 3)
        probabilities[np.arange(len(labels)), labels] = certainty
        return log(probabilities)

    real_labels = {head: random.integers(0, 4, 1000) for head in "ab"}
    certainties = random.uniform(0.9, 0.99, 1000)[:, None]
    real = {
        head: np.where(
            np.eye(4, dtype=bool)[labels],
            np.log(certainties),
            np.log((1 - certainties) / 3),
        )
        for head, labels in real_labels.items()
    }
    training = {"a": np.array([0, 1, 2, 3]), "b": np.array([0, 1, 2, 3])}
    one = {head: says(np.zeros(300, int), 0.98) for head in "ab"}
    report = composition.judge(one, real, training, "ab")
    assert report["sure"]["real"] == pytest.approx(0.95, abs=0.03)
    assert report["sure"]["samples"] == 1
    assert report["labels"]["a"]["distance"] == pytest.approx(0.75, abs=0.05)
    assert report["unseen"]["samples"] == 0
    assert report["unseen"]["real"] == pytest.approx(0.75, abs=0.05)
    mixed = {head: says(random.integers(0, 4, 300), 0.5) for head in "ab"}
    report = composition.judge(mixed, real, training, "ab")
    assert report["sure"]["samples"] == 0
    assert report["unseen"]["samples"] == pytest.approx(0.75, abs=0.1)
