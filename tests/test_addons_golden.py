"""Parity with TensorFlow Addons, by the values of golden/make_addons_golden.py."""

import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from hcm_tf import sparsity
from hcm_tf.training import averaging

LEARNING_RATE = 7e-4
WEIGHTS = ("matrix", "vector")
# The name in the golden file -> the current optimizer of the same arithmetic.
OPTIMIZERS = {
    "adam": lambda: keras.optimizers.Adam(LEARNING_RATE, beta_1=0.0, beta_2=0.99),
    "adamw": lambda: keras.optimizers.AdamW(
        LEARNING_RATE, beta_1=0.0, beta_2=0.99, weight_decay=4e-3
    ),
    "lamb": lambda: keras.optimizers.Lamb(
        LEARNING_RATE, beta_1=0.0, beta_2=0.99, epsilon=1e-6
    ),
}
# Weights of magnitude 1 to 3 in float32, rounded in each of 12 updates.
WEIGHT_TOLERANCE = 1e-6


@pytest.fixture(scope="module")
def golden():
    path = pathlib.Path(__file__).parent / "golden" / "addons.npz"
    with np.load(path) as arrays:
        return {name: arrays[name] for name in arrays.files}


def assert_close(actual, expected, tolerance):
    """Equal to an absolute error; the shapes too."""
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance, strict=True)


def initial_weights(golden):
    return [keras.Variable(golden[f"optimizers/initial_{name}"]) for name in WEIGHTS]


def gradients(golden):
    """The gradients of every weight, update by update."""
    recorded = (golden[f"optimizers/gradients_{name}"] for name in WEIGHTS)
    return zip(*recorded, strict=True)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizer_trajectory(golden, name):
    weights = initial_weights(golden)
    optimizer = OPTIMIZERS[name]()
    for step, gradient in enumerate(gradients(golden)):
        optimizer.apply([tf.constant(array) for array in gradient], weights)
        for which, weight in zip(WEIGHTS, weights, strict=True):
            expected = golden[f"{name}/{which}"][step]
            assert_close(weight.numpy(), expected, WEIGHT_TOLERANCE)
    assert step == 11


@pytest.mark.parametrize("which", WEIGHTS)
def test_moving_average_of_recorded_weights(golden, which):
    average = tf.constant(golden[f"optimizers/initial_{which}"])
    trajectory = zip(golden[f"adam/{which}"], golden[f"average/{which}"], strict=True)
    for weight, expected in trajectory:
        average = averaging.moving_average(average, tf.constant(weight), 0.9)
        assert_close(average.numpy(), expected, WEIGHT_TOLERANCE)


def test_update_after_each_optimizer_step(golden):
    weights = initial_weights(golden)
    averages = [tf.Variable(weight.value) for weight in weights]
    optimizer = OPTIMIZERS["adam"]()
    for step, gradient in enumerate(gradients(golden)):
        optimizer.apply([tf.constant(array) for array in gradient], weights)
        averaging.update(averages, [weight.value for weight in weights], decay=0.9)
        for which, average in zip(WEIGHTS, averages, strict=True):
            expected = golden[f"average/{which}"][step]
            assert_close(average.numpy(), expected, WEIGHT_TOLERANCE)


@pytest.mark.parametrize(
    ("kind", "make_mask", "k", "axes"),
    [
        ("channel", sparsity.channel_top_k_mask, 3, (3,)),
        ("spatial", sparsity.spatial_top_k_mask, 5, (1, 2)),
    ],
)
def test_top_k_mask_of_ties_and_negatives(golden, kind, make_mask, k, axes):
    x, expected = golden[f"masks/{kind}_input"], golden[f"masks/{kind}_mask"]
    kept, total = expected.sum(axes), np.prod([x.shape[axis] for axis in axes])
    assert kept.min() == k
    assert ((kept > k) & (kept < total)).any(), "No tie at a threshold."
    assert kept.max() == total, "No threshold of 0 after a ReLU."
    assert (x < 0)[expected].any(), "No negative threshold."

    mask = keras.ops.convert_to_numpy(make_mask(tf.constant(x), k))
    np.testing.assert_array_equal(mask, expected, strict=True)


@pytest.mark.parametrize("scale", ["0.1", "1", "10"])
def test_golden_sparsemax_is_the_projection_on_the_simplex(golden, scale):
    """Martins and Astudillo (2016), algorithm 1 and equation 14, in float64."""
    logits = golden[f"sparsemax/logits_{scale}"].astype("float64")
    descending = -np.sort(-logits)
    ranks = np.arange(1, logits.shape[-1] + 1)
    supported = 1 + ranks * descending > np.cumsum(descending, axis=-1)
    size = supported.sum(-1, keepdims=True)
    threshold = ((descending * supported).sum(-1, keepdims=True) - 1) / size
    values = np.maximum(logits - threshold, 0)
    support = values > 0
    cotangent = golden["sparsemax/cotangent"] * support
    gradient = support * (cotangent - cotangent.sum(-1, keepdims=True) / size)

    float32 = values.astype("float32"), gradient.astype("float32")
    assert_close(float32[0], golden[f"sparsemax/values_{scale}"], 2e-6)
    assert_close(float32[1], golden[f"sparsemax/gradient_{scale}"], 1e-6)


def test_instance_normalization(golden):
    layer = keras.layers.GroupNormalization(groups=-1)
    layer.build(golden["instance/images"].shape)
    layer.set_weights([golden["instance/gamma"], golden["instance/beta"]])
    output = layer(golden["instance/images"])
    assert_close(output.numpy(), golden["instance/output"], 2e-6)


def test_spectral_normalization(golden):
    convolution = keras.layers.Conv2D(4, 3, padding="same", use_bias=False)
    layer = keras.layers.SpectralNormalization(convolution, power_iterations=2)
    layer.build(golden["spectral/images"].shape)
    convolution.kernel.assign(golden["spectral/kernel"])
    layer.vector_u.assign(golden["spectral/u"])
    output = layer(golden["spectral/images"], training=True)
    assert_close(convolution.kernel.numpy(), golden["spectral/kernel_after"], 1e-6)
    assert_close(layer.vector_u.numpy(), golden["spectral/u_after"], 1e-6)
    assert_close(output.numpy(), golden["spectral/output"], 5e-6)
