"""Counts of objects: bright spots drawn by hand, and what a count is worth."""

import types

import numpy as np
import pytest

from hcm_tf.config import DataConfig
from hcm_tf.data import load_scenes
from hcm_tf.evaluate import scene_counts
from hcm_tf.images import to_float

ERROR = "mean absolute error"


def test_bright_spots_are_what_is_connected_and_not_a_speck():
    image = np.full((20, 20, 1), -0.2, "float32")
    image[2:4, 2:5] = 0.1
    image[4:6, 5:8] = 0.9  # Its corner touches the first: they are two.
    image[10:15, 10] = 1
    image[18, 2:6] = 1  # A hundredth of the image, and no more.
    assert scene_counts.bright_spots(image) == 3
    image[18, 6] = 1
    assert scene_counts.bright_spots(image) == 4
    assert scene_counts.bright_spots(-np.abs(image)) == 0
    # Brightness is the mean of the channels.
    red = np.concatenate([image, -image, -image], axis=2)
    assert scene_counts.bright_spots(red) != scene_counts.bright_spots(image)


def test_spots_are_those_of_a_flood():
    scenes = load_scenes(DataConfig(dataset="scenes/binarized"), 40)
    found = [scene_counts.bright_spots(to_float(scene.image)) for scene in scenes]
    assert found == [flooded(scene.labels > 0) for scene in scenes]
    # Objects that touch are one spot, and these often do.
    truth = [scene.count for scene in scenes]
    assert all(spots <= count for spots, count in zip(found, truth, strict=True))
    assert len(set(found)) == 3


def flooded(bright):
    """How many regions of more than 40.96 pixels there are, one pixel at a time."""
    left = set(map(tuple, np.argwhere(bright).tolist()))
    areas = []
    while left:
        front = [left.pop()]
        areas.append(0)
        while front:
            row, column = front.pop()
            areas[-1] += 1
            for down, right in ((0, 1), (1, 0), (0, -1), (-1, 0)):
                near = row + down, column + right
                if near in left:
                    left.remove(near)
                    front.append(near)
    return sum(area > 40.96 for area in areas)


def test_a_count_is_right_or_so_far_away():
    found = scene_counts.summaries([2, 3, 3, 0], {"one": [2, 1, 4, 0]})
    assert list(found) == ["one", scene_counts.MOST_FREQUENT]
    accuracy, error = (found["one"][name] for name in ("accuracy", ERROR))
    assert (accuracy["mean"], accuracy["images"]) == (0.5, 4)
    assert error["mean"] == 0.75
    assert error["error"] == pytest.approx(np.std([0, 2, 1, 0], ddof=1) / 2)
    constant = found[scene_counts.MOST_FREQUENT]
    assert constant["accuracy"]["mean"] == 0.5
    assert constant[ERROR]["mean"] == 1


def test_what_is_counted_depends_on_the_run_and_on_the_scenes():
    def names(recipe, placed):
        return list(scene_counts.counters(recipe, placed=placed))

    parts = ["placed parts", "parts that are missed"]
    spots = ["bright spots of the input", "bright spots of the reconstruction"]
    for recipe in ("binarized", "fashion_items"):
        assert names(recipe, True) == [*parts, *spots]
        assert names(recipe, False) == spots
    assert names("textured", True) == parts
    assert names("textured", False) == []


def test_spots_are_of_the_input_or_of_what_was_drawn():
    one, two = np.full((2, 10, 10, 1), -1.0)
    one[:3, :3] = two[:3, :3] = two[6:, 6:] = 1
    drawn = types.SimpleNamespace(image=one, recording=types.SimpleNamespace(image=two))
    counters = scene_counts.counters("binarized", placed=False)
    assert [count(drawn) for count in counters.values()] == [1, 2]
