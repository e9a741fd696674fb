"""The studio under rules whose gates are shares: responses compared, gates saved."""

import dataclasses
import json
import re

import jsonschema
import pytest
from studio_pages import opened, serve
from test_studio_page import download, recorded, state_of

from hcm_tf.explain import tree

RULES = ("sparsemax", "entmax15", "top_k")
CONTEST = re.compile(
    r"It answered with (-?[\d.]+), the (\d*)\w* ?strongest here\. .*: (.*)\.$"
)


@pytest.fixture(scope="module")
def gated_run(make_run, tiny_config):
    return make_run(model=dataclasses.replace(tiny_config.model, sparsity=RULES))


@pytest.fixture
def page(browser, gated_run):
    with (
        serve(gated_run) as address,
        opened(browser, address, accept_downloads=True) as page,
    ):
        yield page


def test_a_part_is_compared_with_its_rivals_by_its_response(page, gated_run):
    _, (recording,) = recorded(gated_run, 0)
    for level in range(3):
        page.choose(level)
        told = CONTEST.match(page.page.text_content("#rivals"))
        page.press("[data-do='2']")
        unit = state_of(page)["edits"][-1]["unit"]
        responses, codes = (
            one[level].reshape(-1) for one in (recording.responses, recording.codes)
        )
        assert float(told[1]) == pytest.approx(responses[unit], abs=6e-3)
        # And what the gate let through is another number.
        assert (abs(responses[unit] - codes[unit]) > 0.02) == (level < 2)
        others = [float(one.split()[0]) for one in told[3].split(", ")]
        stronger = int(told[2] or 1) - 1
        assert sum(one > float(told[1]) for one in others) <= stronger
        assert sum(one >= float(told[1]) for one in others) >= min(stronger, 5)


def test_a_saved_tree_has_the_gates(page, gated_run):
    found = json.loads(download(page, "#save-tree").read_text())
    jsonschema.validate(found, json.loads(tree.SCHEMA_FILE.read_text()))
    decoder, (recording,) = recorded(gated_run, 0)
    expected = tree.grow(decoder, recording).to_json()["nodes"]
    ours, theirs = (
        {node["id"]: node.get("gate", 1.0) for node in nodes}
        for nodes in (found["nodes"], expected)
    )
    assert ours == pytest.approx(theirs, rel=1e-5)
    assert {node["level"] for node in found["nodes"] if "gate" in node} == {0, 1}
