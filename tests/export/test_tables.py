"""Tables of exports, put into a page without losing what else stands there."""

import json

import pytest

from export import quality, report
from hcm_tf import command
from hcm_tf.errors import UserError

ROW = {
    **{"network": "generator", "precision": "float16", "bytes": 2_500_000},
    **{"mean_error": 0.1, "percentile_99_error": 1.0, "worst_error": 2.0},
    **{"flipped": 0.01, "milliseconds_1": 123.4, "milliseconds_2": 98.7},
    **{"peak_megabytes_1": 10.0, "peak_megabytes_2": 11.0, "written": True},
}


@pytest.fixture
def models(tmp_path):
    directory = tmp_path / "models"
    directory.mkdir()
    (directory / "tflite.json").write_text(json.dumps([ROW]))
    return directory


def run(*arguments):
    report.FLAGS.unparse_flags()
    report.FLAGS["out"].unparse()
    return command.run("report", report.FLAGS, report.main, ["report", *arguments])


def test_prints_and_writes_nothing_by_default(models, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run(f"--models=small={models}") == 0
    assert "| generator | float16 | 2.5 | 0.1000 |" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["models"]


def test_what_stands_around_a_section_stays(models, tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# By hand\n\nOf ours.\n")
    arguments = (f"--models=small={models}", f"--out={page}")
    assert run(*arguments) == 0
    first = page.read_text()
    assert first.startswith("# By hand\n\nOf ours.\n\n## small\n")
    noted = first.replace("## small\n", "## small\n\nA note.\n") + "\nThe end.\n"
    page.write_text(noted)
    changed = [{**ROW, "mean_error": 0.75}]
    (models / "tflite.json").write_text(json.dumps(changed))
    assert run(*arguments) == 0
    assert page.read_text() == noted.replace("| 0.1000 |", "| 0.7500 |")


@pytest.mark.parametrize(
    "page",
    [
        report.BEGIN.format("small"),
        report.END.format("small"),
        report.END.format("small") + report.BEGIN.format("small"),
        2 * (report.BEGIN.format("small") + report.END.format("small")),
    ],
)
def test_broken_markers_are_refused(models, tmp_path, page, capsys):
    path = tmp_path / "page.md"
    path.write_text(page)
    assert run(f"--models=small={models}", f"--out={path}") == 1
    assert f"report: {path}: expected one" in capsys.readouterr().err
    assert path.read_text() == page


def test_no_exports_is_a_mistake(tmp_path):
    with pytest.raises(UserError, match="no exports here"):
        report.section("small", tmp_path)


def test_speeds_can_be_left_out():
    whole, part = quality.table([ROW]), quality.table([ROW], speeds=False)
    assert "| 123.4 | 98.7 |" in whole
    assert "ms" not in part
    assert "123.4" not in part
    for table in (whole, part):
        assert len({line.count("|") for line in table.splitlines()}) == 1
