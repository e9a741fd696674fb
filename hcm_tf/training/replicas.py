"""What replicas share: each holds a part of the batch, and means are of all of it."""

from collections.abc import Sequence

import keras
import tensorflow as tf

from hcm_tf.training import averaging
from hcm_tf.training.gradients import values_of


def mean(values: tf.Tensor) -> tf.Tensor:
    """This replica's share of the mean over all: optimizers and metrics add them up.

    Args:
        values: one for each image, or of any shape that all replicas have.
    """
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    return tf.reduce_mean(values) / replicas


def mean_weights(weights: tf.Tensor) -> tf.Tensor:
    """Weights of values, `(batch,)`, whose mean over all replicas' images is meant."""
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    return weights / (weights.shape[0] * replicas)


def summed(metrics: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Scalars, each added up over all replicas."""
    replica = tf.distribute.get_replica_context()
    stacked = tf.stack(list(metrics.values()))
    total = replica.all_reduce(tf.distribute.ReduceOp.SUM, stacked)
    return dict(zip(metrics, tf.unstack(total), strict=True))


def squared_excess(values: tf.Tensor, target: float) -> tf.Tensor:
    """(mean of all replicas' values - target)^2, as each value's share: `(batch,)`.

    The gradient of the shares' mean is that of the square of the mean over all.

    Args:
        values: of each image, `(batch,)`.
        target: what their mean shall be.
    """
    fixed = tf.stop_gradient(values)
    replica = tf.distribute.get_replica_context()
    average = replica.all_reduce(tf.distribute.ReduceOp.MEAN, tf.reduce_mean(fixed))
    excess = average - target
    return tf.square(excess) + 2 * excess * (values - fixed)


def any_of(condition: tf.Tensor) -> tf.Tensor:
    """Whether a bool scalar is true in any replica."""
    replica = tf.distribute.get_replica_context()
    count = tf.cast(condition, tf.float32)
    return replica.all_reduce(tf.distribute.ReduceOp.SUM, count) > 0


def lead(loss: tf.Tensor) -> tf.Tensor:
    """What each image's loss lies above the mean of all others': `(batch,)`.

    The baseline of the score-function gradient: it does not depend on the image's own
    draw, so that the gradient stays unbiased (Williams 1992).

    Args:
        loss: `(batch,)`; no gradient goes through it.
    """
    loss = tf.stop_gradient(loss)
    replica = tf.distribute.get_replica_context()
    count = loss.shape[0] * replica.num_replicas_in_sync
    total = replica.all_reduce(tf.distribute.ReduceOp.SUM, tf.reduce_sum(loss))
    return loss - (total - loss) / max(count - 1, 1)


def follow(
    averages: Sequence[keras.Variable], values: Sequence[tf.Tensor], decay: float
) -> None:
    """Moves averages towards the mean of all replicas' values, where that is finite.

    Args:
        averages: moving averages, the same in all replicas.
        values: this replica's, in the same order.
        decay: in [0, 1).
    """
    replica = tf.distribute.get_replica_context()
    means = replica.all_reduce(tf.distribute.ReduceOp.MEAN, list(values))
    kept = [
        tf.where(tf.math.is_finite(mean), mean, tf.convert_to_tensor(average.value))
        for average, mean in zip(averages, means, strict=True)
    ]
    averaging.update(values_of(averages), kept, decay)
