"""A flag that would change nothing is refused, before anything is measured."""

import pytest

from hcm_tf.evaluate.__main__ import main

FLAGS = {
    "dataset": "scenes/binarized",
    "data_dir": "nowhere",
    "count": "200",
    "seed": "1",
    "extractor": "random",
    "labels": "labels.npz",
    "inception": "graph.pb",
    "refine": "0",
    "faces": "0",
    "epochs": "1",
    "out": "page.html",
}
IDLE = {
    "runs": ["epochs"],
    "classes": [
        "dataset",
        "extractor",
        "labels",
        "inception",
        "refine",
        "faces",
        "out",
    ],
    "discovered": [
        *("dataset", "extractor", "labels", "inception", "refine", "faces", "epochs"),
        "out",
    ],
    "--parsing": ["extractor", "labels", "inception", "faces", "epochs", "out"],
    "--drawn": ["extractor", "inception", "refine", "faces", "out"],
}


@pytest.fixture
def refused(tmp_path, capsys):
    def start(way, flags):
        given = [f"--{flag}={FLAGS[flag]}" for flag in flags]
        assert main(["evaluate", way, f"--run_dir={tmp_path}", *given]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        return line

    return start


@pytest.mark.parametrize("way", IDLE)
def test_flags_that_would_change_nothing(way, refused):
    for flag in IDLE[way]:
        assert refused(way, [flag]).endswith(f"no use of this: leave out --{flag}.")
    # All of them at once, in one line, whatever is given besides.
    line = refused(way, FLAGS)
    assert line.endswith(
        ", ".join(f"--{flag}" for flag in FLAGS if flag in IDLE[way]) + "."
    )
    used = [flag for flag in FLAGS if flag not in IDLE[way]]
    # Only then the run is looked at, which is not there.
    assert "no config.json here" in refused(way, used)


def test_the_line_names_what_the_flag_stands_beside(refused):
    assert "'classes' makes no use of this: leave out --out." in (
        refused("classes", ["out"])
    )
    assert "--drawn makes no use of this: leave out --refine." in (
        refused("--drawn", ["refine"])
    )


@pytest.mark.parametrize("way", ["--parsing", "--drawn"])
def test_every_run_is_looked_at_first(way, tiny_run, tmp_path, capsys, monkeypatch):
    """Whatever scenes all of them are judged by."""
    monkeypatch.setattr("hcm_tf.runs.checkpoint.load", None)
    runs = [f"--run_dir={path}" for path in (tiny_run, tmp_path)]
    assert main(["evaluate", way, *runs, "--dataset=scenes/binarized"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{tmp_path}: no config.json here" in line
