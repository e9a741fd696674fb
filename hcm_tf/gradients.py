"""Gradients of our own, which an exported model does without (TensorFlow).

A SavedModel cannot hold the gradient of a gradient of our own: TensorFlow warns of
every such operation each time the model is loaded.
"""

import contextlib
import contextvars
from collections.abc import Callable, Iterator

import tensorflow as tf

_AUTOMATIC = contextvars.ContextVar("automatic", default=False)


def own_gradient(function: Callable) -> Callable:
    """`tf.custom_gradient`, but within `automatic` TensorFlow derives the gradient.

    Args:
        function: returns its value, and the function of the upstream gradient.
    """
    with_own = tf.custom_gradient(function)

    def call(*inputs: tf.Tensor) -> tf.Tensor:
        return function(*inputs)[0] if _AUTOMATIC.get() else with_own(*inputs)

    return call


@contextlib.contextmanager
def automatic() -> Iterator[None]:
    """Within it, what is computed or traced has TensorFlow's gradients alone."""
    token = _AUTOMATIC.set(True)
    try:
        yield
    finally:
        _AUTOMATIC.reset(token)
