"""Edits of objects and their leakage: by hand, and exact where gates are recorded."""

import dataclasses
import itertools

import numpy as np
import pytest

from hcm_tf.config import DataConfig
from hcm_tf.data import load_scenes
from hcm_tf.evaluate import scene_edits, scene_leakage
from hcm_tf.evaluate.groupings import Drawn
from hcm_tf.evaluate.scene_edits import Part
from hcm_tf.explain import edits
from hcm_tf.explain.decoder import Decoder
from hcm_tf.operations.placing import Placing
from hcm_tf.runs import checkpoint

DATA = DataConfig(dataset="scenes/binarized")
COUNT = 3
SCENES = load_scenes(DATA, COUNT)


def drawn_by(config, placement, **fields):
    model = dataclasses.replace(
        config.model, image_channels=1, placement=placement, **fields
    )
    run = checkpoint.untrained(dataclasses.replace(config, model=model), seed=1)
    if placement == "free":
        kernel = run.generator.placing.kernel
        kernel.assign(2.5 * np.random.default_rng(1).normal(size=kernel.shape))
    decoder = Decoder(run.generator, progress=False)
    latents = np.random.default_rng(0).uniform(-1, 1, (COUNT, 6)).astype("float32")
    image = np.zeros((32, 32, 1), "float32")
    return [Drawn(image, decoder, one) for one in decoder.record(latents)]


@pytest.fixture(scope="module")
def grid(tiny_config):
    return drawn_by(tiny_config, "grid")


@pytest.fixture(scope="module")
def behind(tiny_config):
    """Parts that are anywhere, hide each other, and a background behind them."""
    return drawn_by(tiny_config, "free", background_attributes=2)


def test_change_and_leakage_by_hand():
    labels = np.zeros((4, 4), int)
    labels[0], labels[1] = 1, 2
    before = np.zeros((4, 4, 3))
    after = before.copy()
    after[0] = 0.8
    after[1, :2] = -0.2
    after[3, 0, 0] = 0.3  # Of one channel of three.
    found = scene_leakage.change(before, after, labels, labels == 1)
    assert found.own == pytest.approx(0.8)
    assert found.others == pytest.approx(0.1)
    assert found.background == pytest.approx(0.1 / 8)
    # Where the object goes is no leakage.
    moved = scene_leakage.change(before, after, labels, labels <= 2)
    assert np.isnan(moved.others)
    leakage = scene_leakage.ratio([0.1, 0.3, np.nan], [0.8, 0.4, 1.0])
    assert leakage["mean"] == pytest.approx(0.4 / 1.2)
    assert leakage["images"] == 2
    residuals = np.array([0.1, 0.3]) - np.array([0.8, 0.4]) / 3
    assert leakage["error"] == pytest.approx(residuals.std(ddof=1) / 2**0.5 / 0.6)
    assert scene_leakage.ratio([], [])["mean"] is None
    assert scene_leakage.ratio([0.0], [0.0])["mean"] is None


def test_the_best_union_is_the_best_of_all():
    random = np.random.default_rng(0)
    for _ in range(5):
        owner = random.integers(0, 7, (8, 8))
        mask = random.uniform(size=(8, 8)) < 0.15 + 0.5 * (owner < 3)
        unions = [
            np.isin(owner, chosen)
            for count in range(1, 8)
            for chosen in itertools.combinations(range(7), count)
        ]
        overlaps = [(one & mask).sum() / (one | mask).sum() for one in unions]
        cells, overlap = scene_edits._best_union(owner, mask, side=4)
        assert overlap == pytest.approx(max(overlaps))
        union = np.isin(owner, [4 * row + column for row, column in cells])
        assert (union & mask).sum() / (union | mask).sum() == overlap


def test_where_nothing_else_is_drawn_nothing_leaks(grid):
    """What a location draws, as the truth: with recorded gates no other pixel moves."""
    one = grid[0]
    mask = np.abs(one.locations[0]).max(axis=2) > 0
    cells = ((0, 0),)
    after = np.tanh(
        scene_edits.removed(one.decoder, one.recording, cells, new_gates=False)
    )
    labels = np.where(mask, 1, 2)
    found = scene_leakage.change(one.recording.image, after, labels, mask)
    assert found.own > 1e-4
    assert found.others < 1e-7
    half = mask & (np.arange(32) < np.median(np.argwhere(mask)[:, 1]))
    labels = np.where(half, 1, 2)
    leaking = scene_leakage.change(one.recording.image, after, labels, half)
    assert leaking.others > 1e-5


def test_recorded_edits_are_sums_of_pictures(grid):
    one, other, _ = grid
    decoder, recording, donor = one.decoder, one.recording, other.recording
    cells = ((1, 1), (2, 1))
    logits = recording.logits
    close = {"rtol": 0, "atol": 1e-5 * np.abs(logits).max()}
    without = scene_edits.removed(decoder, recording, cells, new_gates=False)
    own = one.locations[[5, 9]].sum(axis=0)
    np.testing.assert_allclose(without, logits - own, **close)
    swapped = scene_edits.exchanged(decoder, recording, cells, donor, new_gates=False)
    theirs = other.locations[[5, 9]].sum(axis=0)
    np.testing.assert_allclose(swapped, logits - own + theirs, **close)
    moved = scene_edits.moved(decoder, recording, cells, (0, 1), new_gates=False)
    np.testing.assert_allclose(moved, logits - own + edits.shift(own, 0, 8), **close)
    assert np.abs(moved - logits).max() > 1000 * close["atol"]


@pytest.mark.parametrize("new_gates", [False, True])
def test_edits_of_placed_parts_are_of_places(behind, new_gates):
    """By the numbers that the places are read from, changed by hand."""
    one, other, _ = behind
    decoder, recording, donor = one.decoder, one.recording, other.recording
    cells, located = ((1, 1), (2, 1)), [5, 9]
    anew = {"new_gates": new_gates}
    found = {
        "removed": scene_edits.removed(decoder, recording, cells, **anew),
        "moved": scene_edits.moved(decoder, recording, cells, (0, 1), **anew),
        "exchanged": scene_edits.exchanged(decoder, recording, cells, donor, **anew),
    }
    generator, placing = decoder.generator, recording.placing

    def drawn(code=recording.codes[0], **fields):
        changed = dict(placing._asdict())
        for name, values in fields.items():
            changed[name] = np.array(changed[name])
            changed[name][0, located] = values
        matrix = np.asarray(generator.sums(Placing(**changed)))
        if new_gates:
            return decoder.redraw(0, code[np.newaxis], matrix)[0]
        gates = (recording.gates[0]._replace(placed=matrix), *recording.gates[1:])
        return generator.replay(0, code[np.newaxis], gates)[0]

    right = np.array(placing.position)[0, located] + [0.0, 2.0]
    code = np.array(recording.codes[0])
    code[[1, 2], 1, 2:] = donor.codes[0][[1, 2], 1, 2:]
    theirs = {
        name: np.asarray(values)[0, located]
        for name, values in donor.placing._asdict().items()
    }
    expected = {
        "removed": drawn(presence=0),
        "moved": drawn(position=right),
        "exchanged": drawn(code, **theirs),
    }
    scale = np.abs(recording.logits).max()
    for name, logits in found.items():
        np.testing.assert_allclose(logits, expected[name], rtol=0, atol=1e-5 * scale)
        assert np.abs(logits - recording.logits).max() > 1e-2 * scale
    # What a part hid is seen again: of a whole scene's parts, the background alone.
    every = tuple((row, column) for row in range(4) for column in range(4))
    rest = scene_edits.removed(decoder, recording, every, new_gates=True)
    alone = np.zeros_like(recording.codes[0])
    alone[..., :2] = recording.codes[0][..., :2]
    none = placing._replace(presence=np.zeros_like(placing.presence))
    behind_all = decoder.redraw(0, alone[np.newaxis], generator.sums(none))[0]
    np.testing.assert_allclose(rest, behind_all, rtol=0, atol=1e-5 * scale)


def test_an_object_moves_to_where_it_meets_least():
    labels = np.zeros((64, 64), int)
    labels[2:12, 30:40] = 1
    labels[2:12, 46:56] = labels[2:12, 14:24] = 2
    step, elsewhere = scene_edits.destination(labels, 1)
    assert step == (1, 0)
    expected = np.zeros((64, 64), bool)
    expected[18:28, 30:40] = True
    np.testing.assert_array_equal(elsewhere, expected)


def test_the_donor_is_another_scene_s_object_of_the_same_place():
    masks = np.zeros((4, 9), np.float32)
    masks[0, :4] = masks[1, :4] = masks[2, 1:5] = masks[3, 2:8] = 1
    here, there = Part(((0, 0),), 0.5, False), Part(((1, 0),), 0.5, False)
    parts = [(0, here), (0, here), (1, there), (2, here)]
    # Not its own scene's; and of the same locations before a better overlap.
    assert scene_edits.choose_donor(0, here, masks[0], parts, masks) == 3
    assert scene_edits.choose_donor(0, there, masks[0], parts, masks) == 2
    assert scene_edits.choose_donor(0, here, masks[0], parts[:2], masks[:2]) == -1


def test_the_control_edits_other_locations():
    random = np.random.default_rng(0)
    cells = ((0, 0), (1, 3), (3, 3))
    for _ in range(5):
        others = scene_edits.others(cells, 4, random)
        assert len(set(others)) == 3
        assert not set(others) & set(cells)
    every = tuple(itertools.product(range(4), repeat=2))
    assert scene_edits.others(every, 4, random) == ()
    assert len(scene_edits.others(every[:10], 4, random)) == 6


@pytest.mark.parametrize("kind", ["grid", "behind"])
def test_every_object_of_every_scene_is_edited(kind, request):
    drawn = request.getfixturevalue(kind)
    edited = scene_leakage.edit_scenes(SCENES, drawn, seed=0)
    assert [(one.number, one.object) for one in edited] == [
        (number, index)
        for number, scene in enumerate(SCENES)
        for index in range(scene.count)
    ]
    keys = list(itertools.product(scene_edits.EDITS, scene_edits.GATES))
    for one in edited:
        assert set(one.changes) == set(keys)
        assert one.donor != one.number
        mask = SCENES[one.number].labels == one.object + 1
        assert one.part == scene_edits.best_part(drawn[one.number], mask)
    first = edited[0]
    after = np.tanh(
        scene_edits.removed(
            *(drawn[0].decoder, drawn[0].recording, first.part.cells), new_gates=True
        )
    )
    own = SCENES[0].labels == 1
    expected = scene_leakage.change(
        drawn[0].recording.image, after, SCENES[0].labels, own
    )
    assert first.changes["removed", "anew"] == pytest.approx(expected, abs=1e-6)
    rows = scene_leakage.summaries(edited)
    assert list(rows) == [", ".join(key) for key in sorted(keys, key=keys.index)]
    assert rows["moved, anew"]["others"]["images"] == len(edited)
    picture = scene_leakage.picture(SCENES, drawn, edited)
    assert picture.shape == (3 * 66 - 2, 8 * 66 - 2, 3)


def test_the_object_is_outlined():
    mask = np.zeros((5, 5), bool)
    mask[2, 2] = True
    found = scene_leakage.outlined(np.zeros((5, 5, 1), np.uint8), mask)
    red = found[..., 0] > 0
    assert red.sum() == 4
    assert red[1, 2]
    assert not red[2, 2]
