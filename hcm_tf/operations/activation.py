"""Leaky ReLU for TensorFlow, with derivatives of every order at half the memory.

TensorFlow's own keeps its input for the gradient, which the network needs nowhere else.
Its sign is that of the result, which the next layer keeps anyway.
"""

import tensorflow as tf

from hcm_tf.operations.gradients import own_gradient


def leaky_relu(x: tf.Tensor, negative_slope: float) -> tf.Tensor:
    """max(x, `negative_slope` * x), 0 < `negative_slope` < 1."""

    @own_gradient
    def activate(x: tf.Tensor) -> tf.Tensor:
        y = tf.nn.leaky_relu(x, negative_slope)
        sign = tf.stop_gradient(y)  # Has no derivative, which would need x again.

        def gradient(upstream: tf.Tensor) -> tf.Tensor:
            return tf.raw_ops.LeakyReluGrad(
                gradients=upstream, features=sign, alpha=negative_slope
            )

        return y, gradient

    return activate(x)
