"""Selection among the channels at a location, or the positions of a channel."""

import dataclasses
from typing import Any

import keras
from keras import ops

from hcm_tf import sparsity
from hcm_tf.operations import FAST
from hcm_tf.sparsity import Tensor, rules
from hcm_tf.sparsity.rules import Competition, Stage


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
    """Among the channels at each location: `(batch, ..., channels)`.

    Args:
        always: so many channels, the first, are kept and do not compete.
    """

    axis = -1

    def __init__(self, *args: Any, always: int = 0, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.always = always

    def gate(self, x: Tensor, stage: Stage | None = None) -> Tensor:
        gate = super().gate(x, stage)
        if not self.always:
            return gate
        kept = ops.ones_like(x[..., : self.always], dtype=gate.dtype)
        return ops.concatenate([kept, gate], axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "always": self.always}

    def _competitors(self, input_shape: tuple) -> int:
        return input_shape[-1] - self.always

    @staticmethod
    def _competitions(input_shape: tuple) -> tuple:
        return tuple(input_shape[1:-1])

    def _side_by_side(self, x: Tensor) -> Tensor:
        return x[..., self.always :] if self.always else x


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
        for name in ("rule", "temperature", "p"):
            del config[name]
        return config


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
