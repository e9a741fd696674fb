"""The table of segmentations without training: what is scored, compared and stored."""

import json
import sys

import numpy as np
import pytest

from benchmarks import scene_baselines, scenes
from hcm_tf.data.scenes import RECIPES, draw
from hcm_tf.evaluate import scene_scores

# Sets without items, which not every machine has.
SETS = [name for name in scene_baselines.SETS if name != "fashion_items"]


def test_every_first_measurement_has_a_baseline():
    for name, rows in scene_baselines.FIRST.items():
        assert set(rows) <= set(scene_baselines.baselines(name))


@pytest.mark.parametrize("name", SETS)
def test_every_baseline_segments_every_set(name):
    few = scene_baselines.test_scenes(name, 2, scenes._data(name, ""))
    side = 35 if name == "tetrominoes_35" else 64
    for baseline, segmenter in scene_baselines.baselines(name).items():
        for seed, scene in enumerate(few):
            labels = segmenter(scene.image / 255, seed)
            assert labels.shape == (side, side), baseline
            assert np.issubdtype(labels.dtype, np.integer), baseline


def row(rand_index, covering, error=0.01, images=320):
    def of(mean):
        return {"mean": mean, "error": error, "images": images}

    return {"ARI-FG": of(rand_index), "MSC-FG": of(covering)}


def test_distance_to_the_first_measurement_is_in_errors_of_both():
    # First: .37 / .17 of 320 images, rounded to two digits.
    own = row(0.405, 0.175)
    apart, same = scene_baselines.compared("textured", "k-means, place alone", own)
    assert (apart["score"], apart["first"]) == ("ARI-FG", 0.37)
    assert apart["errors_apart"] == pytest.approx(0.03 / (0.01 * 2**0.5))
    assert same["errors_apart"] == 0
    # First: .32 / .35 of 100 images.
    apart, _ = scene_baselines.compared("textured", "4x4 tiles", row(0.40, 0.35))
    assert apart["errors_apart"] == pytest.approx(0.075 / (0.01 * (1 + 3.2) ** 0.5))
    never, _ = scene_baselines.compared("textured", "4x4 tiles", row(0.9, 0.3, 0.0))
    assert never["errors_apart"] is None
    assert scene_baselines.compared("textured", "another", own) == []


def test_differences_are_told():
    rows = {"4x4 tiles": row(0.9, 0.35)}
    rows["4x4 tiles"]["first"] = scene_baselines.compared(
        "textured", "4x4 tiles", rows["4x4 tiles"]
    )
    assert scenes.differing(rows) == ["4x4 tiles: ARI-FG 0.900 against 0.32"]


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["scenes", *arguments])
    scenes.main()


def test_the_command_stores_prints_and_goes_on(tmp_path, monkeypatch, capsys):
    arguments = ["--baselines", "--sets=binarized", "--count=3", f"--out={tmp_path}"]
    run(monkeypatch, *arguments)
    printed = capsys.readouterr().out
    path = tmp_path / "baselines.json"
    table = json.loads(path.read_text())
    rows = table["sets"]["binarized"]
    assert list(rows) == list(scene_baselines.baselines("binarized"))
    for baseline, found in rows.items():
        assert baseline in printed
        assert f"{found['ARI-FG']['mean']:.3f}" in printed
        assert found["ARI-FG"]["images"] == 3
    del rows["one segment"]
    path.write_text(json.dumps(table))
    made = []
    score = scene_scores.score
    monkeypatch.setattr(
        scene_scores, "score", lambda *given: made.append(1) or score(*given)
    )
    run(monkeypatch, *arguments)
    assert len(made) == 1
    assert capsys.readouterr().out == printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--baselines", "--sets=clevr"], "unknown clevr. There are colored_on"),
        (["--baselines", "--count=321"], "between 2 and 320. Received: 321"),
    ],
)
def test_mistakes_are_one_line(tmp_path, monkeypatch, arguments, message):
    with pytest.raises(SystemExit) as caught:
        run(monkeypatch, *arguments, f"--out={tmp_path}")
    assert message in str(caught.value.code)
    assert not list(tmp_path.iterdir())


def test_a_table_of_another_number_of_scenes_is_kept(tmp_path, monkeypatch):
    path = tmp_path / "baselines.json"
    path.write_text('{"count": 320, "sets": {}}')
    with pytest.raises(SystemExit) as caught:
        run(monkeypatch, "--baselines", "--count=3", f"--out={tmp_path}")
    assert "is of 320 scenes, and not of 3" in str(caught.value.code)
    assert path.read_text() == '{"count": 320, "sets": {}}'


def test_the_sheet_shows_images_above_their_masks(monkeypatch):
    few = {name: RECIPES[name] for name in ("binarized", "genesis")}
    monkeypatch.setattr(scenes, "RECIPES", few)
    pixels = scenes.sheet()
    assert pixels.shape == (4 * 66 - 2, 10 * 66 - 2, 3)
    scene = draw("genesis", 60_000 + 3)
    shown = pixels[2 * 66 : 2 * 66 + 64, 3 * 66 : 3 * 66 + 64]
    np.testing.assert_array_equal(shown, scene.image)
    masks = pixels[3 * 66 : 3 * 66 + 64, 3 * 66 : 3 * 66 + 64]
    np.testing.assert_array_equal(masks.any(axis=2), scene.labels > 0)
