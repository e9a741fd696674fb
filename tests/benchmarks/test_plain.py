"""The plain step and ours compute the same; so do their generators."""

import numpy as np
import tensorflow as tf
from test_golden import RecordingOptimizer

from benchmarks import plain, plain_trainer
from hcm_tf.operations.placement import placement_kernel
from hcm_tf.runs import building


def gradients(trainer, images):
    trainer.compile(RecordingOptimizer(1.0), RecordingOptimizer(1.0))
    metrics = trainer.train_step({"image": images})
    optimizers = (trainer.generator_optimizer, trainer.critic_optimizer)
    return metrics, [g for o in optimizers for g in o.gradients.values()]


def test_steps_are_equal(tiny_config):
    images = np.random.default_rng(0).uniform(-1, 1, (4, 32, 32, 3))
    images = tf.constant(images.astype("float32"))
    ours = building.build_trainer(tiny_config, replicas=1)
    other = plain_trainer.build_trainer(tiny_config)
    plain.copy_weights(ours.generator, other.generator)
    other.encoder.set_weights(ours.encoder.get_weights())
    other.critic.set_weights(ours.critic.get_weights())
    metrics, expected = gradients(other, images)
    actual_metrics, actual = gradients(ours, images)
    for name in ("critic_loss", "generator_loss", "gradient_norm"):
        np.testing.assert_allclose(actual_metrics[name], metrics[name], rtol=1e-5)
    for mine, theirs in zip(actual, expected, strict=True):
        if len(mine.shape) == 5:
            mine = placement_kernel(mine)
        scale = np.abs(theirs).max()
        assert np.abs(mine - theirs).max() <= 1e-4 * scale
