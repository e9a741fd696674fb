"""The explanation under rules whose gates are shares."""

import json
import pathlib

import jsonschema
import numpy as np
import pytest

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
        assert f"{level.name} by {level.rule}, k = {level.k} of" in page
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
