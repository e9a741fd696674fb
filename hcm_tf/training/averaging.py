"""Exponential moving average of weights, for sampling (Yazici et al. 2019)."""

from collections.abc import Sequence

import tensorflow as tf


def moving_average(average: tf.Tensor, value: tf.Tensor, decay: float) -> tf.Tensor:
    """decay * average + (1 - decay) * value, in the form that rounds least."""
    return average + (1.0 - decay) * (value - average)


def update(
    averages: Sequence[tf.Variable], values: Sequence[tf.Variable], decay: float
) -> None:
    """Moves each average towards its value; also inside `strategy.run`.

    Args:
        averages: variables to change, made under the same strategy as `values`.
        values: the trained variables, in the same order.
        decay: in [0, 1).
    """

    def update_one(average: tf.Variable, value: tf.Tensor) -> None:
        average.assign(moving_average(average, value, decay))

    def update_all(
        strategy: tf.distribute.Strategy,
        averages: Sequence[tf.Variable],
        values: Sequence[tf.Variable],
    ) -> None:
        # A mirrored variable can only be assigned from the cross-replica context.
        for average, value in zip(averages, values, strict=True):
            strategy.extended.update(average, update_one, args=(value,), group=False)

    replica = tf.distribute.get_replica_context()
    if replica is None:
        update_all(tf.distribute.get_strategy(), averages, values)
    else:
        replica.merge_call(update_all, args=(averages, values))
