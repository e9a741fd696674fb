"""How much the images of a group differ, shown to the critic (Karras et al. 2018)."""

from typing import Any

import keras
from keras import ops

from hcm_tf.sparsity import Tensor


@keras.saving.register_keras_serializable("hcm_tf")
class MinibatchStddev(keras.layers.Layer):
    """Appends how much the images of a group differ, as one more channel.

    Minibatch standard deviation (Karras et al. 2018): over groups of
    min(`group_size`, batch) images, sqrt(variance + 1e-8) averaged over height, width
    and channels. Image i belongs to group i modulo (batch / group).

    Args:
        group_size: images in a group; the batch must be smaller, or a multiple of it.

    Raises:
        ValueError: the batch is not known, or cannot be divided into groups.
    """

    def __init__(self, group_size: int = 10, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.group_size = group_size

    def call(self, x: Tensor) -> Tensor:
        batch, height, width, channels = x.shape
        if batch is None or batch % min(self.group_size, batch):
            raise ValueError(
                f"The batch must be known, and at most {self.group_size} images or a "
                f"multiple of them. Received: {batch}"
            )
        group = min(self.group_size, batch)
        # A difference of nearly equal numbers: never in half precision.
        groups = ops.reshape(
            ops.cast(x, keras.backend.result_type(x.dtype, "float32")),
            (group, batch // group, height, width, channels),
        )
        deviation = ops.sqrt(ops.var(groups, axis=0) + 1e-8)
        statistic = ops.mean(deviation, axis=(1, 2, 3), keepdims=True)
        statistic = ops.tile(statistic, (group, height, width, 1))
        return ops.concatenate([x, ops.cast(statistic, x.dtype)], axis=-1)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return (*input_shape[:-1], input_shape[-1] + 1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "group_size": self.group_size}
