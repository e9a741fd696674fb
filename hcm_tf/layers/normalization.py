"""Sparse switchable normalisation: a block's scale (Shao et al. 2019)."""

import math

import keras
from keras import ops

from hcm_tf.sparsity import Tensor
from hcm_tf.sparsity.rules import Stage
from hcm_tf.sparsity.simplex import sparsestmax

STATISTICS = ("instance", "layer", "batch")
# From the centre of the three shares to one share of 1.
LARGEST_RADIUS = math.sqrt(2 / 3)
EPSILON = 1e-5


@keras.saving.register_keras_serializable("hcm_tf")
class SparseSwitchableNormalization(keras.layers.Layer):
    """Divides responses by a root mean square, over what it learns to take it.

        y = gain x / sqrt(p_1 m_instance + p_2 m_layer + p_3 m_batch + 1e-5)

    m are mean squares: over the positions of a channel, over all of an image, over a
    channel of a group of images; p = sparsestmax(logits) are their shares. Shao et al.
    2019, "SSN: learning sparse switchable normalization via SparsestMax", equations 1
    to 3, without their means and biases: a network with constants between its levels
    would be no sum of its parts, and a factor is recorded as a gate is.

    Input `(batch, height, width, channels)`.

    Attributes:
        gain: `(channels,)`, trained.
        logits: of the shares, `(3,)`, trained.
        shares: what training left of them, for sampling.
        mean_square: m_batch for sampling, `(channels,)`, which follows training.
    """

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        def add(name: str, size: int, value: float, *, trainable: bool) -> Tensor:
            return self.add_weight(
                name=name,
                shape=(size,),
                initializer=keras.initializers.Constant(value),
                trainable=trainable,
                dtype="float32",
            )

        channels, count = input_shape[-1], len(STATISTICS)
        self.gain = add("gain", channels, 1.0, trainable=True)
        self.logits = add("logits", count, 1.0, trainable=True)
        self.shares = add("shares", count, 1 / count, trainable=False)
        self.mean_square = add("mean_square", channels, 1.0, trainable=False)
        self.built = True

    def call(self, x: Tensor, stage: Stage | None = None) -> Tensor:
        """The normalised responses, of the shape of x."""
        return self.factor(x, stage) * x

    def factor(self, x: Tensor, stage: Stage | None = None) -> Tensor:
        """What responses are multiplied by: `(batch, 1, 1, channels)`.

        Args:
            x: the responses.
            stage: of training, whose group and radius count; None when sampling.
        """
        instance = _mean_square(x, (1, 2))
        layer = ops.mean(instance, axis=-1, keepdims=True)
        if stage is None:
            shares = ops.convert_to_tensor(self.shares)
            followed = ops.convert_to_tensor(self.mean_square)
            batch = ops.reshape(ops.cast(followed, instance.dtype), (1, 1, 1, -1))
        else:
            shares = self.share(stage.radius)
            batch = _of_groups(instance, stage.group)
        shares = ops.cast(shares, instance.dtype)
        total = shares[0] * instance + shares[1] * layer + shares[2] * batch
        gain = ops.cast(ops.convert_to_tensor(self.gain), instance.dtype)
        return ops.cast(gain * ops.rsqrt(total + EPSILON), x.dtype)

    def share(self, radius: float | Tensor) -> Tensor:
        """Shares of the statistics, `(3,)`, `radius` or more from equal ones."""
        return sparsestmax(ops.convert_to_tensor(self.logits), radius)

    @staticmethod
    def mean_squares(x: Tensor) -> Tensor:
        """m_batch of all images: `(channels,)`."""
        return ops.reshape(_mean_square(x, (0, 1, 2)), (-1,))

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return input_shape


def _mean_square(x: Tensor, axes: tuple[int, ...]) -> Tensor:
    # At least in single precision: squares of many small values are summed.
    dtype = keras.backend.result_type(x.dtype, "float32")
    return ops.mean(ops.cast(x, dtype) ** 2, axis=axes, keepdims=True)


def _of_groups(instance: Tensor, group: int) -> Tensor:
    """Means over the images of each group; image i is of group i modulo their number.

    The division of a batch does not depend on replicas; see `rules.group_threshold`.
    """
    batch, *rest = instance.shape
    group = min(group, batch)
    means = ops.mean(ops.reshape(instance, (group, batch // group, *rest)), axis=0)
    return ops.tile(means, (group, *[1] * len(rest)))
