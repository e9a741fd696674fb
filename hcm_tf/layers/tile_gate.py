"""The gate of each tile of a block: whether its second convolution is computed."""

from typing import Any

import keras
from keras import ops

from hcm_tf.layers.equalized import ZeroConv2D
from hcm_tf.operations import tiles
from hcm_tf.sparsity import Tensor


@keras.saving.register_keras_serializable("hcm_tf")
class TileGate(ZeroConv2D):
    """Gates of 4x4 tiles, all open to begin with (Li et al. 2020).

    `(batch, n, n, C)` -> `(batch, n / 4, n / 4, 1)`, from 0 (skipped) to 1: max(0,
    tanh(x)) of a number x that a 1x1 convolution of the tile's mean, zero at first, and
    a bias make. In float32, whatever computes: around its first value half precision
    has steps of 1/128.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(1, **kwargs)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.bias = self.add_weight(
            name="bias",
            shape=(1,),
            initializer=keras.initializers.Constant(tiles.BIAS),
            autocast=False,
        )
        super().build(input_shape)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        batch, height, width, _ = input_shape
        return (batch, height // tiles.SIDE, width // tiles.SIDE, 1)

    def call(self, hidden: Tensor) -> Tensor:
        numbers = ops.cast(super().call(tiles.means(hidden)), self.variable_dtype)
        return tiles.gate(numbers + self.bias)

    def compose(self, hidden: Tensor, kernel: Tensor, gates: Tensor) -> tuple:
        """What a block goes on with, and where the convolution is positive.

        See `operations.tiles`.
        """
        return self.execution.compose_tiles(hidden, kernel, gates)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["filters"]
        return config
