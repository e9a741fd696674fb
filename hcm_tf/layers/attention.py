"""Self-attention between locations, with weights of which most are zero."""

from typing import Any

import keras
from keras import ops

from hcm_tf.layers.equalized import EqualizedConv2D, ZeroConv2D
from hcm_tf.sparsity import Tensor
from hcm_tf.sparsity.simplex import sparsemax

# Of the feature maps of the input, as one of its queries and keys (Zhang et al. 2019).
NARROWING = 8


@keras.saving.register_keras_serializable("hcm_tf")
class LocationAttention(keras.layers.Layer):
    """What locations know, and what they learn from a few others.

    y = x + O(sum over l' of a[l, l'] V(x[l'])), a[l] = sparsemax(q[l] . k / sqrt(d)).
    The self-attention of SAGAN (Zhang et al. 2019) with weights of which most are 0
    (Martins and Astudillo 2016). O begins with zeros, where SAGAN has one factor: at
    first nothing is added.

    `(batch, n, n, C)` -> `(batch, n, n, C)`.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.query = self.key = self.value = self.out = None

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        channels, dtype = input_shape[-1], self.dtype_policy
        narrow = max(1, channels // NARROWING)
        self.query = EqualizedConv2D(narrow, 1, gain=1.0, dtype=dtype, name="query")
        self.key = EqualizedConv2D(narrow, 1, gain=1.0, dtype=dtype, name="key")
        self.value = EqualizedConv2D(channels, 1, gain=1.0, dtype=dtype, name="value")
        self.out = ZeroConv2D(channels, dtype=dtype, name="out")
        for layer in (self.query, self.key, self.value, self.out):
            layer.build(input_shape)
        self.built = True

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return input_shape

    def call(self, x: Tensor) -> Tensor:
        _, height, width, channels = x.shape
        places = height * width
        value = ops.reshape(self.value(x), (-1, places, channels))
        weights = ops.cast(self.weights_of(x), value.dtype)
        learnt = ops.matmul(weights, value)
        return x + self.out(ops.reshape(learnt, (-1, height, width, channels)))

    def weights_of(self, x: Tensor) -> Tensor:
        """What each location takes from each, `(batch, n n, n n)`; rows sum to 1.

        In single precision at least: bfloat16 cannot add up shares.
        """
        _, height, width, _ = x.shape
        query, key = self.query(x), self.key(x)
        narrow = query.shape[-1]
        query, key = (
            ops.reshape(part, (-1, height * width, narrow)) for part in (query, key)
        )
        scores = ops.matmul(query, ops.transpose(key, (0, 2, 1)))
        scores = ops.cast(scores, self.variable_dtype)
        return sparsemax(scores / narrow**0.5)
