"""Names of basis functions: kept with the model, and shown where units are."""

import json

import jsonschema
import pytest
from explain_helpers import make_decoder, record

from hcm_tf.errors import UserError
from hcm_tf.explain import names, tree
from hcm_tf.explain.__main__ import main
from hcm_tf.explain.identity import model_hash
from hcm_tf.runs.checkpoint import load

MODEL = "0123456789abcdef"


def test_keys_name_basis_functions():
    attributes, maps, *_ = make_decoder("sparse").levels
    assert names.key(attributes, 1, 2, 17) == "attributes:1,2:17"
    assert names.key(maps, 1, 2, 3) == "8x8:3"


def test_written_and_read(tmp_path):
    given = {"8x8:3": "Auge, größer", "attributes:1,2:17": "<b>hair</b>"}
    names.write(tmp_path, MODEL, given)
    assert names.read(tmp_path, MODEL) == given
    assert names.read(tmp_path / "nowhere", MODEL) == {}


def test_another_model_s_are_left_out(tmp_path, capsys):
    names.write(tmp_path, MODEL, {"8x8:3": "eye"})
    assert names.read(tmp_path, "f" * 16) == {}
    assert "another model" in capsys.readouterr().err


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", "{", "\x00", "1e999", "[" * 100_000),
        json.dumps({"model": MODEL}),
        json.dumps({"model": MODEL, "names": {"8x8:3": 1}}),
        json.dumps({"model": MODEL, "names": {"8x8:3": "\u001b[31m"}}),
        json.dumps({"model": MODEL, "names": {"8x8:3": "x" * 81}}),
        json.dumps({"model": MODEL, "names": {str(one): "x" for one in range(10_001)}}),
    ],
)
def test_strangers_files_are_one_line(tmp_path, text):
    (tmp_path / names.FILE).write_text(text)
    with pytest.raises(UserError) as refused:
        names.read(tmp_path, MODEL)
    assert len(str(refused.value).splitlines()) == 1
    assert len(str(refused.value)) < 500


def test_nodes_carry_them():
    decoder = make_decoder("sparse")
    recording = record(decoder)[0]
    plain = tree.grow(decoder, recording).to_json()
    first = plain["nodes"][0]
    level = decoder.levels[0]
    key = names.key(level, first["row"], first["column"], first["basis"])
    named = tree.grow(decoder, recording, names={key: "hair"}).to_json()
    jsonschema.validate(named, json.loads(tree.SCHEMA_FILE.read_text()))
    assert named["nodes"][0].pop("name") == "hair"
    assert named == plain


def test_the_report_shows_them(make_run, tmp_path):
    run_dir = make_run()
    run = load(run_dir)
    shape = run.generator.levels[1].shape
    given = {f"8x8:{basis}": "nose <i>" for basis in range(shape[2])}
    names.write(run_dir, model_hash(run.generator), given)
    out = tmp_path / "report"
    assert main(["explain", f"--run_dir={run_dir}", f"--out={out}"]) == 0
    found = json.loads((out / "image-1" / "tree.json").read_text())
    levels = {node["level"]: node.get("name") for node in found["nodes"]}
    assert levels == {0: None, 1: "nose <i>", 2: None}
    page = (out / "report.html").read_text()
    assert "nose \\u003ci>" in page
    assert "nose <i>" not in page
