"""Trading time for memory: a block's inner values are computed again for its gradient.

Chen et al. 2016, with a derivative of every order: the critic's penalty needs the
second, which TensorFlow's own `recompute_grad` refuses.
"""

from collections.abc import Callable

import keras
import tensorflow as tf


def recomputed(
    layer: keras.layers.Layer, run: Callable[[tf.Tensor], tf.Tensor], x: tf.Tensor
) -> tf.Tensor:
    """`run(x)`, of which the gradient keeps `x` alone.

    Args:
        layer: owner of every variable that `run` uses.
        run: a function of its input and of those variables.
        x: its input.
    """
    variables = layer.trainable_variables

    def call(x: tf.Tensor, *values: tf.Tensor) -> tf.Tensor:
        with keras.StatelessScope(list(zip(variables, values, strict=True))):
            return run(x)

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

    return forward(x, *(tf.convert_to_tensor(v.value) for v in variables))
