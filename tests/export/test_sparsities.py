"""Models of every rule of selection, outside of Python."""

import numpy as np
from cpp_loader import CppModel

from export import conversion, quality, saved_model
from export.signatures import device_signatures
from hcm_tf.runs import checkpoint

SEEDS = np.array([0, 1, -7, 2**31 - 1], "int32")


def test_they_draw_the_same_by_the_loader_and_on_a_device(mixed_run, tmp_path):
    run = checkpoint.load(mixed_run)
    expected = run.generator(run.prior.from_seeds(SEEDS)).numpy()
    generator, _ = saved_model.export(mixed_run, tmp_path)
    model = CppModel(generator)
    try:
        answer = model.run("sample", seed=SEEDS)
        np.testing.assert_allclose(answer["images"], expected, atol=1e-5)
    finally:
        model.close()

    run = checkpoint.load(mixed_run, execution="device")
    signatures = device_signatures(run, "generator", None)
    chosen = {"sample": signatures["sample"]}
    # Refuses what is no TFLite builtin.
    contents = conversion.convert(run.generator, chosen, "float32")
    found = quality.runner(contents, "sample")(seed=SEEDS)
    np.testing.assert_allclose(found["images"], expected, atol=1e-5)
