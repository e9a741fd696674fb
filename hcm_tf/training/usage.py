"""Keeps attributes alive: those that hardly any image uses are pulled to selection."""

import keras
import tensorflow as tf

from hcm_tf.sparsity import kth_largest

# An attribute is idle when fewer images than this share use it at its location.
IDLE = 1 / 500


class Usage(keras.layers.Layer):
    """A moving share of images that use each attribute at its location.

    Selection gives an attribute that is not selected no gradient, and after a ReLU one
    that is never positive would get none even if it were: among the attributes that
    die in a long run most are positive for fewer than one image in a hundred. So the
    pull acts before the ReLU, on what an attribute lacks to be selected (the idea of
    auxiliary losses for dead features of sparse autoencoders; Gao et al. 2024 let dead
    features reconstruct the residual instead, which needs them to be positive).

    Args:
        shape: `(height, width, attributes)`.
        k: attributes selected at a location.
        decay: of the moving share, per batch.
    """

    def __init__(
        self, shape: tuple[int, int, int], k: int, *, decay: float = 0.99
    ) -> None:
        super().__init__(name="usage", dtype="float32")
        self.k = k
        self.decay = decay
        self.share = self.add_weight(
            name="share", shape=shape, initializer="ones", trainable=False
        )
        self.built = True

    def active(self, preferences: tf.Tensor) -> tf.Tensor:
        """The share of a batch in which each attribute is selected and positive.

        Args:
            preferences: the attributes before the ReLU, `(batch, height, width,
                attributes)`.

        Returns:
            float32 `(height, width, attributes)`.
        """
        active = (preferences > 0) & (preferences >= self._threshold(preferences))
        return tf.reduce_mean(tf.cast(active, tf.float32), axis=0)

    def shortfall(self, preferences: tf.Tensor) -> tf.Tensor:
        """What idle attributes lack to be selected, summed over them: `(batch,)`.

        sum over idle v of max(0, t - a_v), where t is the k-th largest response at the
        location, taken as it is.

        Args:
            preferences: as of `active`.
        """
        threshold = tf.stop_gradient(self._threshold(preferences))
        lacking = tf.nn.relu(threshold - preferences)
        idle = tf.convert_to_tensor(self.share.value) < IDLE
        return tf.reduce_sum(
            tf.where(idle, lacking, tf.zeros_like(lacking)), axis=(1, 2, 3)
        )

    def _threshold(self, preferences: tf.Tensor) -> tf.Tensor:
        return kth_largest(tf.nn.relu(preferences), self.k, -1)
