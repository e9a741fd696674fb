"""Names of basis functions: kept with the model, and shown where units are."""

import json

import jsonschema
import numpy as np
import pytest
from browser import chromium
from explain_helpers import make_decoder, record

from hcm_tf.errors import UserError
from hcm_tf.explain import commands, names, tree
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
    given["16x16:0"] = "l'œil\u00a0: gauche"
    names.write(tmp_path, MODEL, given)
    assert names.read(tmp_path, MODEL) == given
    assert names.read(tmp_path / "nowhere", MODEL) == {}


def test_another_model_s_are_left_out(tmp_path, capsys):
    names.write(tmp_path, MODEL, {"8x8:3": "eye"})
    assert names.read(tmp_path, "f" * 16) == {}
    assert "another model" in capsys.readouterr().err


def test_another_model_s_are_kept_beside(tmp_path, capsys):
    """However often two models take turns."""
    written = []
    for turn, model in enumerate([MODEL, "f" * 16, MODEL, "f" * 16, "f" * 16]):
        written.append({"8x8:3": f"eye {turn}"})
        names.write(tmp_path, model, written[-1])
        assert names.read(tmp_path, model) == written[-1]
    found = {file.name: json.loads(file.read_text()) for file in tmp_path.iterdir()}
    assert {name: one["names"] for name, one in found.items()} == {
        "names-01234567.json": written[0],
        "names-ffffffff.json": written[1],
        "names-01234567-2.json": written[2],
        "names.json": written[4],  # Of one model the last counts.
    }
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 3
    assert said[0].endswith("of another model: kept as names-01234567.json.")


@pytest.mark.parametrize("model", ["../../0\n1", "", None, ["x"]])
def test_odd_models_are_kept_in_the_same_place(tmp_path, model):
    run_dir = tmp_path / "inside" / "run"
    run_dir.mkdir(parents=True)
    text = json.dumps({"model": model, "names": {"8x8:3": "eye"}})
    (run_dir / names.FILE).write_text(text)
    names.write(run_dir, MODEL, {})
    (kept,) = (path for path in run_dir.iterdir() if path.name != names.FILE)
    assert kept.read_text() == text
    assert len(list(tmp_path.rglob("*.json"))) == 2


def test_what_is_no_file_of_names_is_not_written_over(tmp_path):
    (tmp_path / names.FILE).write_text("mine")
    with pytest.raises(UserError, match="cannot be read as names"):
        names.write(tmp_path, MODEL, {"8x8:3": "eye"})
    assert (tmp_path / names.FILE).read_text() == "mine"


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


@pytest.fixture(scope="module")
def named_run(make_run):
    """A run whose basis functions of levels 0 and 1 all have a name."""
    run_dir = make_run()
    levels = load(run_dir).generator.levels
    given = {f"8x8:{basis}": "nose <i>" for basis in range(levels[1].shape[2])}
    for place in np.ndindex(levels[0].shape):
        given[names.key(levels[0], *place)] = "hair"
    names.write(run_dir, model_hash(load(run_dir).generator), given)
    return run_dir


@pytest.fixture(scope="module")
def report(named_run, tmp_path_factory):
    out = tmp_path_factory.mktemp("named") / "report"
    assert main(["explain", f"--run_dir={named_run}", f"--out={out}"]) == 0
    return out


def test_the_tree_of_a_report_has_them(report):
    found = json.loads((report / "image-1" / "tree.json").read_text())
    jsonschema.validate(found, json.loads(tree.SCHEMA_FILE.read_text()))
    levels = {(node["level"], node.get("name")) for node in found["nodes"]}
    assert levels == {(0, "hair"), (1, "nose <i>"), (2, None)}


def test_the_page_of_a_report_shows_them_as_text(report):
    text = (report / "report.html").read_text()
    assert "nose \\u003ci>" in text
    assert "nose <i>" not in text
    with chromium() as browser:
        page = browser.new_page()
        page.goto(f"file://{report}/report.html")
        page.locator('#tree [data-depth="2"]').first.click()
        assert page.locator("#detail .name").inner_text().startswith("nose <i>, 8x8:")
        assert page.locator("#rivals").inner_text().count("nose <i>, basis") > 1
        parents = page.locator("#detail ul").nth(1).inner_text()
        assert "hair, attributes:" in parents
        label = page.locator('#tree [data-depth="2"]').first.get_attribute("aria-label")
        assert label.startswith("nose <i>, 8x8:")
        page.locator('#tree [data-depth="3"]').first.click()
        assert page.locator("#detail .name").inner_text().startswith("16x16:")


def test_damaged_names_are_said_before_the_work(
    make_run, tmp_path, capsys, monkeypatch
):
    run_dir = make_run()
    (run_dir / names.FILE).write_text("[]")
    monkeypatch.setattr(commands, "find_subjects", None)
    out = tmp_path / "out"
    assert main(["explain", f"--run_dir={run_dir}", f"--out={out}"]) == 1
    error = capsys.readouterr().err.strip()
    assert "is no file of names" in error
    assert len(error.splitlines()) == 1
    assert not out.exists()


def test_a_huge_file_is_not_read(tmp_path):
    with (tmp_path / names.FILE).open("wb") as file:
        file.truncate(names.LARGEST_FILE + 1)
    with pytest.raises(UserError, match="too large for names"):
        names.read(tmp_path, MODEL)


def test_what_is_no_name_is_not_written(tmp_path):
    with pytest.raises(ValueError, match="must be printable"):
        names.write(tmp_path, MODEL, {"8x8:3": "left\u202eeye"})
    assert list(tmp_path.iterdir()) == []


def test_one_name_changes_and_those_that_came_meanwhile_stay(tmp_path):
    assert names.rename(tmp_path, MODEL, "8x8:3", "eye") == {"8x8:3": "eye"}
    both = {"8x8:3": "eye", "8x8:5": "mouth"}
    names.write(tmp_path, MODEL, both)  # By another page.
    assert names.rename(tmp_path, MODEL, "8x8:3", "left eye") == {
        **both,
        "8x8:3": "left eye",
    }
    assert names.rename(tmp_path, MODEL, "8x8:3", "") == {"8x8:5": "mouth"}
    assert names.rename(tmp_path, MODEL, "8x8:9", "") == {"8x8:5": "mouth"}
    assert names.read(tmp_path, MODEL) == {"8x8:5": "mouth"}
    for key, name in ((3, "eye"), ("8x8:3", None), ("", "eye"), ("a", "x" * 81)):
        with pytest.raises(ValueError, match="name"):
            names.rename(tmp_path, MODEL, key, name)
