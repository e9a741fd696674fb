"""Dense layer and convolutions with an equalised learning rate (Karras et al. 2018)."""

import math
from typing import Any

import keras
from keras import ops

from hcm_tf.operations import FAST
from hcm_tf.operations.kernels import adjoint, scale_smaller
from hcm_tf.operations.placement import place_convolve_back
from hcm_tf.operations.upsampling import upsample_back
from hcm_tf.sparsity import Tensor

# He et al. 2015: keeps the variance of a layer that a ReLU follows.
RELU_GAIN = math.sqrt(2.0)


class _Equalized(keras.layers.Layer):
    """A kernel drawn from N(0, 1) and scaled by gain / sqrt(fan_in) when it is used.

    The equalised learning rate of Karras et al. 2018: every weight then moves at the
    same relative speed under Adam. fan_in is the product of all kernel dimensions but
    the last.
    """

    execution = FAST

    def __init__(self, gain: float = RELU_GAIN, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.gain = gain

    def _add_kernel(
        self, shape: tuple[int, ...], initializer: str | None = None
    ) -> None:
        self.kernel = self.add_weight(
            name="kernel",
            shape=shape,
            initializer=initializer or keras.initializers.RandomNormal(stddev=1.0),
        )
        self.scale = self.gain / math.sqrt(math.prod(shape[:-1]))

    def _scaled(self, x: Tensor) -> tuple[Tensor, Tensor]:
        kernel = ops.convert_to_tensor(self.kernel, dtype=self.compute_dtype)
        return scale_smaller(x, kernel, self.scale)

    def scaled_kernel(self) -> Tensor:
        """The kernel as it is used."""
        return ops.convert_to_tensor(self.kernel, dtype=self.compute_dtype) * self.scale

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "gain": self.gain}


@keras.saving.register_keras_serializable("hcm_tf")
class EqualizedDense(_Equalized):
    """Dense layer with equalised learning rate and a bias: `(batch, units)`.

    Args:
        units: outputs.
        gain: factor of the scale gain / sqrt(fan_in).
    """

    def __init__(self, units: int, gain: float = RELU_GAIN, **kwargs: Any) -> None:
        super().__init__(gain=gain, **kwargs)
        self.units = units

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self._add_kernel((input_shape[-1], self.units))
        self.bias = self.add_weight(
            name="bias", shape=(self.units,), initializer="zeros"
        )
        self.built = True

    def call(self, x: Tensor) -> Tensor:
        x, kernel = self._scaled(x)
        return ops.matmul(x, kernel) + self.bias

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units}


@keras.saving.register_keras_serializable("hcm_tf")
class EqualizedConv2D(_Equalized):
    """Convolution with equalised learning rate, stride 1, same padding, no bias.

    Args:
        filters: output feature maps.
        kernel_size: height and width of the kernel.
        gain: factor of the scale gain / sqrt(fan_in).
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int,
        *,
        gain: float = RELU_GAIN,
        **kwargs: Any,
    ) -> None:
        super().__init__(gain=gain, **kwargs)
        self.filters = filters
        self.kernel_size = kernel_size

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        size = self.kernel_size
        self._add_kernel((size, size, input_shape[-1], self.filters))
        self.built = True

    def call(self, x: Tensor) -> Tensor:
        return self.execution.convolve(*self._scaled(x))

    def back(self, y: Tensor) -> Tensor:
        """The adjoint: from what `call` returns to what it takes."""
        y, kernel = self._scaled(y)
        return self.execution.convolve(y, adjoint(kernel))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
        }


@keras.saving.register_keras_serializable("hcm_tf")
class ZeroConv2D(EqualizedConv2D):
    """A 1x1 `EqualizedConv2D` whose kernel begins with zeros.

    Args:
        filters: output feature maps.
        gain: as of `EqualizedConv2D`.
    """

    def __init__(self, filters: int, *, gain: float = 1.0, **kwargs: Any) -> None:
        super().__init__(filters, 1, gain=gain, **kwargs)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self._add_kernel((1, 1, input_shape[-1], self.filters), "zeros")
        self.built = True

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["kernel_size"]
        return config


@keras.saving.register_keras_serializable("hcm_tf")
class UpsampledConv2D(EqualizedConv2D):
    """The 3x3 `EqualizedConv2D` of its input at twice the size (nearest neighbour)."""

    def __init__(self, filters: int, **kwargs: Any) -> None:
        super().__init__(filters, 3, **kwargs)

    def call(self, x: Tensor) -> Tensor:
        return self.execution.upsample_convolve(*self._scaled(x))

    def back(self, y: Tensor) -> Tensor:
        return upsample_back(super().back(y))

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["kernel_size"]
        return config


@keras.saving.register_keras_serializable("hcm_tf")
class PlacedConv2D(UpsampledConv2D):
    """The `UpsampledConv2D` of attributes placed into their own location's channels.

    Input `(batch, 4, 4, V)`. The kernel is kept as a dictionary `(16, V, 3, 3,
    filters)`, every location's rows together; `placement.placement_kernel` gives the
    published layout.

    Args:
        filters: output feature maps.
        most: attributes that a location keeps where the generator selects them.
        background: so many attributes, the first, stay on the grid where others are
            placed freely, and all may be active.
    """

    def __init__(
        self, filters: int, most: int, background: int = 0, **kwargs: Any
    ) -> None:
        super().__init__(filters, **kwargs)
        self.most = most
        self.background = background

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        _, height, width, attributes = input_shape
        self._add_kernel((height * width, attributes, 3, 3, self.filters))
        self.built = True

    def call(
        self, x: Tensor, placed: Tensor | None = None, *, selected: bool = False
    ) -> Tensor:
        """Of any `x`; `selected`: of one that has `most` active at a location.

        Only the generator's own selection is known to have. A union of two codes, or
        an edited one, may have more, and what reads `most` rows would drop the rest.

        Args:
            x: `(batch, 4, 4, V)`.
            placed: `operations.placing.sums`, of the same batch or of batch 1; None
                for the grid.
            selected: see above.
        """
        place_convolve = self.execution.place_convolve
        most = self.most if selected else None
        x, dictionary = self._scaled(x)
        if not self.background:
            return place_convolve(x, dictionary, most, placed)
        own = self.background
        behind = place_convolve(x[..., :own], dictionary[:, :own], None)
        parts = place_convolve(
            x[..., own:], dictionary[:, own:], most, placed[..., :-1]
        )
        return self._left(placed) * behind + parts

    def back(self, y: Tensor, placed: Tensor | None = None) -> Tensor:
        y, dictionary = self._scaled(y)
        if not self.background:
            return place_convolve_back(y, dictionary, placed)
        own = self.background
        found = (
            place_convolve_back(self._left(placed) * y, dictionary[:, :own]),
            place_convolve_back(y, dictionary[:, own:], placed[..., :-1]),
        )
        return ops.concatenate(found, axis=-1)

    @staticmethod
    def _left(placed: Tensor) -> Tensor:
        """What parts leave of the background: `(batch or 1, 8, 8, 1)`."""
        side = math.isqrt(placed.shape[1])
        return ops.reshape(placed[..., -1], (-1, side, side, 1))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "most": self.most,
            "background": self.background,
        }
