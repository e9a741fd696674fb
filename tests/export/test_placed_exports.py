"""Models that place their parts, outside of Python."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from cpp_loader import CppModel
from other_runtimes import READERS, read

from export import conversion, quality, saved_model
from export.signatures import device_signatures
from hcm_tf.runs import building, checkpoint, run_directory

SEEDS = np.array([0, 1, -7, 2**31 - 1], "int32")


KINDS = {
    "soft": {},
    "behind": {
        "presence": "hard",
        "background_attributes": 2,
        "opacity": "shared",
        "stretch_parts": True,
    },
}


@pytest.fixture(scope="module", params=KINDS)
def placed_run(request, tiny_config, tmp_path_factory):
    """A run of no steps whose parts are anywhere."""
    directory = tmp_path_factory.mktemp("placed")
    model = dataclasses.replace(
        tiny_config.model, placement="free", **KINDS[request.param]
    )
    config = dataclasses.replace(tiny_config, model=model)
    trainer = building.build_trainer(config, replicas=1)
    random = np.random.default_rng(1)
    for generator in (trainer.generator, trainer.average_generator):
        kernel = generator.placing.kernel
        kernel.assign(6 * random.normal(size=kernel.shape))
    run_directory.write_config(config, directory, replicas=1)
    saved = tf.train.Checkpoint(**building.saved_objects(trainer))
    checkpoint.manager(directory, saved).save(checkpoint_number=0)
    return directory


@pytest.mark.parametrize("portable", [False, True])
def test_the_loader_draws_and_explains_the_same(placed_run, tmp_path, portable):
    run = checkpoint.load(placed_run)
    trace = run.generator.trace(run.prior.from_seeds(SEEDS))
    assert np.std(trace.placing.position) > 0.3
    expected = trace.image.numpy()
    generator, _ = saved_model.export(placed_run, tmp_path, portable=portable)
    model = CppModel(generator)
    try:
        answer = model.run("sample", seed=SEEDS)
        np.testing.assert_allclose(answer["images"], expected, atol=1e-5)
        found = model.run("explain", latent=answer["latent"])
        logits = found["rest"] + found["contributions"].sum(axis=1)
        np.testing.assert_allclose(np.tanh(logits), expected, atol=1e-4)
    finally:
        model.close()


@pytest.mark.long
@pytest.mark.parametrize("runtime", list(READERS))
def test_other_runtimes_draw_the_same(placed_run, tmp_path, runtime):
    run = checkpoint.load(placed_run)
    latents = [run.prior.from_seeds(SEEDS[:rows]).numpy() for rows in (3, 1)]
    generator, _ = saved_model.export(placed_run, tmp_path / "models", portable=True)
    out, finished = read(runtime, generator, tmp_path, latents)
    assert finished.returncode == 0, finished.stderr[-2000:]
    for latent, answer in zip(latents, np.load(out).values(), strict=True):
        expected = run.generator(latent).numpy()
        np.testing.assert_allclose(answer, expected, rtol=0, atol=1e-5)
        assert np.std(expected) > 5e-3


def test_on_a_device_it_is_made_of_builtins(placed_run):
    run = checkpoint.load(placed_run, execution="device")
    signatures = device_signatures(run, "generator", None)
    # Refuses what is no TFLite builtin.
    contents = conversion.convert(
        run.generator, {"generate": signatures["generate"]}, "float32"
    )
    names = {
        detail["op_name"]
        for detail in Interpreter(model_content=contents)._get_ops_details()
    }
    assert not [name for name in names if "Flex" in name or "CUSTOM" in name]
    latent = run.prior.from_seeds(np.arange(17, dtype="int32"))
    expected = checkpoint.load(placed_run).generator(latent).numpy()
    found = quality.runner(contents, "generate")(latent=latent.numpy())
    error = np.abs(found["images"] - expected).max()
    assert error <= 1e-3
    assert np.std(expected) > 1e-2
