"""The numbers by which every location places its part."""

from typing import Any

import keras

from hcm_tf.layers.equalized import ZeroConv2D
from hcm_tf.operations.placing import NUMBERS


@keras.saving.register_keras_serializable("hcm_tf")
class PlacingConv2D(ZeroConv2D):
    """The numbers by which every location places its part, at home to begin with.

    `(batch, n, n, C)` -> `(batch, n, n, operations.placing.NUMBERS)`.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(NUMBERS, **kwargs)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["filters"]
        return config
