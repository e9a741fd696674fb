"""The attributes' product with their dictionary, over active rows alone (TensorFlow).

Of 3,200 attributes of one image, 320 are active, and reading the other rows of the
dictionary (59 MB at full size) costs more than every product. With more images the
matrix product, which reads a row once for all of them, is faster again.
"""

import math
from collections.abc import Callable

import tensorflow as tf

from hcm_tf.operations.gradients import own_gradient
from hcm_tf.operations.placement import COST_OF_A_ROW, add_patches, multiply_all


def place_convolve(
    attributes: tf.Tensor,
    dictionary: tf.Tensor,
    most: int | None,
    placed: tf.Tensor | None = None,
) -> tf.Tensor:
    """See `placement`; of one image by its active rows alone, however many they are."""
    limit = math.prod(dictionary.shape[:2]) // COST_OF_A_ROW
    return add_patches(
        attributes, dictionary, lambda rows, own: multiply(rows, own, limit), placed
    )


def multiply(rows: tf.Tensor, dictionary: tf.Tensor, limit: int) -> tf.Tensor:
    """Each location's attributes times its own matrix.

    Args:
        rows: `(batch, locations, V)`.
        dictionary: `(locations, V, N)`.
        limit: with more active attributes, all rows are multiplied.

    Returns:
        `(batch, locations, N)`.
    """
    if rows.shape[0] not in (None, 1) or tf.config.list_logical_devices("GPU"):
        return multiply_all(rows, dictionary)

    @own_gradient
    def choose(
        rows: tf.Tensor, dictionary: tf.Tensor
    ) -> tuple[tf.Tensor, Callable[[tf.Tensor], list[tf.Tensor]]]:
        def gradient(upstream: tf.Tensor) -> list[tf.Tensor]:
            # Inactive attributes have one too.
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch((rows, dictionary))
                products = multiply_all(rows, dictionary)
            return tape.gradient(products, (rows, dictionary), upstream)

        active = tf.math.count_nonzero(rows, dtype=tf.int32)
        products = tf.cond(
            active <= limit,
            lambda: _multiply_active(rows, dictionary),
            lambda: multiply_all(rows, dictionary),
        )
        return products, gradient

    return choose(rows, dictionary)


def _multiply_active(rows: tf.Tensor, dictionary: tf.Tensor) -> tf.Tensor:
    locations, count, width = dictionary.shape
    units = tf.reshape(rows, (-1, locations * count))
    index = tf.where(tf.not_equal(units, 0))
    image, unit = tf.unstack(index, axis=1)
    sparse = tf.SparseTensor(
        tf.stack([image * locations + unit // count, unit], axis=1),
        tf.gather_nd(units, index),
        tf.stack([tf.shape(units, tf.int64)[0] * locations, locations * count]),
    )
    products = tf.sparse.sparse_dense_matmul(
        sparse, tf.reshape(dictionary, (locations * count, width))
    )
    return tf.reshape(products, (-1, locations, width))
