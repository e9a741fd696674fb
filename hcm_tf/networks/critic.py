"""The critic: image -> score, higher for real ones (WGAN-GP)."""

from typing import Any

import keras
from keras import ops

from hcm_tf.layers import EqualizedConv2D, EqualizedDense, MinibatchStddev
from hcm_tf.networks.blocks import NEGATIVE_SLOPE, Trunk
from hcm_tf.operations import FAST
from hcm_tf.sparsity import Tensor


@keras.saving.register_keras_serializable("hcm_tf")
class Critic(keras.Model):
    """Scores images, comparing those of a batch in groups (Xing et al. 2020).

    The encoder's trunk, minibatch standard deviation, conv3 lrelu, dense.

    Args:
        widths: feature maps of each block, from the image down.
        residual_block: index of the block with a shortcut.
        stddev_group_size: images compared with each other, see `MinibatchStddev`.
    """

    execution = FAST

    def __init__(
        self,
        *,
        widths: tuple[int, ...] = (64, 128, 256, 512),
        residual_block: int = 1,
        stddev_group_size: int = 10,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        dtype = self.dtype_policy
        self.trunk = Trunk(
            widths,
            residual_block=residual_block,
            dtype=dtype,
            name="trunk",
        )
        self.stddev = MinibatchStddev(stddev_group_size, dtype=dtype, name="stddev")
        self.last = EqualizedConv2D(widths[-1], 3, dtype=dtype, name="last")
        self.fc = EqualizedDense(1, gain=1.0, dtype=dtype, name="fc")

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Builds every layer for images of shape `(batch, size, size, channels)`."""
        self.trunk.build(input_shape)
        shape = self.trunk.compute_output_shape(input_shape)
        self.stddev.build(shape)
        shape = self.stddev.compute_output_shape(shape)
        self.last.build(shape)
        _, height, width, _ = shape
        self.features = height * width * self.last.filters
        self.fc.build((None, self.features))
        self.built = True

    def call(self, images: Tensor) -> Tensor:
        """Images in [-1, 1] -> scores `(batch,)`; the batch size must be known."""
        x = self.trunk(ops.cast(images, self.compute_dtype))
        x = self.execution.leaky_relu(self.last(self.stddev(x)), NEGATIVE_SLOPE)
        scores = self.fc(ops.reshape(x, (-1, self.features)))
        return ops.cast(scores[:, 0], self.variable_dtype)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "widths": self.trunk.widths,
            "residual_block": self.trunk.residual_block,
            "stddev_group_size": self.stddev.group_size,
        }
