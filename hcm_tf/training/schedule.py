"""How the learning rate moves."""

import keras
import tensorflow as tf


class Cooldown(keras.optimizers.schedules.LearningRateSchedule):
    """A constant rate that falls linearly to zero before the end of training.

    Args:
        rate: the constant.
        steps: updates in all training.
        cooldown: updates of the fall, which ends with `steps`.
    """

    def __init__(self, rate: float, steps: int, cooldown: int) -> None:
        self.rate = rate
        self.steps = steps
        self.cooldown = cooldown

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        """The learning rate after `step` updates."""
        left = (self.steps - tf.cast(step, tf.float32)) / self.cooldown
        return self.rate * tf.clip_by_value(left, 0.0, 1.0)

    def get_config(self) -> dict[str, float]:
        """What `__init__` takes."""
        return {"rate": self.rate, "steps": self.steps, "cooldown": self.cooldown}
