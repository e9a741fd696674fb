"""The benchmark of TFLite models, on the tiny run."""

import json

import pytest

from benchmarks import on_device


@pytest.mark.long
def test_every_form_is_measured(tiny_run, monkeypatch, capsys):
    arguments = [f"--run_dir={tiny_run}", "--precisions=float32,int8_dynamic"]
    arguments += ["--threads=1", "--rounds=1", "--latents=2"]
    monkeypatch.setattr("sys.argv", ["on_device", *arguments])
    on_device.main()
    results = [
        json.loads(line)
        for line in capsys.readouterr().out.splitlines()
        if line.startswith("{")
    ]
    forms, levels = results[0]["rows"], results[1]["rows"]
    assert forms[0]["form"] == on_device.PLAIN
    # Of 32 pixels: plain, float32, and int8 above 0 to 3 selections.
    assert len(forms) == 2 + 4
    exact = [row["mean error, grey levels"] for row in forms[:2]]
    assert exact == pytest.approx([0, 0], abs=1e-3)
    assert all(row["ms, 1 threads"] > 0 for row in forms)
    assert [row["to"] for row in levels][-1] == "image"
