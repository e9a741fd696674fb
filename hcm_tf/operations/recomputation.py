"""Trading time for memory: a block's inner values are computed again for its gradient.

Chen et al. 2016, with a derivative of every order: the critic's penalty needs the
second, which TensorFlow's own `recompute_grad` refuses.
"""

from collections.abc import Callable

import keras
import tensorflow as tf


def recomputed(
    layer: keras.layers.Layer, run: Callable[..., tf.Tensor], *given: tf.Tensor
) -> tf.Tensor:
    """`run(*given)`, of which the gradient keeps what was given alone.

    Args:
        layer: owner of every variable that `run` uses.
        run: a function of its inputs and of those variables.
        given: its inputs.
    """
    variables = layer.trainable_variables

    def call(*inputs: tf.Tensor) -> tf.Tensor:
        values = inputs[len(given) :]
        with keras.StatelessScope(list(zip(variables, values, strict=True))):
            return run(*inputs[: len(given)])

    @tf.custom_gradient
    def forward(*inputs: tf.Tensor) -> tf.Tensor:
        def gradient(upstream: tf.Tensor) -> list[tf.Tensor]:
            # New names for the inputs, which exist no sooner than the upstream
            # gradient: or TensorFlow would find the computations equal, and merge them.
            with tf.control_dependencies([upstream]):
                again = [tf.identity(value) for value in inputs]
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(again)
                y = call(*again)
            return tape.gradient(y, again, upstream)

        return call(*inputs), gradient

    return forward(*given, *(tf.convert_to_tensor(v.value) for v in variables))
