"""The fused update is Keras's."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from hcm_tf.runs import devices
from hcm_tf.training.optimizer import FusedAdam

RANDOM = np.random.default_rng(0)
GRADIENTS = RANDOM.normal(size=(5, 3, 4)).astype("float32")


def updates(kind, replicas, **settings):
    """Weights after each gradient, shared by the replicas, and the state at the end."""
    names = [device.name for device in tf.config.list_logical_devices("CPU")]
    strategy = devices.mirrored(names[:replicas])
    with strategy.scope():
        weight = keras.Variable(np.ones((3, 4), "float32"))
        optimizer = kind(0.1, epsilon=1e-8, **settings)
        optimizer.build([weight])

    @tf.function(autograph=False)
    def step(gradient):
        strategy.run(lambda: optimizer.apply([gradient / replicas], [weight]))

    values = []
    for gradient in GRADIENTS:
        step(tf.constant(gradient))
        values.append(weight.numpy())
    return values, [variable.numpy() for variable in optimizer.variables]


@pytest.mark.parametrize("replicas", [1, 2])
@pytest.mark.parametrize("beta_1", [0.0, 0.9])
def test_equals_keras(beta_1, replicas):
    settings = {"beta_1": beta_1, "beta_2": 0.99}
    expected, state = updates(keras.optimizers.Adam, 1, **settings)
    actual, fused_state = updates(FusedAdam, replicas, **settings)
    np.testing.assert_allclose(actual, expected, rtol=2e-6, atol=1e-7)
    for a, b in zip(fused_state, state, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-6, atol=1e-7)
    assert np.abs(expected[-1] - 1).max() > 0.1


def test_amsgrad_is_refused():
    with pytest.raises(ValueError, match="has no `amsgrad`"):
        FusedAdam(0.1, amsgrad=True)
