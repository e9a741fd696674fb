"""A published model: small, without paths, and drawing what the run draws."""

import json
import shutil

import numpy as np
import pytest

from export import pretrained
from hcm_tf.runs import checkpoint


@pytest.fixture
def run_dir(make_run):
    directory = make_run()
    lines = [
        {"step": 0, "held_out_error": 0.5},
        {"step": 0, "critic_loss": 1.0},
        {"step": 9, "held_out_error": 0.1},
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (directory / "metrics.jsonl").write_text(text)
    return directory


def publish(run_dir, out):
    return pretrained.main(["x", f"--run_dir={run_dir}", f"--out={out}"])


def test_it_is_a_run_that_draws_the_same(run_dir, tmp_path, capsys):
    out = tmp_path / "published"
    assert publish(run_dir, out) == 0
    assert "grey levels on average" in capsys.readouterr().out
    before, after = checkpoint.load(run_dir), checkpoint.load(out)
    assert after.config == before.config
    change = 127.5 * np.abs(after.sample(8, seed=3) - before.sample(8, seed=3))
    assert 0 < change.mean() < 0.5
    names = sorted(path.name for path in out.iterdir())
    assert names == ["config.json", "metrics.jsonl", "weights.npz"]
    assert "command" not in json.loads((out / "config.json").read_text())["provenance"]
    assert json.loads((out / "metrics.jsonl").read_text())["held_out_error"] == 0.5


def test_no_path_of_the_machine_is_published(run_dir, tmp_path):
    copied = shutil.copytree(run_dir, tmp_path / "run")
    config = json.loads((copied / "config.json").read_text())
    config["train"]["init_from"] = "/machine/first"
    config["provenance"]["init_from"] = {"run_dir": "/machine/first", "step": 7}
    (copied / "config.json").write_text(json.dumps(config))
    assert publish(copied, tmp_path / "published") == 0
    published = (tmp_path / "published" / "config.json").read_text()
    assert "machine" not in published
    config = json.loads(published)
    assert config["train"]["init_from"] == "first"
    assert config["provenance"]["init_from"] == {"run_dir": "first", "step": 7}


def test_pictures_that_change_are_not_published(run_dir, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(pretrained, "GREY_LEVELS", 1e-9)
    assert publish(run_dir, tmp_path / "published") == 1
    assert "half precision changes pictures" in capsys.readouterr().err
    assert not (tmp_path / "published").exists()


def test_a_run_is_not_written_over(run_dir, make_run, capsys):
    other = make_run()
    assert publish(run_dir, other) == 1
    assert "a run of its own" in capsys.readouterr().err
    assert not (other / "weights.npz").exists()


def test_out_is_asked_for(run_dir, capsys):
    assert pretrained.main(["x", f"--run_dir={run_dir}"]) == 1
    assert "--out is missing" in capsys.readouterr().err
