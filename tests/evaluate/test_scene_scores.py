"""Means of scores over scenes, and segmentations that need no training."""

import numpy as np
import pytest

from hcm_tf.data.scenes import draw
from hcm_tf.evaluate import scene_scores

SCENES = [draw("colored_on_colored", index) for index in range(8)]


def test_clusters_are_one_more_than_the_most_objects():
    expected = {
        "colored_on_colored": 5,
        "colored_on_grayscale": 6,
        "genesis": 5,
        "binarized": 4,
        "tetrominoes": 4,
        "textured": 5,
        "fashion_items": 3,
    }
    image = np.random.default_rng(0).uniform(size=(64, 64, 3))
    for name, clusters in expected.items():
        assert scene_scores.segments(name) == clusters
        by_place = scene_scores.baselines(name)["k-means, place alone"]
        assert len(np.unique(by_place(image, 0))) == clusters


def test_means_and_errors_are_those_of_the_scenes():
    truths = iter([scene.labels for scene in SCENES])
    halves = np.repeat([0, 1], 2048).reshape(64, 64)
    rows = scene_scores.score(lambda image, seed: halves, SCENES)
    measure = scene_scores.SCORES["MSC-FG"]
    values = [measure(truth, halves) for truth in truths]
    assert rows["MSC-FG"]["mean"] == pytest.approx(np.mean(values), rel=1e-12)
    error = np.sqrt(np.var(values, ddof=1) / len(values))
    assert rows["MSC-FG"]["error"] == pytest.approx(error, rel=1e-12)
    assert rows["MSC-FG"]["images"] == len(values)


def test_scenes_without_objects_are_left_out():
    found = scene_scores.summary([1.0, float("nan"), 0.0])
    assert found["mean"] == 0.5
    assert found["images"] == 2
    assert found["error"] == pytest.approx(0.5)


def test_the_seed_is_the_number_of_the_scene():
    seeds = []

    def segmenter(image, seed):
        seeds.append(seed)
        return np.zeros((64, 64), int)

    scene_scores.score(segmenter, SCENES)
    assert seeds == list(range(8))


def test_a_mean_of_nothing_is_none():
    nothing = {"mean": None, "error": None, "images": 0}
    assert scene_scores.summary([float("nan")]) == nothing
    assert scene_scores.summary([0.5]) == {"mean": 0.5, "error": None, "images": 1}
