"""The model in the repository: small, whole, and drawing what the documents show."""

import dataclasses
import json
import pathlib

import numpy as np
import pytest
from PIL import Image

from export import model_card, pretrained
from hcm_tf import images
from hcm_tf.explain.attribution import relative_error
from hcm_tf.explain.decoder import Decoder
from hcm_tf.prior import draw
from hcm_tf.runs import checkpoint

ROOT = pathlib.Path(__file__).parents[1]
MODEL = ROOT / "pretrained" / "avatars64"


@pytest.fixture(scope="module")
def run():
    return checkpoint.load(MODEL)


def test_it_is_small_and_names_no_machine():
    files = [path for path in MODEL.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 12e6
    for path in files:
        assert b"/root" not in path.read_bytes() or path.suffix == ".npz", path
        assert b"/home" not in path.read_bytes() or path.suffix == ".npz", path


def test_its_first_pictures_are_those_of_the_readme(run):
    with Image.open(ROOT / "docs" / "avatars64-samples.png") as picture:
        shown = np.asarray(picture).astype(float)
    drawn = images.grid(images.to_uint8(run.sample(64)))
    assert shown.shape == drawn.shape
    gaps = np.abs(shown - drawn)
    # Another processor may exchange two nearly equal activations now and then.
    assert gaps.mean() < 0.1
    assert (gaps > 8).mean() < 0.001


def test_its_flag_file_is_its_configuration(run):
    path = ROOT / "configs" / "avatars64_second.flags"
    lines = path.read_text().splitlines()
    given = dict(line[2:].split("=") for line in lines if line.startswith("--"))
    config = {**vars(run.config.model), **vars(run.config.data)}
    config |= vars(run.config.train)
    for name, text in given.items():
        if name not in ("workdir", "init_from"):
            assert str(config[name]) == text or float(text) == config[name], name
    assert run.step == run.config.train.steps


def test_its_pictures_come_apart_without_a_remainder(run):
    decoder = Decoder(run.generator, progress=False)
    (recording,) = decoder.record(draw(run.prior, 0, 1))
    for level, code in enumerate(recording.codes):
        logits = decoder.replay(recording, level, code[None])[0]
        assert relative_error(logits, recording.logits) <= 1e-5
        assert (code != 0).mean() < 0.4


def test_what_is_published_names_no_folder_and_forgives_a_torn_log(
    make_run, tiny_config, tmp_path
):
    data = dataclasses.replace(tiny_config.data, dataset="folder:/home/me/pictures")
    run_dir = make_run(data=data)
    lines = [{"step": 0, "held_out_error": 0.5}, {"step": 0, "critic_loss": 1.0}]
    log = "".join(json.dumps(line) + "\n" for line in lines)
    (run_dir / "metrics.jsonl").write_text(f'{log}{{"step": 0, "held_out_error": 0.')
    out = tmp_path / "published"
    pretrained.export(run_dir, out)
    config = json.loads((out / checkpoint.CONFIG_FILE).read_text())
    assert config["data"]["dataset"] == "folder:pictures"
    assert json.loads((out / "metrics.jsonl").read_text()) == lines[0]
    for path in out.rglob("*"):
        assert path.is_dir() or b"/home/me" not in path.read_bytes(), path
    card = model_card.text("generator", checkpoint.load(run_dir), run_dir, ["png"])
    assert "`folder:pictures`" in card
    assert "/home/me" not in card
