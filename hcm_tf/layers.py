"""Keras layers of the three networks: selection, equalised weights, stddev."""

import dataclasses
import math
from typing import Any

import keras
from keras import ops

from hcm_tf import sparsity
from hcm_tf.operations import FAST
from hcm_tf.operations.kernels import adjoint, scale_smaller
from hcm_tf.operations.placement import place_convolve_back
from hcm_tf.operations.upsampling import upsample_back
from hcm_tf.sparsity import Tensor, rules
from hcm_tf.sparsity.rules import Competition, Stage

# He et al. 2015: keeps the variance of a layer that a ReLU follows.
RELU_GAIN = math.sqrt(2.0)


class _Selection(keras.layers.Layer):
    """Selects activations of one level, by a rule of `sparsity.rules`.

    Args:
        k: activations to keep among the competitors, at least 1.
        rule: its name.
        temperature: of the rule's scores.
        p: of the rule top_p.

    Attributes:
        threshold: of the rule batch_top_k when it sees no group, one of each
            competition; a variable that follows training. None for other rules.

    Raises:
        ValueError: `k` is below 1, or above the number of competitors; there is no such
            rule.
    """

    execution = FAST

    def __init__(
        self,
        k: int,
        rule: str = "top_k",
        *,
        temperature: float = 1.0,
        p: float = 0.9,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if k < 1:
            raise ValueError(f"`k` must be at least 1. Received: k={k}")
        if rule not in rules.RULES:
            raise ValueError(
                f"`rule` must be one of {', '.join(rules.RULES)}. Received: {rule!r}"
            )
        self.k = k
        self.rule = rule
        self.options = rules.Options(temperature=temperature, p=p)
        self.threshold = None

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        competitors = self._competitors(input_shape)
        if self.k > competitors:
            raise ValueError(
                f"`k` must be between 1 and {competitors} (competitors in an input of "
                f"shape {tuple(input_shape)}). Received: k={self.k}"
            )
        if rules.RULES[self.rule].term == "threshold":
            self.threshold = self.add_weight(
                name="threshold",
                shape=self._competitions(input_shape),
                initializer="zeros",
                trainable=False,
                dtype="float32",
            )
        self.built = True

    def call(self, x: Tensor, stage: Stage | None = None) -> Tensor:
        """The code: gate times response."""
        return sparsity.keep(x, self.gate(x, stage))

    def gate(self, x: Tensor, stage: Stage | None = None) -> Tensor:
        """The gate of responses, of their shape: boolean or float, as the rule's is.

        Args:
            x: the responses.
            stage: of training; None when sampling.
        """
        gate = rules.RULES[self.rule].gate(self.competition(x, stage))
        if len(gate.shape) != len(x.shape):
            gate = ops.reshape(gate, (-1, *x.shape[1:]))
        return sparsity.leaky(gate, stage.leak if stage else None, x.dtype)

    def competition(self, x: Tensor, stage: Stage | None = None) -> Competition:
        """What the rule decides by; arguments as of `gate`."""
        stage = stage or Stage()
        if stage.noise is not None:
            noise = self._side_by_side(stage.noise)
            stage = dataclasses.replace(stage, noise=noise)
        threshold = None
        if self.threshold is not None:
            threshold = ops.cast(ops.convert_to_tensor(self.threshold), x.dtype)
            threshold = ops.expand_dims(ops.expand_dims(threshold, 0), self.axis)
        return Competition(
            x=self._side_by_side(x),
            k=self.k,
            axis=self.axis,
            options=self.options,
            stage=stage,
            select=self.execution.select,
            threshold=threshold,
        )

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "k": self.k,
            "rule": self.rule,
            "temperature": self.options.temperature,
            "p": self.options.p,
        }


@keras.saving.register_keras_serializable("hcm_tf")
class ChannelSelection(_Selection):
    """Among the channels at each location: `(batch, ..., channels)`."""

    axis = -1

    @staticmethod
    def _competitors(input_shape: tuple) -> int:
        return input_shape[-1]

    @staticmethod
    def _competitions(input_shape: tuple) -> tuple:
        return tuple(input_shape[1:-1])

    @staticmethod
    def _side_by_side(x: Tensor) -> Tensor:
        return x


@keras.saving.register_keras_serializable("hcm_tf")
class SpatialSelection(_Selection):
    """Among the positions of each channel: `(batch, height, width, channels)`."""

    axis = 1

    @staticmethod
    def _competitors(input_shape: tuple) -> int:
        return input_shape[1] * input_shape[2]

    @staticmethod
    def _competitions(input_shape: tuple) -> tuple:
        return (input_shape[-1],)

    @staticmethod
    def _side_by_side(x: Tensor) -> Tensor:
        _, height, width, channels = x.shape
        return ops.reshape(x, (-1, height * width, channels))


class _TopK:
    """The published rule alone."""

    def __init__(self, k: int, **kwargs: Any) -> None:
        super().__init__(k, **kwargs)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        return {
            name: value
            for name, value in config.items()
            if name not in ("rule", "temperature", "p")
        }


@keras.saving.register_keras_serializable("hcm_tf")
class ChannelTopK(_TopK, ChannelSelection):
    """Keeps the k largest channels at each location (Xing et al. 2020).

    See `sparsity.channel_top_k_mask` for ties and ranges.

    Args:
        k: channels to keep at each location, at least 1.

    Raises:
        ValueError: `k` is below 1, or above the number of channels.
    """


@keras.saving.register_keras_serializable("hcm_tf")
class SpatialTopK(_TopK, SpatialSelection):
    """Keeps the k largest positions of each channel (Xing et al. 2020).

    See `sparsity.spatial_top_k_mask` for ties and ranges.

    Args:
        k: positions to keep in each channel, at least 1.

    Raises:
        ValueError: `k` is below 1, or above the number of positions.
    """


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

    def _add_kernel(self, shape: tuple[int, ...]) -> None:
        self.kernel = self.add_weight(
            name="kernel",
            shape=shape,
            initializer=keras.initializers.RandomNormal(stddev=1.0),
        )
        self.scale = self.gain / math.sqrt(math.prod(shape[:-1]))

    def _scaled(self, x: Tensor) -> tuple[Tensor, Tensor]:
        kernel = ops.convert_to_tensor(self.kernel, dtype=self.compute_dtype)
        return scale_smaller(x, kernel, self.scale)

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
    """

    def __init__(self, filters: int, most: int, **kwargs: Any) -> None:
        super().__init__(filters, **kwargs)
        self.most = most

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        _, height, width, attributes = input_shape
        self._add_kernel((height * width, attributes, 3, 3, self.filters))
        self.built = True

    def call(self, x: Tensor, *, selected: bool = False) -> Tensor:
        """Of any `x`; `selected`: of one that has `most` active at a location.

        Only the generator's own selection is known to have. A union of two codes, or
        an edited one, may have more, and what reads `most` rows would drop the rest.
        """
        place_convolve = self.execution.place_convolve
        return place_convolve(*self._scaled(x), self.most if selected else None)

    def back(self, y: Tensor) -> Tensor:
        return place_convolve_back(*self._scaled(y))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "most": self.most}


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
