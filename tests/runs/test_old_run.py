"""A run made by version 0.1.0 loads, resumes and exports.

tests/fixtures/run-0.1.0: five steps on forty pictures, before the house was rebuilt;
`values.npz` holds what its networks said then.
"""

import json
import pathlib
import shutil

import numpy as np
import pytest
from PIL import Image

import hcm_tf
from export import tflite
from hcm_tf import config
from hcm_tf.prior import draw
from hcm_tf.runs import checkpoint, experiment

OLD = pathlib.Path(__file__).parents[1] / "fixtures" / "run-0.1.0"


@pytest.fixture
def old_run(tmp_path, monkeypatch):
    """A copy, where its data set is what its configuration names."""
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    random = np.random.default_rng(0)
    for number in range(40):
        pixels = random.integers(0, 256, (32, 32, 3)).astype("uint8")
        Image.fromarray(pixels).save(pictures / f"{number}.png")
    monkeypatch.chdir(tmp_path)
    return pathlib.Path(shutil.copytree(OLD, tmp_path / "run"))


def test_networks_say_what_they_said(old_run):
    run = hcm_tf.load(old_run)
    assert run.step == 5
    with np.load(OLD / "values.npz") as expected:
        images = run.generator(expected["latent"])
        np.testing.assert_allclose(images, expected["image"], atol=1e-5)
        encoded = run.encoder(expected["image"])
        np.testing.assert_allclose(encoded, expected["encoded"], atol=1e-5)
        scores = run.critic(expected["image"])
        np.testing.assert_allclose(scores, expected["scores"], atol=1e-4)


def test_it_has_the_published_objective_and_latents(old_run):
    train = hcm_tf.load(old_run).config.train
    assert (train.objective, train.latents, train.leak_steps) == (
        "wgan_gp",
        "uniform",
        0,
    )


def test_it_goes_on(old_run):
    before = config.read(old_run / "config.json")
    values = before.to_json()
    values["train"] |= {"steps": 7, "checkpoint_every": 1}
    experiment.run(config.ExperimentConfig.from_json(values), old_run)
    run = checkpoint.load(old_run)
    assert run.step == 7
    log = (old_run / "metrics.jsonl").read_text()
    rows = [json.loads(row) for row in log.splitlines()]
    assert rows[0]["step"] == 5
    assert rows[-1]["step"] == 7


@pytest.mark.long
def test_it_becomes_a_tflite_model(old_run, tmp_path):
    run = hcm_tf.load(old_run)
    tflite.export(old_run, tmp_path / "models", precisions=("float32",), latents=4)
    from export import quality

    model = (tmp_path / "models" / "generator_float32.tflite").read_bytes()
    drawn = quality.runner(model, "sample")(seed=np.arange(3, dtype="int32"))["images"]
    expected = run.generator(draw(run.prior, 0, 3))
    np.testing.assert_allclose(drawn, expected, atol=1e-4)
