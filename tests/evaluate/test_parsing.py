"""Parsing a run: segments of what it draws, beside controls."""

import contextlib
import dataclasses
import io
import json

import numpy as np
import PIL.Image
import pytest

from hcm_tf.config import DataConfig
from hcm_tf.data import load_scenes
from hcm_tf.data.resizing import ImageFormat
from hcm_tf.evaluate import (
    groupings,
    parsing,
    parsing_table,
    scene_counts,
    scene_scores,
)
from hcm_tf.evaluate.__main__ import main
from hcm_tf.explain import grouping
from hcm_tf.images import to_float
from hcm_tf.metrics.segmentation import best_overlap
from hcm_tf.runs import checkpoint

DATA = DataConfig(dataset="scenes/binarized")
COUNT = 3
SCENES = load_scenes(DATA, COUNT)


@pytest.fixture(scope="module")
def config(tiny_config):
    model = dataclasses.replace(tiny_config.model, image_channels=1)
    return dataclasses.replace(tiny_config, model=model, data=DATA)


@pytest.fixture(scope="module")
def run(config):
    return checkpoint.untrained(config, seed=1)


@pytest.fixture(scope="module")
def run_dirs(make_run, config):
    """A run, and its dense control."""
    dense = dataclasses.replace(config.model, attribute_keep=1.0)
    return make_run(data=DATA, model=config.model), make_run(data=DATA, model=dense)


def start(*arguments):
    return main(["evaluate", "--parsing", *arguments])


@pytest.fixture(scope="module")
def parsed(run_dirs):
    """What the command wrote for each run, and what it said."""
    told = io.StringIO()
    arguments = [f"--run_dir={run_dir}" for run_dir in run_dirs]
    with contextlib.redirect_stdout(told):
        assert start(*arguments, f"--count={COUNT}", "--refine=2") == 0
    files = [json.loads((one / "parsing.json").read_text()) for one in run_dirs]
    return *files, told.getvalue()


def parse(run, group, *, scenes=SCENES, name="by pixel, attributes", latents=None):
    images = np.zeros((len(scenes), 32, 32, 1), "float32")
    if latents is None:
        latents = np.zeros((len(scenes), 6), "float32")
    return parsing.parse(run, scenes, images, latents, {name: group}, segments=4)


def test_a_grouping_that_knows_the_truth_scores_1(run):
    truths = iter(scene.labels for scene in SCENES for _ in range(2))
    right = parse(run, lambda drawn, segments: next(truths))
    names = ["by pixel, attributes", "by pixel, attributes, oracle K"]
    assert list(right.scores) == names
    for rows in right.scores.values():
        assert [one["MSC-FG"] for one in rows] == [1.0] * COUNT
    wrong = parse(run, lambda drawn, segments: np.zeros((32, 32), int))
    assert all(one["ARI-FG"] == 0 for one in wrong.scores[names[0]])
    np.testing.assert_array_equal(
        right.labels[names[0]], [scene.labels for scene in SCENES]
    )


def test_segments_are_as_many_for_all_but_for_the_oracle(run):
    asked = []

    def group(drawn, segments):
        asked.append(segments)
        return np.zeros((32, 32), int)

    parse(run, group)
    assert asked[::2] == [4] * COUNT
    assert asked[1::2] == [scene.count + 1 for scene in SCENES]
    assert len(set(asked[1::2])) > 1
    asked.clear()
    parse(run, group, name="by location, merged")
    assert asked == [4] * COUNT


def test_scenes_without_objects_are_left_out(run):
    empty = dataclasses.replace(
        SCENES[0], labels=np.zeros_like(SCENES[0].labels), masks=SCENES[0].masks[:0]
    )
    halves = np.repeat([0, 1], 512).reshape(32, 32)
    found = parse(run, lambda *_: halves, scenes=[empty, *SCENES])
    with_empty = scene_scores.summaries(found.scores["by pixel, attributes"])
    found = parse(run, lambda *_: halves)
    without = scene_scores.summaries(found.scores["by pixel, attributes"])
    assert with_empty["MSC-FG"] == without["MSC-FG"]
    assert with_empty["MSC-FG"]["images"] == COUNT
    assert with_empty["MSC"]["images"] == COUNT + 1


def test_every_grouping_is_of_what_was_drawn(run):
    """Each as it is said to be, from an image decoded by hand."""
    random = np.random.default_rng(0)
    latents = random.uniform(-1, 1, (1, 6)).astype("float32")
    image = random.uniform(-1, 1, (32, 32, 1)).astype("float32")
    decoder = parsing.Decoder(run.generator, progress=False)
    recording = decoder.record(latents)[0]
    drawn = groupings.Drawn(image, decoder, recording)
    table = groupings.GROUPINGS | groupings.COLOURS
    labels = {name: group(drawn, 4) for name, group in table.items()}

    def clustered(features, normalised):
        merges = grouping.pixel_merges(features, normalised=normalised)
        return grouping.pixel_segments(merges, 4)

    def alone(level):
        units = decoder.active(recording, level)
        shape = recording.codes[level].shape
        codes = [units.take([unit]).code(shape) for unit in range(units.count)]
        return units, decoder.replay(recording, level, np.stack(codes))

    units, pictures = alone(0)
    locations = np.zeros((16, 32, 32, 1))
    np.add.at(locations, 4 * units.row + units.column, pictures)
    of_pixels = np.moveaxis(pictures, 0, 2)
    shares = np.maximum(of_pixels[..., 0] / recording.logits, 0)
    expected = {
        "by location": grouping.by_location(locations),
        "by location, merged": grouping.by_merged_location(locations, 4),
        "by pixel, attributes": clustered(of_pixels, True),
        "by pixel, shares": clustered(shares, True),
        "by pixel, 8x8 units": clustered(np.moveaxis(alone(1)[1], 0, 2), True),
        "colours of the input": clustered(image, False),
        "colours of the reconstruction": clustered(recording.image, False),
    }
    assert list(labels) == list(expected)
    for name, found in labels.items():
        agreeing = scene_scores.scores(expected[name], found)["MSC"]
        # Rounding moves a pixel between equals at most.
        assert agreeing >= 0.95, name
    assert len({found.tobytes() for found in labels.values()}) > 4


def test_soft_masks_of_locations_are_scored(run):
    latents = np.full((COUNT, 6), 0.3, "float32")
    found = parse(
        run,
        groupings.GROUPINGS["by location"],
        name="by location",
        latents=latents,
    )
    decoder = parsing.Decoder(run.generator, progress=False)
    drawn = groupings.Drawn(None, decoder, decoder.record(latents[:1])[0])
    masks = grouping.enlarged(grouping.soft_masks(drawn.locations), 64)
    for scene, scores in zip(SCENES, found.scores["by location"], strict=True):
        assert scores["best IoU"] == best_overlap(scene.labels, masks)


def test_the_command_measures_run_controls_and_baselines(parsed):
    found, *_ = parsed
    assert (found["dataset"], found["scenes"]) == ("scenes/binarized", COUNT)
    assert (found["segments"], found["step"]) == (4, 0)
    table = groupings.GROUPINGS | groupings.COLOURS
    oracles = [f"{name}, oracle K" for name in groupings.ORACLE]
    assert set(found["rows"]) == {*table, *oracles}
    assert "by pixel, attributes" in found["random_weights"]
    assert "colours of the input" not in found["random_weights"]
    for scores in [*found["rows"].values(), *found["random_weights"].values()]:
        for score in scene_scores.SCORES:
            assert scores[score]["images"] == COUNT
    tiles = scene_scores.score(scene_scores.baselines("binarized")["4x4 tiles"], SCENES)
    assert found["without_training"]["4x4 tiles"] == tiles
    # This run was never trained, but its weights are of another seed's drawing.
    own, random = found["rows"], found["random_weights"]
    assert own["by location"] != random["by location"]


def test_the_colours_of_the_input_do_not_depend_on_the_run(parsed):
    one, other = (found["rows"] for found in parsed[:2])
    assert one["colours of the input"] == other["colours of the input"]
    assert one["by pixel, attributes"] != other["by pixel, attributes"]


def test_refined_scenes_stand_beside_the_same_encoded(parsed):
    found, *_ = parsed
    both = found["refined"]["by pixel, attributes"]
    assert both["count"] == 2
    assert both["refined"]["MSC"]["images"] == 2
    assert both["same_scenes_encoded"]["MSC"]["images"] == 2
    assert both["refined"] != both["same_scenes_encoded"]


def test_runs_share_one_table_that_says_what_their_files_say(parsed, run_dirs):
    *files, told = parsed
    assert told.startswith(f"scenes/binarized, {COUNT} scenes\n\n| run |")
    assert told.count("| without training | one segment | 0.000 ± 0.000 |") == 1
    for found, directory in zip(files, run_dirs, strict=True):
        name = directory.name
        assert f"{directory / 'parsing.png'}: {found['seconds']:.0f} seconds" in told
        assert f"| {name}, random weights | by location |" in told
        assert f"| {name} | by pixel, attributes, 2 refined |" in told
        for grouping_name, scores in found["rows"].items():
            one = scores["ARI-FG"]
            row = f"| {grouping_name} | {one['mean']:.3f} ± {one['error']:.3f} |"
            assert told.count(f"| {name} {row}") == 1


def test_objects_are_counted_beside_what_needs_no_parts(parsed):
    found, _, told = parsed
    truth = [scene.count for scene in SCENES]
    spots = "bright spots of the input"
    names = [spots, "bright spots of the reconstruction", "the most frequent count"]
    assert list(found["counts"]) == names
    form = ImageFormat.of(DATA, 32, 1)
    shrunk = [to_float(form.apply_to_array(scene.image)) for scene in SCENES]
    of_input = [scene_counts.bright_spots(image) for image in shrunk]
    expected = scene_counts.summaries(truth, {spots: of_input})
    assert found["counts"][spots] == expected[spots]
    assert found["counts"][names[-1]] == expected[names[-1]]
    counted = told.partition("| run | objects counted by | accuracy |")[2]
    for name in names:
        assert counted.count(f" | {name} | ") == 2


def test_the_grid_has_no_placed_parts(parsed):
    for found in parsed[:2]:
        assert "placing" not in found
        for rows in (found["rows"], found["counts"], found["refined"]):
            assert not any("placed" in name for name in rows)
    assert "placed" not in parsed[2]


def test_a_row_without_a_number_is_a_dash():
    nothing = {"mean": None, "error": None, "images": 0}
    once = {"mean": 0.5, "error": None, "images": 1}
    rows = {"by location": {"ARI-FG": nothing, "MSC-FG": once}}
    found = {"rows": rows, "random_weights": {}, "without_training": {}}
    row = parsing_table.markdown({"one": found}).splitlines()[-1]
    assert row == "| one | by location | - | 0.500 | - | - | - |"


def test_the_picture_shows_the_best_the_median_and_the_worst(parsed, run_dirs):
    pixels = np.asarray(PIL.Image.open(run_dirs[0] / "parsing.png"))
    columns = 3 + len(groupings.available(placed=False))
    side = 2 * (64 + 2)
    assert pixels.shape == (3 * side - 4, columns * side - 4, 3)
    shown = pixels[:128:2, :128:2]
    images = [np.broadcast_to(scene.image, (64, 64, 3)) for scene in SCENES]
    assert any(np.array_equal(shown, image) for image in images)


def test_a_run_can_be_parsed_on_other_scenes(make_run):
    run_dir = make_run()
    asked = "--dataset=scenes/genesis", "--count=2"
    assert start(f"--run_dir={run_dir}", *asked) == 0
    found = json.loads((run_dir / "parsing.json").read_text())
    assert "refined" not in found
    assert (found["dataset"], found["segments"]) == ("scenes/genesis", 5)


def one_line(capsys):
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    return told


def test_mistakes_are_one_line(make_run, tiny_run, config, capsys):
    run_dir = make_run(data=DATA, model=config.model)
    assert start(f"--run_dir={run_dir}", f"--run_dir={tiny_run}") == 1
    told = one_line(capsys)
    assert f"{tiny_run} would be parsed on avatars" in told
    assert "--dataset=scenes/NAME" in told
    assert not (run_dir / "parsing.json").exists()
    assert start(f"--run_dir={run_dir}", "--dataset=scenes/clevr") == 1
    assert "Unknown scenes scenes/clevr" in one_line(capsys)
    assert main(["evaluate", "classes", "--parsing", f"--run_dir={run_dir}"]) == 1
    assert "--parsing does not go with 'classes'" in one_line(capsys)
