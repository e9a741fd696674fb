"""Parity with the golden vectors: values, losses and gradients of all networks."""

import golden_vectors
import keras
import numpy as np
import pytest
import tensorflow as tf

from hcm_tf import operations
from hcm_tf.losses import make_objective
from hcm_tf.networks import build_critic, build_encoder, build_generator
from hcm_tf.prior import Uniform
from hcm_tf.training.drawing import Drawer
from hcm_tf.training.trainer import Trainer

VALUES = {"float32": 1e-5, "float64": 1e-6}
CRITIC_GRADIENTS = {"float32": 1e-3, "float64": 1e-6}


class RecordingOptimizer(keras.optimizers.SGD):
    """Keeps the gradients it is given, and changes nothing."""

    def apply(self, grads, trainable_variables=None):
        self.gradients = {
            variable.path: gradient
            for variable, gradient in zip(trainable_variables, grads, strict=True)
        }


class GoldenNoise:
    """The golden noise, whatever is asked for."""

    def uniform(self, stream, shape, draw, count):
        golden = golden_vectors.load()
        # Latents are asked for as noise in [0, 1).
        noise = {
            "latents": (golden["in/latent"] + 1) / 2,
            "mixing": golden["in/epsilon"],
        }
        return tf.constant(noise[stream])


@pytest.fixture(scope="module", params=["float32", "float64"])
def dtype(request):
    return request.param


@pytest.fixture(scope="module", params=["fast", "reference"])
def networks(request, dtype):
    built = {
        "generator": build_generator(golden_vectors.CONFIG, dtype=dtype),
        "encoder": build_encoder(golden_vectors.CONFIG, dtype=dtype),
        "critic": build_critic(golden_vectors.CONFIG, dtype=dtype),
    }
    for name, network in built.items():
        golden_vectors.assign(network, name)
        operations.apply(network, request.param)
    return built


@pytest.fixture(scope="module")
def golden(dtype):
    return {name: array.astype(dtype) for name, array in golden_vectors.load().items()}


def assert_close(actual, expected, tolerance):
    assert golden_vectors.error(actual, expected) <= tolerance


def test_configuration_keeps_the_golden_counts(golden):
    config = golden_vectors.CONFIG
    assert config.attribute_k == golden["in/k_attributes"]
    assert config.spatial_k == tuple(golden["in/k_spatial"])


def test_generator_trace(networks, golden, dtype):
    trace = networks["generator"].trace(golden["in/latent"])
    tolerance = VALUES[dtype]
    assert_close(trace.image, golden["out/image"], tolerance)
    assert_close(trace.logits, golden["out/trace_logits"], tolerance)
    attributes = np.reshape(trace.codes[0], golden["out/trace_codes"].shape)
    assert_close(attributes, golden["out/trace_codes"], tolerance)
    for code, resolution in zip(trace.codes[1:], (8, 16, 32), strict=True):
        assert_close(code, golden[f"out/trace_l{resolution}"], tolerance)
        np.testing.assert_array_equal(
            np.asarray(code) != 0, golden[f"out/trace_l{resolution}"] != 0
        )


def test_encoder_and_reconstruction(networks, golden, dtype):
    latent = networks["encoder"](golden["in/images"])
    assert_close(latent, golden["out/latent"], VALUES[dtype])
    reconstruction = networks["generator"](latent)
    assert_close(reconstruction, golden["out/reconstruction"], VALUES[dtype])


def test_critic_scores(networks, golden, dtype):
    critic = networks["critic"]
    for images, scores in (
        ("in/images", "out/real_scores"),
        ("out/image", "out/fake_scores"),
    ):
        actual = critic(golden[images])
        assert_close(actual, golden[scores][:, 0], VALUES[dtype])


def test_losses_and_gradients_of_both_updates(networks, golden, dtype):
    trainer = Trainer(
        **networks,
        objective=make_objective(),
        drawer=Drawer(networks["generator"], GoldenNoise(), Uniform(10)),
    )
    trainer.compile(RecordingOptimizer(1.0), RecordingOptimizer(1.0))
    metrics = trainer.train_step({"image": tf.constant(golden["in/images"])})

    tolerance = VALUES[dtype]
    assert_close(metrics["critic_loss"], golden["out/critic_loss"], tolerance)
    assert_close(10 * metrics["gradient_penalty"], golden["out/gp"], tolerance)
    assert_close(1e-3 * metrics["drift"], golden["out/drift"], tolerance)
    assert_close(metrics["generator_loss"], golden["out/generator_loss"], tolerance)
    reconstruction = metrics["reconstruction_error"] * 64 * 64 * 3
    assert_close(reconstruction, golden["out/reconstruction_loss"], tolerance)
    assert_close(metrics["real_score"], golden["out/real_scores"].mean(), tolerance)
    assert_close(metrics["fake_score"], golden["out/fake_scores"].mean(), tolerance)

    recorded = trainer.critic_optimizer.gradients
    recorded |= trainer.generator_optimizer.gradients
    compared = 0
    for which, network in networks.items():
        limit = CRITIC_GRADIENTS[dtype] if which == "critic" else tolerance
        for name, variable in golden_vectors.variables(network).items():
            expected = golden_vectors.to_ours(name, golden[f"grad/{which}/{name}"])
            assert golden_vectors.error(recorded[variable.path], expected) <= limit, (
                which,
                name,
            )
            compared += 1
    assert compared == sum(name.startswith("grad/") for name in golden)
