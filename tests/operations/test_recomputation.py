"""Recomputation changes memory, and no value or gradient."""

import dataclasses

import keras
import numpy as np
import tensorflow as tf
from test_golden import RecordingOptimizer

from hcm_tf.operations.recomputation import recomputed
from hcm_tf.runs import building


def one_step(config, images):
    trainer = building.build_trainer(config, replicas=1)
    for network in (trainer.generator, trainer.encoder, trainer.critic):
        random = np.random.default_rng(0)
        for variable in network.trainable_variables:
            variable.assign(random.normal(size=variable.shape))
    trainer.compile(RecordingOptimizer(1.0), RecordingOptimizer(1.0))

    @tf.function(autograph=False)
    def step(images):
        metrics = trainer.train_step({"image": images})
        return metrics, {
            **trainer.generator_optimizer.gradients,
            **trainer.critic_optimizer.gradients,
        }

    return step(images)


def test_step_is_the_same(tiny_config):
    random = np.random.default_rng(1)
    images = tf.constant(random.uniform(-1, 1, (4, 32, 32, 3)), "float32")
    train = dataclasses.replace(tiny_config.train, recompute=True)
    saving = dataclasses.replace(tiny_config, train=train)
    expected, expected_gradients = one_step(tiny_config, images)
    actual, gradients = one_step(saving, images)
    for name, value in expected.items():
        np.testing.assert_allclose(actual[name], value, rtol=1e-5)
    assert set(gradients) == set(expected_gradients)
    for name, value in expected_gradients.items():
        scale = np.abs(value).max()
        assert np.abs(gradients[name] - value).max() <= 1e-5 * scale, name


def test_gradient_computes_the_block_again():
    layer = keras.layers.Dense(3)
    layer.build((None, 3))
    calls = []

    def run(x):
        calls.append(x)
        return layer(x)

    x = tf.ones((2, 3))
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = recomputed(layer, run, x)
    assert len(calls) == 1
    tape.gradient(y, [x, layer.kernel.value])
    assert len(calls) == 2
