"""Units and parts: known answers, and one tiny run from end to end."""

import numpy as np
import pytest

from hcm_tf import features
from hcm_tf.evaluate import meaning
from hcm_tf.evaluate.meaning import Seen
from hcm_tf.runs import checkpoint

SIDE = 16
EDITS = "unit", "random_unit"


def face(names, spots):
    """Units whose pictures are squares of 4 pixels at given corners."""
    pictures = np.zeros((len(names), SIDE, SIDE, 3), "float32")
    for picture, (row, column) in zip(pictures, spots, strict=True):
        picture[row : row + 4, column : column + 4] = 1.0
    return Seen(list(names), pictures, pictures.reshape(len(names), -1), [1.0])


@pytest.fixture(scope="module")
def followed():
    """Eight faces whose part wanders: unit (0, 0, 1) follows it, (0, 0, 2) stays."""
    corners = [(0, 0), (8, 8), (0, 8), (8, 0), (4, 4), (12, 12), (0, 12), (12, 0)]
    names = (0, 0, 1), (0, 0, 2)
    seen = [face(names, (corner, (6, 6))) for corner in corners]
    masks = np.zeros((8, SIDE, SIDE), bool)
    for mask, (row, column) in zip(masks, corners, strict=True):
        mask[row : row + 4, column : column + 4] = True
    return seen, masks


def test_the_unit_that_follows_is_chosen_and_scored(followed):
    seen, masks = followed
    found = meaning.matched(seen, {"nose": masks}, np.random.default_rng(0))
    pair = found["pairs"]["nose"]
    assert pair["unit"] == [0, 0, 1]
    assert pair["cases"] == 4
    assert pair["unit_score"] == pytest.approx(1.0, abs=1e-9)
    assert pair["other_face"] < 0.6
    assert pair["average_place"] < 0.8
    assert found["unit_score"] == pair["unit_score"]


def test_halves_are_kept_apart(followed):
    """A unit that fits only the faces that score is not chosen by them."""
    seen, masks = followed
    late = [
        each if index < 4 else face([(0, 0, 2)], [np.argwhere(masks[index])[0]])
        for index, each in enumerate(seen)
    ]
    found = meaning.matched(late, {"nose": masks}, np.random.default_rng(0))
    assert found == {
        "pairs": {},
        "unit_score": None,
        "other_face": None,
        "average_place": None,
    }


def test_a_rare_unit_is_not_chosen(followed):
    seen, masks = followed
    flat = masks.reshape(8, -1)
    rare = [
        face([(0, 0, 1)], [(0, 0)]),
        *(face([(0, 0, 2)], [(6, 6)]) for _ in seen[1:]),
    ]
    assert meaning.choose(rare, flat, np.ones(8, bool)) == (0, 0, 2)
    assert meaning.choose(rare, flat, np.zeros(8, bool)) is None


def test_a_run_from_end_to_end(tiny_run):
    run = checkpoint.load(tiny_run)
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (12, 32, 32, 3), dtype="uint8")
    mask = np.zeros((12, 32, 32), bool)
    mask[:, 8:16, 8:16] = True
    ticks = []
    found = meaning.measure(
        run, pixels, {"nose": mask}, features.load("parts"), advance=ticks.append
    )
    assert list(found) == ["attributes", "8x8", "16x16"]
    assert sum(ticks) == 12 * 3
    assert all(each["explained"]["256"] <= 1 + 1e-5 for each in found.values())
    scored = [each["overlap"] for each in found.values() if each["overlap"]["pairs"]]
    assert scored
    for scores in scored:
        assert 0 <= scores["unit_score"] <= 1
        # The part is at one place: nothing beats its place.
        assert scores["average_place"] == pytest.approx(1.0, abs=1e-9)
    edits = [each["edits"] for each in found.values() if each["overlap"]["pairs"]]
    assert [each["cases"] for each in edits] == [
        scores["pairs"]["nose"]["cases"] for scores in scored
    ]
    for each in edits:
        rates = [each[name][kind] for name in EDITS for kind in ("own", "others")]
        assert 0 <= min(rates) <= max(rates) <= 1
