"""Who competes for a place: the background's attributes, with nobody."""

import dataclasses
import json

import jsonschema
import keras
import numpy as np
import pytest
from explain_helpers import SMALL, record
from test_placed_networks import BEHIND, moved

from hcm_tf.explain import tree
from hcm_tf.explain.choice import choose
from hcm_tf.explain.decoder import Decoder
from hcm_tf.networks.levels import Level
from hcm_tf.sparsity.rules import RULES, Competition

ALWAYS = BEHIND["background_attributes"]


@pytest.fixture(scope="module")
def behind():
    keras.utils.set_random_seed(0)
    config = dataclasses.replace(SMALL["sparse"], placement="free", **BEHIND)
    decoder = Decoder(moved(config), progress=False)
    return decoder, record(decoder)[0]


def test_the_background_does_not_compete(behind):
    decoder, recording = behind
    attributes, response = decoder.levels[0], recording.responses[0]
    assert attributes.always == ALWAYS
    assert attributes.most == attributes.k + ALWAYS
    assert attributes.competitors == response.shape[-1] - ALWAYS
    told = f"k = {attributes.k} of {attributes.competitors}, and {ALWAYS} that are"
    assert told in attributes.selection(0.9, 1.0)


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ("dense", "8x8 by dense, all 64"),
        ("l1", "8x8 by l1, all 64"),
        ("top_p", "8x8 by top_p, p = 0.8 of the sum of 64"),
        ("sparsemax", "8x8 by sparsemax, k = 16 of 64 at temperature 2"),
    ],
)
def test_a_report_says_what_decides_how_much_is_kept(rule, told):
    level = Level("8x8", (8, 8, 4), 16, placed=False, rule=rule)
    assert level.selection(0.8, 2.0) == told


@pytest.mark.parametrize("rule", RULES)
def test_levels_know_whether_values_are_kept_whole(rule):
    x = np.random.default_rng(0).uniform(0, 1, (1, 8, 8, 4)).astype("float32")
    one = Competition(x.reshape(1, 64, 4), 16, axis=1, threshold=np.float32(0.7))
    gate = np.asarray(RULES[rule].gate(one)).astype("float32")
    dropped = set(np.unique(gate)) == {0.0, 1.0}
    level = Level("8x8", (8, 8, 4), 16, placed=False, rule=rule)
    assert level.whole == dropped


def test_the_background_is_always_kept_and_is_nobody_s_rival(behind):
    decoder, recording = behind
    attributes, response = decoder.levels[0], recording.responses[0]

    kinds = set()
    for *place, _ in zip(*decoder.active(recording, 0), strict=True):
        row, column, basis = map(int, place[:3])
        choice = choose(recording, 0, attributes, row, column, basis)
        kinds.add(choice.always)
        assert choice.always == (basis < ALWAYS)
        if choice.always:
            assert (choice.rank, choice.lead, choice.margin) == (1, None, None)
            assert not choice.rivals
            continue
        others = np.delete(response[row, column, ALWAYS:], basis - ALWAYS)
        own = response[row, column, basis]
        assert choice.rank == 1 + np.sum(others > own)
        assert choice.lead == pytest.approx(own - others.max())
        assert choice.margin is None or choice.margin > 0
        assert choice.rivals
        assert all(rival.basis >= ALWAYS for rival in choice.rivals)
    assert kinds == {True, False}


def test_the_tree_says_so(behind):
    values = tree.grow(*behind, roots=200).to_json()
    values = json.loads(json.dumps(values))
    jsonschema.validate(values, json.loads(tree.SCHEMA_FILE.read_text()))
    lowest = [node for node in values["nodes"] if node["level"] == 0]
    assert any(node["basis"] < ALWAYS for node in lowest)
    for node in values["nodes"]:
        always = node["level"] == 0 and node["basis"] < ALWAYS
        assert node.get("always", False) == always
        assert (node["lead"] is None) == always
