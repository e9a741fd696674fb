"""Models of every rule of selection, outside of Python."""

import dataclasses

import numpy as np
import pytest
from cpp_loader import CppModel
from mixes import IDS, MIXES

from export import conversion, quality, saved_model
from export.signatures import device_signatures
from hcm_tf.runs import checkpoint

SEEDS = np.array([0, 1, -7, 2**31 - 1], "int32")


@pytest.fixture(params=MIXES, ids=IDS)
def run_dir(request, make_run, tiny_config):
    model = dataclasses.replace(tiny_config.model, sparsity=request.param)
    return make_run(model=model)


def test_they_draw_the_same_by_the_loader_and_on_a_device(run_dir, tmp_path):
    run = checkpoint.load(run_dir)
    expected = run.generator(run.prior.from_seeds(SEEDS)).numpy()
    generator, _ = saved_model.export(run_dir, tmp_path)
    model = CppModel(generator)
    try:
        answer = model.run("sample", seed=SEEDS)
        np.testing.assert_allclose(answer["images"], expected, atol=1e-5)
    finally:
        model.close()

    run = checkpoint.load(run_dir, execution="device")
    signatures = device_signatures(run, "generator", None)
    chosen = {"sample": signatures["sample"]}
    # Refuses what is no TFLite builtin.
    contents = conversion.convert(run.generator, chosen, "float32")
    found = quality.runner(contents, "sample")(seed=SEEDS)
    np.testing.assert_allclose(found["images"], expected, atol=1e-5)
