"""Gradients of several losses, added up by variable."""

import math
from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

LARGE = 2**20  # Weights of networks whose losses are differentiated in turn.


def values_of(variables: Sequence[keras.Variable]) -> list[tf.Variable]:
    """TensorFlow's variables of Keras's."""
    return [variable.value for variable in variables]


class Gradients:
    """The sum of several losses' gradients, by variable."""

    def __init__(
        self,
        variables: Sequence[keras.Variable] = (),
        gradients: Sequence[tf.Tensor] = (),
    ) -> None:
        self.sums: dict[str, tf.Tensor] = {}
        self._add(variables, gradients)

    def add(
        self,
        variables: Sequence[keras.Variable],
        compute: Callable[[], tuple[tf.Tensor, dict[str, tf.Tensor]]],
        *,
        due: tf.Tensor | None = None,
        metrics: Sequence[str] = (),
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """Adds a loss's gradients; returns what `compute` does: the loss, and metrics.

        Of large networks they are computed after the earlier ones: activations are held
        for one loss at a time. The operations of small ones need each other's company
        to fill all cores.

        Args:
            variables: to differentiate by.
            compute: the loss and its metrics, scalars.
            due: bool scalar; where it is false all is zero, and nothing is computed.
            metrics: names of the metrics, needed with `due`.
        """
        weights = values_of(variables)
        large = sum(math.prod(weight.shape) for weight in weights) >= LARGE
        earlier = list(self.sums.values()) if large else []

        def differentiate() -> tuple:
            with tf.control_dependencies([tf.group(*earlier)] if earlier else []):
                with tf.GradientTape(watch_accessed_variables=False) as tape:
                    tape.watch(weights)
                    loss, values = compute()
                # The penalty has no derivative by the last bias.
                gradients = tape.gradient(loss, weights, unconnected_gradients="zero")
            return (loss, values), gradients

        def rest() -> tuple:
            nothing = tf.zeros((), weights[0].dtype)
            values = dict.fromkeys(metrics, nothing)
            return (nothing, values), [tf.zeros_like(weight) for weight in weights]

        if due is None:
            result, gradients = differentiate()
        else:
            result, gradients = tf.cond(due, differentiate, rest)
        self._add(variables, gradients)
        return result

    def of(self, variables: Sequence[keras.Variable]) -> list[tf.Tensor]:
        """The sums, in the order of the variables."""
        return [self.sums[variable.path] for variable in variables]

    def _add(
        self, variables: Sequence[keras.Variable], gradients: Sequence[tf.Tensor]
    ) -> None:
        for variable, gradient in zip(variables, gradients, strict=True):
            earlier = self.sums.get(variable.path)
            self.sums[variable.path] = (
                gradient if earlier is None else earlier + gradient
            )
