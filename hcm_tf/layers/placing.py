"""The numbers by which every location places its part."""

from typing import Any

import keras
from keras import ops

from hcm_tf.layers.equalized import ZeroConv2D
from hcm_tf.operations.placing import NUMBERS, STRETCHED, TAPS
from hcm_tf.sparsity import Tensor


@keras.saving.register_keras_serializable("hcm_tf")
class PlacingConv2D(ZeroConv2D):
    """The numbers by which every location places its part, at home to begin with.

    `(batch, n, n, C)` -> `(batch, n, n, operations.placing.NUMBERS)`, or `STRETCHED`.

    Args:
        shared_opacity: nine of the numbers, opacities of the taps, are weights of the
            layer and not of what a location knows: then all parts hide by one pattern,
            and a location can say where its part is by the other numbers alone.
        stretch: there are two more, by which parts are stretched; sizes go further.
    """

    def __init__(
        self, shared_opacity: bool = False, stretch: bool = False, **kwargs: Any
    ) -> None:
        self.count = STRETCHED if stretch else NUMBERS
        super().__init__(self.count - TAPS if shared_opacity else self.count, **kwargs)
        self.shared_opacity, self.stretch = shared_opacity, stretch

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        if self.shared_opacity:
            self.opacity = self.add_weight(
                shape=(TAPS,), initializer="zeros", name="opacity"
            )
        super().build(input_shape)

    def call(self, x: Tensor) -> Tensor:
        numbers = super().call(x)
        if not self.shared_opacity:
            return numbers
        shared = ops.zeros_like(numbers[..., :1]) + ops.cast(
            self.opacity, numbers.dtype
        )
        own = NUMBERS - TAPS
        return ops.concatenate(
            [
                numbers[..., :own],
                shared,
                *([numbers[..., own:]] if self.stretch else []),
            ],
            axis=-1,
        )

    def compute_output_shape(
        self, input_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        return (*input_shape[:-1], self.count)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["filters"]
        own = {"shared_opacity": self.shared_opacity, "stretch": self.stretch}
        return {**config, **own}
