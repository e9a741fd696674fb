"""Whole runs that draw by labels, on a folder with a sub-folder for each class."""

import json

import numpy as np
import pytest
from PIL import Image
from small_run import assert_same_weights, lines, train

from hcm_tf import sample
from hcm_tf.errors import UserError
from hcm_tf.runs import checkpoint, run_directory

FLAGS = {"conditional": True, "balanced": True, "latents": "posterior"}


@pytest.fixture(scope="module")
def classes(tmp_path_factory):
    """Thirty dark pictures, and twelve bright ones."""
    folder = tmp_path_factory.mktemp("data") / "pictures"
    random = np.random.default_rng(0)
    for name, count, low in (("dark", 30, 0), ("bright", 12, 150)):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            pixels = random.integers(low, low + 100, (40, 40, 3)).astype("uint8")
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def whole(classes, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("runs") / "whole"
    return train(classes, workdir, **FLAGS, steps=5), workdir


def test_a_folder_is_learnt_by_its_sub_folders(whole):
    finished, workdir = whole
    assert finished.returncode == 0, finished.stderr
    assert "few training images of bright (" in finished.stderr
    config = json.loads((workdir / "config.json").read_text())
    (label,) = config["model"]["labels"]
    assert label["name"] == "folder"
    assert label["classes"] == ["bright", "dark"]
    assert sum(label["shares"]) == pytest.approx(1, abs=1e-5)
    measured = [line for line in lines(workdir) if "misread_folder" in line]
    assert 0 <= measured[-1]["misread_folder"] <= 1
    assert any("label_loss" in line for line in lines(workdir))


@pytest.mark.long
def test_a_paused_run_goes_on_to_the_same_weights(whole, classes, tmp_path):
    workdir = tmp_path / "parts"
    train(classes, workdir, **FLAGS, steps=5, seconds=0.001)
    second = train(classes, workdir, **FLAGS, steps=5)
    assert "resumes after step 1" in second.stdout, second.stderr
    assert_same_weights(workdir, whole[1])


@pytest.mark.long
def test_a_paused_run_discovers_the_same_classes(classes, tmp_path):
    flags = {"latents": "posterior", "discovered_classes": 3, "steps": 3}
    for name, seconds in (("whole", 0), ("parts", 0.001), ("parts", 0)):
        finished = train(classes, tmp_path / name, **flags, seconds=seconds)
        assert finished.returncode == 0, finished.stderr
    assert "resumes after step 1" in finished.stdout
    assert_same_weights(tmp_path / "parts", tmp_path / "whole")
    assert any("information" in line for line in lines(tmp_path / "parts"))


def test_other_classes_are_refused(whole, tmp_path):
    values = json.loads((whole[1] / "config.json").read_text())
    config = checkpoint.read_config(whole[1])
    run_directory.check_labels(whole[1], config)
    values["model"]["labels"][0]["classes"] = ["old", "dark"]
    (tmp_path / "config.json").write_text(json.dumps(values))
    with pytest.raises(UserError, match=r"not those that .* \(folder: old, dark\)"):
        run_directory.check_labels(tmp_path, config)


def test_samples_are_drawn_by_class(whole, tmp_path, capsys):
    out = tmp_path / "out"
    arguments = ["--count=4", "--label=bright", "--each=folder"]
    status = sample.main(
        ["sample", f"--run_dir={whole[1]}", f"--out={out}", *arguments]
    )
    assert status == 0
    assert "classes.png: a row each of bright, dark" in capsys.readouterr().out
    run = checkpoint.load(whole[1])
    rows = [
        np.concatenate(to_pixels(run, name, 8), axis=1) for name in ("bright", "dark")
    ]
    found = np.asarray(Image.open(out / "classes.png"))
    np.testing.assert_array_equal(found, np.concatenate(rows))
    for number, picture in enumerate(to_pixels(run, "bright", 4)):
        found = np.asarray(Image.open(out / f"seed-{number}.png"))
        np.testing.assert_array_equal(found, picture)
    status = sample.main(["sample", f"--run_dir={whole[1]}", "--label=bleak"])
    assert status == 1
    assert "--label=bleak: no such class" in capsys.readouterr().err


def to_pixels(run, name, count):
    drawn = run.choose([name]).sample(count)
    return np.rint((np.asarray(drawn) + 1) * 127.5).clip(0, 255).astype("uint8")
