"""Scenes drawn: the command that judges samples and edits, as a user runs it."""

import contextlib
import dataclasses
import io
import json

import numpy as np
import PIL.Image
import pytest

import hcm_tf.features.scenes
from hcm_tf.config import DataConfig
from hcm_tf.data import load_scenes, scene_source
from hcm_tf.data.resizing import ImageFormat
from hcm_tf.evaluate import scene_objects
from hcm_tf.evaluate.__main__ import main
from hcm_tf.evaluate.scene_edits import EDITS, GATES
from hcm_tf.evaluate.scene_sets import Judge, compared
from hcm_tf.features import training
from hcm_tf.features.classifier import Classifier, initial_weights
from hcm_tf.images import to_float
from hcm_tf.metrics import bootstrap
from hcm_tf.metrics.composition import total_variation
from hcm_tf.metrics.frechet import frechet_distance

COUNT = 12
SPOTS = "bright spots"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return DataConfig(
        dataset="scenes/binarized", data_dir=str(tmp_path_factory.mktemp("data"))
    )


@pytest.fixture(scope="module")
def few_scenes():
    """A classifier is made of so few that it takes seconds, and few halves are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hcm_tf.features.scenes, "LEARNT", 100)
        patch.setattr(hcm_tf.features.scenes, "HELD_OUT", 100)
        patch.setattr(bootstrap, "HALVES", 2)
        yield


@pytest.fixture(scope="module")
def run_dirs(make_run, tiny_config, data):
    """On the grid, and a dense control that is placed freely."""
    model = dataclasses.replace(tiny_config.model, image_channels=1)
    free = dataclasses.replace(model, placement="free", attribute_keep=1.0)
    return [make_run(data=data, model=one) for one in (model, free)]


def start(*arguments):
    return main(["evaluate", "--drawn", *arguments])


@pytest.fixture(scope="module")
def judged(run_dirs, few_scenes):
    """What the command wrote for each run, and what it said."""
    told = io.StringIO()
    arguments = [f"--run_dir={run_dir}" for run_dir in run_dirs]
    with contextlib.redirect_stdout(told):
        assert start(*arguments, f"--count={COUNT}", "--epochs=1") == 0
    files = [json.loads((one / "drawn.json").read_text()) for one in run_dirs]
    return *files, told.getvalue()


def pixels(data, numbers):
    form = ImageFormat.of(data, 32, 1)
    drawn = scene_source.scenes_of(data, numbers)
    return np.stack([form.apply_to_array(one.image) for one in drawn])


def spots(images):
    return np.array(
        [
            len(scene_objects.bright(scene_objects.resized(one)))
            for one in to_float(images)
        ]
    )


def test_real_scenes_are_the_floor_and_say_how_right_a_count_is(judged, data):
    truth = np.array([scene.count for scene in load_scenes(data, COUNT)])
    start = scene_source.TRAIN_SCENES
    training = spots(pixels(data, range(start - COUNT, start)))
    test = spots(pixels(data, range(start, start + COUNT)))
    for found in judged[:2]:
        right = found["counters"][SPOTS]["right"]["test scenes"]
        assert right["mean"] == np.mean(test == truth)
        assert right["images"] == COUNT
        floor = found["sets"]["test scenes"]
        assert floor["counts"][SPOTS] == np.bincount(test).tolist()
        assert found["training_scenes"]["counts"][SPOTS] == (
            np.bincount(training).tolist()
        )
        value = floor["total_variation"][SPOTS]["value"]
        assert value == total_variation(training, test)
        most = np.bincount(truth).max() / COUNT
        constant = found["counters"]["the most frequent count"]["right"]
        assert constant["reconstructions"]["mean"] == most
        assert sum(floor["counts"]["the classifier"]) == COUNT
    # No run is in what is real.
    one, other = (found["sets"] for found in judged[:2])
    assert one["test scenes"] == other["test scenes"]
    assert one["samples"] != other["samples"]


def test_every_object_is_edited_beside_a_control(judged, data):
    objects = sum(scene.count for scene in load_scenes(data, COUNT))
    for found in judged[:2]:
        edits = found["edits"]
        assert (edits["scenes"], edits["objects"]) == (COUNT, objects)
        assert edits["found"] <= objects
        assert list(edits["all"]) == [f"{one}, {by}" for one in EDITS for by in GATES]
        for row in edits["all"].values():
            assert row["own"]["images"] == objects
            assert row["own"]["mean"] > 0
            assert row["control_background"]["mean"] > 0


def test_runs_share_tables_that_say_what_their_files_say(judged, run_dirs):
    *files, told = judged
    assert told.startswith(f"scenes/binarized, {COUNT} samples\n\n| run | objects")
    for found, directory in zip(files, run_dirs, strict=True):
        name = directory.name
        assert f"{directory / 'drawn.png'}: {found['seconds']:.0f} seconds" in told
        right = found["counters"][SPOTS]["right"]["test scenes"]
        row = f"| {name} | {SPOTS} | {right['mean']:.3f} ± {right['error']:.3f} |"
        assert told.count(row) == 1
        frechet = found["sets"]["samples"]["frechet"]
        assert f"| {name} | samples | {frechet['value']:.3f} ± " in told
        objects = found["edits"]["objects"]
        own = found["edits"]["all"]["moved, anew"]["own"]
        row = f"| {name} | all: {objects} | moved, anew | {own['mean']:.3f} ± "
        assert told.count(row) == 1
        parts = np.array(found["sets"]["samples"]["counts"][SPOTS]) / COUNT
        assert f"| {name} | samples, {SPOTS} | {parts[0]:.3f} |" in told


def test_the_picture_has_a_row_for_each_scene(judged, run_dirs):
    for directory in run_dirs:
        shown = np.asarray(PIL.Image.open(directory / "drawn.png"))
        side = 2 * (64 + 2)
        assert shown.shape == (9 * side - 4, 8 * side - 4, 3)


def test_a_classifier_is_made_once(judged, data, few_scenes, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("it was made again")

    kept = hcm_tf.features.scenes.counting(data, 32, 1, epochs=1, count=100)
    assert kept.heads == {"count": ("1", "2", "3")}
    monkeypatch.setattr(training, "trained_weights", refuse)
    again = hcm_tf.features.scenes.counting(data, 32, 1, epochs=1, count=100)
    images = to_float(pixels(data, range(3)))
    np.testing.assert_array_equal(again.features(images), kept.features(images))
    with pytest.raises(AssertionError, match="made again"):
        hcm_tf.features.scenes.counting(data, 32, 1, epochs=2, count=100)


def untrained(channels):
    """A classifier that knows nothing of counts."""
    weights = initial_weights(32, channels, {}, seed=0)
    about = {"name": "labels", "sees": "", "side": 32, "channels": channels}
    return Classifier(weights, {}, about)


def test_sets_are_compared_by_their_own_numbers(data, few_scenes):
    judge = Judge("binarized", untrained(1))
    sets = [judge(pixels(data, range(first, first + 8))) for first in (0, 100)]
    found = compared(*sets, seed=0)
    assert list(found["total_variation"]) == [SPOTS]
    assert found["frechet"]["value"] == frechet_distance(
        sets[0].features, sets[1].features
    )
    assert found["area_distance"] > 0
    assert found["shape"]["objects"] == sum(sets[1].counts[SPOTS])
    same = compared(sets[0], sets[0], seed=0)
    assert same["total_variation"][SPOTS]["value"] == same["area_distance"] == 0
    # Nothing bright: no object has an area, and that is no number.
    nothing = judge(np.zeros((8, 32, 32, 1), np.uint8))
    assert nothing.about()["area"] == {"objects": 0, "mean": None, "quartiles": None}
    dark = compared(sets[0], nothing, seed=0)
    assert dark["area_distance"] is None
    assert dark["total_variation"][SPOTS]["value"] == 1


def test_stripes_have_no_objects_that_colour_tells():
    judge = Judge("textured", untrained(3))
    found = judge(np.zeros((4, 32, 32, 3), np.uint8))
    assert found.counts == {}
    assert len(found.areas) == 0


def test_mistakes_are_one_line(run_dirs, tiny_run, tmp_path, capsys):
    def refused(*arguments, call=start):
        assert call(*arguments) == 1
        told = capsys.readouterr().err
        assert told.count("\n") == 1
        return told

    run_dir = f"--run_dir={run_dirs[0]}"
    told = refused(run_dir, f"--run_dir={tiny_run}")
    assert f"{tiny_run} would be judged by the objects of avatars" in told
    assert "--count must be at least 12" in refused(run_dir, "--count=3")
    assert "Unknown scenes scenes/clevr" in refused(
        run_dir, "--dataset=scenes/clevr", "--count=12"
    )
    missing = tmp_path / "labels.npz"
    assert f"There is no file {missing}" in refused(
        run_dir, f"--labels={missing}", "--count=12"
    )
    assert "--parsing does not go with --drawn" in refused(run_dir, "--parsing")
    told = refused(
        "evaluate", "classes", "--drawn", run_dir, call=lambda *a: main([*a])
    )
    assert "--drawn does not go with 'classes'" in told
