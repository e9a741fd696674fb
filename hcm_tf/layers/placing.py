"""The numbers by which every location places its part."""

from typing import Any

import keras

from hcm_tf.layers.equalized import ZeroConv2D
from hcm_tf.operations.placing import NUMBERS

# Of the learning rate of other layers, as a factor of the equalised kernel (Karras et
# al. 2019 set their mapping's so): Adam's steps do not see it, their effect does.
RATE = 0.1


@keras.saving.register_keras_serializable("hcm_tf")
class PlacingConv2D(ZeroConv2D):
    """The numbers by which every location places its part, at home to begin with.

    `(batch, n, n, C)` -> `(batch, n, n, operations.placing.NUMBERS)`.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(NUMBERS, **{"gain": RATE, **kwargs})

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["filters"]
        return config
