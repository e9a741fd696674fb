"""Parsing a run whose parts are placed freely: segments and counts of the parts."""

import contextlib
import dataclasses
import io
import json
import pathlib

import numpy as np
import PIL.Image
import pytest

from hcm_tf.config import DataConfig
from hcm_tf.data import load_scenes
from hcm_tf.evaluate import groupings, parsing, scene_counts, scene_scores
from hcm_tf.evaluate.__main__ import main
from hcm_tf.explain import absence, edits, grouping, placed_parts
from hcm_tf.metrics.segmentation import best_overlap
from hcm_tf.runs import checkpoint

DATA = DataConfig(dataset="scenes/binarized")
COUNT = 3
SCENES = load_scenes(DATA, COUNT)
NAME, ABSENCE = "by placed part", "by absence"


@pytest.fixture(scope="module")
def free(tiny_config):
    """The model's configuration."""
    return dataclasses.replace(tiny_config.model, image_channels=1, placement="free")


@pytest.fixture(scope="module")
def run(tiny_config, free):
    """Networks whose parts are anywhere, and hide each other."""
    config = dataclasses.replace(tiny_config, model=free, data=DATA)
    run = checkpoint.untrained(config, seed=1)
    kernel = run.generator.placing.kernel
    kernel.assign(2.5 * np.random.default_rng(1).normal(size=kernel.shape))
    return run


@pytest.fixture(scope="module")
def latents():
    random = np.random.default_rng(0)
    return random.uniform(-1, 1, (COUNT, 6)).astype("float32")


@pytest.fixture(scope="module")
def drawn(run, latents):
    decoder = parsing.Decoder(run.generator, progress=False)
    return [groupings.Drawn(None, decoder, one) for one in decoder.record(latents)]


def test_placed_parts_are_scored_and_counted(run, latents, drawn):
    found = parsing.parse(
        *(run, SCENES, np.zeros((COUNT, 32, 32, 1), "float32"), latents),
        groupings.PLACED,
        segments=4,
        counters=scene_counts.counters("textured", placed=True),
    )
    assert list(found.scores) == [NAME, ABSENCE]
    for number, (scene, one) in enumerate(zip(SCENES, drawn, strict=True)):
        placed = one.recording.placing
        labels = grouping.enlarged(placed_parts.labels(placed, 32), 64)
        np.testing.assert_array_equal(found.labels[NAME][number], labels)
        masks = grouping.enlarged(placed_parts.masks(placed, 32), 64)
        expected = scene_scores.scores(scene.labels, labels)
        expected["best IoU"] = best_overlap(scene.labels, masks)
        assert found.scores[NAME][number] == expected
        assert (
            found.counts["placed parts"][number] == placed_parts.present(placed).sum()
        )
        changes = absence.changes(one.decoder, one.recording)
        labels = grouping.enlarged(absence.labels(changes), 64)
        np.testing.assert_array_equal(found.labels[ABSENCE][number], labels)
        areas = [np.mean(alone > 0.5) for alone in changes[:16]]
        large = sum(area > 0.01 for area in areas)
        assert found.counts["parts that are missed"][number] == large
    assert len(np.unique(found.labels[NAME])) > 3
    assert max(found.counts["placed parts"]) > 1


def test_by_location_is_of_what_each_location_draws_where_it_is_placed(drawn):
    for one in drawn:
        recording, pictures = one.recording, one.locations
        close = 1e-5 * np.abs(recording.logits).max()
        np.testing.assert_allclose(
            pictures.sum(axis=0), recording.logits, rtol=0, atol=close
        )
        # With one part elsewhere its picture is another, and no other location's is.
        gates = edits.displaced_gates(recording, (1, 1), 1.0, -0.5)
        moved = dataclasses.replace(recording, gates=gates)
        elsewhere = groupings.Drawn(None, one.decoder, moved)
        away = np.abs(elsewhere.locations - pictures).max(axis=(1, 2, 3))
        assert away[5] > 1000 * close
        assert np.delete(away, 5).max() <= close
        np.testing.assert_array_equal(
            groupings.GROUPINGS["by location"](elsewhere, 4),
            np.argmax(np.abs(elsewhere.locations[..., 0]), axis=0),
        )


@pytest.fixture(scope="module")
def parsed(make_run, free):
    """The directory of a run, what the command wrote, and what it said."""
    run_dir = make_run(data=DATA, model=free)
    told = io.StringIO()
    arguments = [f"--run_dir={run_dir}", f"--count={COUNT}", "--refine=1"]
    with contextlib.redirect_stdout(told):
        assert main(["evaluate", "--parsing", *arguments]) == 0
    found = json.loads((run_dir / "parsing.json").read_text())
    return run_dir, found, told.getvalue()


def test_the_command_writes_the_row_the_counts_and_the_diagnosis(parsed):
    run_dir, found, told = parsed
    assert found["rows"][NAME]["MSC-FG"]["images"] == COUNT
    assert found["rows"][NAME]["best IoU"]["images"] == COUNT
    assert found["refined"][NAME]["count"] == 1
    assert NAME not in found["random_weights"]
    assert "by location" in found["random_weights"]
    # It was never trained: nothing is opaque, and all is background.
    one = scene_scores.baselines("binarized")["one segment"]
    segment = scene_scores.score(one, SCENES)
    assert found["rows"][NAME] | segment == found["rows"][NAME]
    truth = np.array([scene.count for scene in SCENES])
    counted = found["counts"]["placed parts"]
    assert counted["accuracy"]["mean"] == 0
    assert counted["mean absolute error"]["mean"] == truth.mean()
    assert list(found["counts"])[-1] == scene_counts.MOST_FREQUENT
    # Every object that is seen is missed, and the table says so.
    seen = [np.bincount(scene.labels.ravel())[1:] for scene in SCENES]
    objects = sum(int(np.sum(sizes >= 20)) for sizes in seen)
    assert found["faults"][NAME] == {
        "objects": objects,
        "split": 0,
        "merged": 0,
        "missed": objects,
    }
    row = " | ".join(["| by placed part", *map(str, (objects, 0, 0, objects))])
    assert row.lstrip("| ") in told
    assert (found["placing"]["presence"], found["placing"]["covered"]) == (1, 0)
    error = counted["mean absolute error"]
    row = f"0.000 ± 0.000 | {error['mean']:.3f} ± {error['error']:.3f} |"
    assert f"| {run_dir.name} | placed parts | {row}" in told
    assert f"| {run_dir.name} | {NAME} | " in told


def test_the_table_of_groupings_has_all_of_them():
    text = (pathlib.Path(__file__).parents[2] / "docs/scenes.md").read_text()
    _, table = text.split("## Parsing a run")[1].split("| | |\n|---|---|\n")[:2]
    # It ends where a line is no row: what stands below is text to Markdown.
    rows = table.split("\n\n")[0].splitlines()
    names = [row.split("|")[1].strip() for row in rows]
    assert names == [*groupings.GROUPINGS, *groupings.PLACED]


def test_the_picture_has_columns_of_placed_parts(parsed):
    pixels = np.asarray(PIL.Image.open(parsed[0] / "parsing.png"))
    columns = 3 + len(groupings.GROUPINGS) + len(groupings.PLACED)
    assert pixels.shape[1] == 2 * (64 + 2) * columns - 4
