"""The explanation under rules whose gates are shares."""

import json
import pathlib

import jsonschema
import numpy as np
import pytest
from browser import chromium
from mixes import IDS, MIXES

from hcm_tf.explain import commands
from hcm_tf.explain.decoder import Decoder
from hcm_tf.runs import checkpoint

SCHEMA = pathlib.Path(commands.__file__).with_name("tree.schema.json")


def test_the_report_names_the_rules_and_shows_the_gates(mixed_run, tmp_path):
    run = checkpoint.load(mixed_run)
    source = commands.Source(seed=3)
    commands.make_report(mixed_run, tmp_path, source, memory_mb=200)
    page = (tmp_path / "report.html").read_text()
    for level in run.generator.levels:
        sized = level.rule not in ("l1", "top_p")
        kept = f"k = {level.k} of" if sized else ""
        assert f"{level.name} by {level.rule}, {kept}" in page
    (path,) = tmp_path.rglob("tree.json")
    tree = json.loads(path.read_text())
    jsonschema.validate(tree, json.loads(SCHEMA.read_text()))
    for level in tree["levels"]:
        assert level["unit_residual"] < 1e-5
        assert level["edge_residual"] < 1e-5

    recording = Decoder(run.generator).record(run.prior.from_seeds([3]).numpy())[0]
    fractional = 0
    for node in tree["nodes"]:
        place = node["level"], node["row"], node["column"], node["basis"]
        response = recording.responses[place[0]][place[1:]]
        assert node.get("gate", 1.0) * response == pytest.approx(
            node["value"], rel=1e-4
        )
        fractional += "gate" in node
    shares = {"soft_top_k", "sparsemax", "entmax15", "sparsestmax"}
    assert (fractional > 0) == any(
        level.rule in shares for level in run.generator.levels
    )
    assert np.isfinite(recording.logits).all()


@pytest.mark.parametrize("mixed_run", MIXES[:1], ids=IDS[:1], indirect=True)
def test_the_page_compares_responses_and_not_what_gates_let_through(
    mixed_run, tmp_path
):
    commands.make_report(mixed_run, tmp_path, commands.Source(seed=3), memory_mb=200)
    (path,) = tmp_path.rglob("tree.json")
    nodes = [one for one in json.loads(path.read_text())["nodes"] if one["level"] == 0]
    responses = [node["value"] / node.get("gate", 1.0) for node in nodes]
    assert any("gate" in node for node in nodes)
    with chromium() as browser:
        page = browser.new_page()
        page.goto(f"file://{tmp_path}/report.html")
        shown = {}
        for one in page.locator('#tree [data-depth="1"]').all():
            one.click()
            bars = page.locator("#rivals li").evaluate_all(
                "all => all.map((one) => [one.matches('.own'), "
                "parseFloat(one.querySelector('.number').innerText)])"
            )
            values = [value for _, value in bars]
            assert values == sorted(values, reverse=True)
            heading = page.locator("#detail h3", has_text="Rivals").inner_text()
            own = [value for mine, value in bars if mine]
            shown[heading, *own] = None
    expected = [(node["rank"], r) for node, r in zip(nodes, responses, strict=True)]
    found = [(int(heading.split()[-1]), value) for heading, value in shown]
    assert len(found) == len(nodes)
    np.testing.assert_allclose(sorted(found), sorted(expected), rtol=6e-3)
