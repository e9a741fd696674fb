"""The portable SavedModels, read by others than TensorFlow."""

import re

import numpy as np
import pytest
import tensorflow as tf
from cpp_loader import INVALID_ARGUMENT, CppError, CppModel
from other_runtimes import READERS, read

from export import saved_model, warmup

BATCHES = (3, 1, 5)
# Sums in another order, and values beside the top-k threshold: as between executions.
TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def portable(tiny_run, tmp_path_factory):
    """Directory of version 1 of both portable SavedModels, by name."""
    out = tmp_path_factory.mktemp("portable")
    generator, encoder = saved_model.export(tiny_run, out, portable=True)
    return {"generator": generator, "encoder": encoder}


@pytest.mark.parametrize("name", ["generator", "encoder"])
@pytest.mark.parametrize("runtime", list(READERS))
def test_another_runtime_agrees_at_any_batch(portable, loaded, tmp_path, runtime, name):
    size, channels = loaded.generator.image_size, loaded.generator.image_channels
    shape = {
        "generator": (loaded.generator.latent_size,),
        "encoder": (size, size, channels),
    }[name]
    inputs = [
        warmup.example(tf.TensorSpec((None, *shape)), rows=rows) for rows in BATCHES
    ]
    out, finished = read(runtime, portable[name], tmp_path, inputs)
    assert finished.returncode == 0, finished.stderr[-2000:]
    answers = np.load(out)
    for x, answer in zip(inputs, answers.values(), strict=True):
        expected = getattr(loaded, name)(x)
        np.testing.assert_allclose(answer, expected, rtol=0, atol=TOLERANCE)
        assert np.std(expected) > 100 * TOLERANCE


def test_openvino_refuses_what_is_not_portable(exported, loaded, tmp_path):
    """So that the test above would see a form that other runtimes lack."""
    x = np.zeros((1, loaded.generator.latent_size), "float32")
    _, finished = read("openvino", exported["generator"], tmp_path, [x])
    assert finished.returncode != 0
    # Whichever OpenVINO names first: the selection's operation, or what reads it.
    assert re.search("NthElement|block1.*Reshape", finished.stderr)


def test_a_server_answers_the_same_signatures(portable, exported):
    """At one picture's rounding: the two forms add up in another order."""
    for name in ("generator", "encoder"):
        ours, fast = CppModel(portable[name]), CppModel(exported[name])
        try:
            assert ours.signatures.keys() == fast.signatures.keys()
            for key, signature in ours.signatures.items():
                ((input_name, info),) = signature.inputs.items()
                shape = [
                    None if dim.size < 0 else dim.size for dim in info.tensor_shape.dim
                ]
                x = warmup.example(tf.TensorSpec(shape, info.dtype), rows=3)
                actual, expected = (
                    model.run(key, **{input_name: x}) for model in (ours, fast)
                )
                assert actual.keys() == expected.keys()
                for output in expected:
                    if expected[output].dtype == np.float32:
                        np.testing.assert_allclose(
                            actual[output], expected[output], rtol=0, atol=1e-4
                        )
                with pytest.raises(CppError) as caught:
                    ours.run(key, **{input_name: x[:0]})
                assert caught.value.code == INVALID_ARGUMENT
        finally:
            ours.close()
            fast.close()
