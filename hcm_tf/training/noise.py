"""The noise of a training step, a pure function of (seed, step, stream).

Nothing is stored between steps, so a resumed run continues with the same numbers; and
the noise of the whole batch is drawn, of which a replica takes its rows, so that
results do not depend on how many replicas there are.
"""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

# A stream has a number of its own for good: a run draws the same noise in every
# version. The first two share one counter, which is older than the others.
STREAMS = {
    "latents": 0,
    "mixing": 1,
    "augmentation": 2,
    "selection": 3,
    "classes": 4,
    "placing": 5,
    "shift": 6,
    "presence": 7,
    "encoded_presence": 8,
}
_COUNTED = 2


def replica_order(batch: int, replicas: int, group: int) -> np.ndarray:
    """Order of a batch whose equal contiguous parts are the replicas' shares.

    The critic compares image i with those of equal i modulo (batch / group); this order
    gives whole groups to each replica, so that one replica and several compute the same
    statistics. Where a replica's share is smaller than a group, the order is plain.

    Args:
        batch: images in the batch of all replicas, a multiple of `replicas`.
        replicas: replicas in sync.
        group: `stddev_group_size` of the critic.

    Returns:
        A permutation of range(batch).
    """
    order = np.arange(batch)
    group = min(group, batch)
    if batch % group or (batch // group) % replicas:
        return order
    shares = order.reshape(group, replicas, batch // group // replicas)
    return shares.transpose(1, 0, 2).reshape(-1)


class Noise:
    """Random numbers for the images of a batch, by stream and draw.

    Args:
        seed: of every stream.
        batch_order: `replica_order` of the batch, in which the data comes too.
    """

    def __init__(self, seed: int, batch_order: Sequence[int]) -> None:
        self.seed = seed
        self.batch_order = np.asarray(batch_order)

    def uniform(
        self, stream: str, shape: tuple[int, ...], draw: tf.Tensor, count: int
    ) -> tf.Tensor:
        """Uniform in [0, 1): float32 `(count, *shape)`.

        Args:
            stream: a name of STREAMS.
            shape: of one image's noise.
            draw: int64, counts the draws of a stream since the start of training.
            count: images in this replica's share.
        """
        return self._rows(tf.random.stateless_uniform, stream, shape, draw, count)

    def normal(
        self, stream: str, shape: tuple[int, ...], draw: tf.Tensor, count: int
    ) -> tf.Tensor:
        """Standard normal: float32 `(count, *shape)`; arguments as of `uniform`."""
        return self._rows(tf.random.stateless_normal, stream, shape, draw, count)

    def _rows(self, draw_all, stream, shape, draw, count) -> tf.Tensor:
        number = STREAMS[stream]
        key = tf.stack([tf.constant(self.seed, tf.int64), draw * _COUNTED + number])
        if number >= _COUNTED:
            key = tf.stack([tf.constant(self.seed, tf.int64), draw])
            key = tf.random.experimental.stateless_fold_in(key, number)
        noise = draw_all((len(self.batch_order), *shape), seed=key)
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        order = tf.constant(self.batch_order)
        return tf.gather(noise, order[replica * count : (replica + 1) * count])
