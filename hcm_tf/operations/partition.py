"""The k-th largest value by Hoare's selection, for TensorFlow on a processor."""

import tensorflow as tf
from keras import ops

from hcm_tf.sparsity import kth_largest as kth_largest_by_sorting


def kth_largest(x: tf.Tensor, k: int, axis: int) -> tf.Tensor:
    """See `sparsity.kth_largest`."""
    if tf.config.list_logical_devices("GPU"):
        return kth_largest_by_sorting(x, k, axis)  # The operation has no GPU kernel.
    x = ops.moveaxis(tf.stop_gradient(x), axis, -1)
    selected = tf.raw_ops.NthElement(input=x, n=x.shape[-1] - k, reverse=False)
    return ops.moveaxis(selected[..., tf.newaxis], -1, axis)
