"""Exports of a run whose latents follow the encoder: a seed is the same picture."""

import numpy as np
import pytest
import tensorflow as tf
from cpp_loader import CppModel

from export import quality, saved_model, tflite
from hcm_tf.config import TrainConfig
from hcm_tf.prior import Gaussian, draw
from hcm_tf.runs import building, checkpoint

SEEDS = np.arange(-2, 5, dtype="int32")


@pytest.fixture(scope="module")
def posterior_run(make_run, tmp_path_factory):
    """A run whose fit is no standard normal."""
    config = TrainConfig(
        batch_size=4,
        ema_decay=0.9,
        objective="relativistic",
        latents="posterior",
        r1_weight=0.3,
        r2_weight=0.3,
    )
    run_dir = make_run(train=config)
    trainer = building.build_trainer(checkpoint.read_config(run_dir), replicas=1)
    random = np.random.default_rng(0)
    factor = random.normal(size=(6, 6))
    trainer.prior.mean.assign(random.normal(size=6))
    trainer.prior.covariance.assign(factor @ factor.T)
    saved = tf.train.Checkpoint(**building.saved_objects(trainer))
    checkpoint.manager(run_dir, saved).save(checkpoint_number=3)
    return run_dir


@pytest.fixture(scope="module")
def run(posterior_run):
    return checkpoint.load(posterior_run)


def test_the_fit_comes_back(run):
    assert isinstance(run.prior, Gaussian)
    random = np.random.default_rng(0)
    factor = random.normal(size=(6, 6))
    np.testing.assert_allclose(run.prior.mean, random.normal(size=6), rtol=1e-6)
    covariance = run.prior.factor @ run.prior.factor.T
    np.testing.assert_allclose(covariance, factor @ factor.T, atol=1e-5)


@pytest.mark.parametrize(
    "precision", ["float32", pytest.param("float16", marks=pytest.mark.long)]
)
def test_device(posterior_run, run, tmp_path, precision):
    tflite.export(posterior_run, tmp_path, precisions=(precision,), latents=16)
    model = (tmp_path / f"generator_{precision}.tflite").read_bytes()
    answer = quality.runner(model, "sample")(seed=SEEDS)
    expected = draw(run.prior, int(SEEDS[0]), len(SEEDS))
    # As the README says; in float16 the fit itself is rounded.
    latent_error, error = {"float32": (1e-6, 1e-4), "float16": (5e-3, 0.02)}[precision]
    np.testing.assert_allclose(answer["latent"], expected, rtol=0, atol=latent_error)
    images = run.generator(expected)
    # A unit beside the threshold may change places: the mean, not the worst.
    assert np.abs(answer["images"] - images).mean() <= error / 10
    assert np.abs(np.diff(images, axis=0)).max() > 0.02


@pytest.mark.parametrize("portable", [False, True])
def test_server(posterior_run, run, tmp_path, portable):
    generator, _ = saved_model.export(posterior_run, tmp_path, portable=portable)
    answer = CppModel(generator).run("sample", seed=SEEDS)
    expected = draw(run.prior, int(SEEDS[0]), len(SEEDS))
    np.testing.assert_allclose(answer["latent"], expected, rtol=0, atol=1e-6)
    np.testing.assert_allclose(answer["images"], run.generator(expected), atol=1e-4)
