"""Models with gated blocks, outside of Python: the plain form, which skips nothing."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from cpp_loader import CppModel

from export import conversion, quality, saved_model
from export.signatures import device_signatures
from hcm_tf.runs import building, checkpoint, run_directory

SEEDS = np.array([0, 1, -7, 2**31 - 1], "int32")


@pytest.fixture(scope="module")
def gated_run(tiny_config, tmp_path_factory):
    """A run of no steps of which some tiles are closed."""
    directory = tmp_path_factory.mktemp("gated")
    config = dataclasses.replace(
        tiny_config, model=dataclasses.replace(tiny_config.model, gated_blocks=True)
    )
    trainer = building.build_trainer(config, replicas=1)
    kernel = np.random.default_rng(1).normal(size=(1, 1, 4, 1))
    for generator in (trainer.generator, trainer.average_generator):
        gate = generator.blocks[-1].gate
        gate.kernel.assign(kernel)
        gate.bias.assign([0.0])
    run_directory.write_config(config, directory, replicas=1)
    saved = tf.train.Checkpoint(**building.saved_objects(trainer))
    checkpoint.manager(directory, saved).save(checkpoint_number=0)
    return directory


def traced(run_dir):
    run = checkpoint.load(run_dir)
    trace = run.generator.trace(run.prior.from_seeds(SEEDS))
    assert 0.1 < np.mean(trace.gates[-1].tiles > 0) < 0.9
    return trace


@pytest.mark.parametrize("portable", [False, True])
def test_the_loader_draws_and_explains_the_same(gated_run, tmp_path, portable):
    expected = traced(gated_run).image.numpy()
    generator, _ = saved_model.export(gated_run, tmp_path, portable=portable)
    model = CppModel(generator)
    try:
        answer = model.run("sample", seed=SEEDS)
        np.testing.assert_allclose(answer["images"], expected, atol=1e-5)
        found = model.run("explain", latent=answer["latent"])
        logits = found["rest"] + found["contributions"].sum(axis=1)
        np.testing.assert_allclose(np.tanh(logits), expected, atol=1e-4)
    finally:
        model.close()


def test_on_a_device_it_is_made_of_builtins(gated_run):
    traced(gated_run)
    run = checkpoint.load(gated_run, execution="device")
    signatures = device_signatures(run, "generator", None)
    # Refuses what is no TFLite builtin.
    contents = conversion.convert(
        run.generator, {"generate": signatures["generate"]}, "float32"
    )
    names = {
        detail["op_name"]
        for detail in Interpreter(model_content=contents)._get_ops_details()
    }
    assert "AVERAGE_POOL_2D" in names
    assert not [name for name in names if "Flex" in name or "CUSTOM" in name]
    latent = run.prior.from_seeds(np.arange(17, dtype="int32"))
    expected = checkpoint.load(gated_run).generator(latent).numpy()
    found = quality.runner(contents, "generate")(latent=latent.numpy())
    assert np.abs(found["images"] - expected).max() <= 1e-5
    assert np.std(expected) > 1e-3
