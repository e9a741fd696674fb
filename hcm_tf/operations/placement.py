"""Placed attributes, upsampled and convolved: each location has a basis of its own.

The published network copies attribute v of location l into channel v * 16 + l of a 4x4
map that is zero elsewhere, upsamples it and convolves it. Each location then meets only
its own slice of the kernel, its dictionary of basis functions: the fast forms multiply
the attributes by that slice and add up the 16 overlapping patches.

In all of them `attributes` is `(batch, 4, 4, V)`, `dictionary` `(16, V, 3, 3, F)`, the
result `(batch, 8, 8, F)`; up to `most` attributes of a location are active, ties aside;
None: any number. `placed` is the matrix of `placing.sums` where parts are placed
freely, `(batch or 1, 64, 144)`; None: the grid's.
"""

from collections.abc import Callable

import numpy as np
from keras import ops

from hcm_tf.operations.upsampling import convolve, upsample
from hcm_tf.sparsity import Tensor

# Reading a row of the dictionary by itself takes as long as this many rows in a matrix
# product.
COST_OF_A_ROW = 6
# Equal attributes are kept together; so many more than were asked for have a place.
SPARE_ROWS = 4


def place(attributes: Tensor) -> Tensor:
    """Gives each location its own basis: attribute v at location l -> channel 16 v + l.

    Args:
        attributes: `(batch, 4, 4, V)`, locations in row-major order.

    Returns:
        `(batch, 4, 4, 16 V)`, zero but for one channel in 16.
    """
    _, height, width, count = attributes.shape
    locations = height * width
    own = ops.reshape(
        ops.eye(locations, dtype=attributes.dtype), (height, width, 1, locations)
    )
    placed = ops.expand_dims(attributes, -1) * own
    return ops.reshape(placed, (-1, height, width, count * locations))


def placement_kernel(dictionary: Tensor) -> Tensor:
    """The published 3x3 kernel over placed channels that a dictionary amounts to.

    Args:
        dictionary: `(locations, V, 3, 3, F)`, the 3x3 basis functions that attribute v
            has at location l.

    Returns:
        `(3, 3, V * locations, F)`, input channel v * locations + l.
    """
    locations, count, _, _, filters = dictionary.shape
    kernel = ops.transpose(dictionary, (2, 3, 1, 0, 4))
    return ops.reshape(kernel, (3, 3, count * locations, filters))


def place_convolve(
    attributes: Tensor,
    dictionary: Tensor,
    most: int | None,
    placed: Tensor | None = None,
) -> Tensor:
    """As published: placed, upsampled, convolved; placed freely, no convolution can."""
    if placed is None:
        return convolve(upsample(place(attributes)), placement_kernel(dictionary))
    return add_patches(
        attributes,
        dictionary,
        lambda rows, dictionary: ops.einsum("blv,lvn->bln", rows, dictionary),
        placed,
    )


def place_convolve_by_dictionary(
    attributes: Tensor,
    dictionary: Tensor,
    most: int | None,
    placed: Tensor | None = None,
) -> Tensor:
    """Every attribute times its row of the dictionary, in one matrix product."""
    return add_patches(attributes, dictionary, multiply_all, placed)


def place_convolve_by_gathered_rows(
    attributes: Tensor,
    dictionary: Tensor,
    most: int | None,
    placed: Tensor | None = None,
) -> Tensor:
    """Only the rows of the `most` strongest attributes, in operations of a device."""
    slots = attributes.shape[-1] if most is None else most + SPARE_ROWS
    if COST_OF_A_ROW * slots > attributes.shape[-1]:
        return add_patches(attributes, dictionary, multiply_all, placed)
    return add_patches(
        attributes,
        dictionary,
        lambda rows, dictionary: multiply_gathered(rows, dictionary, slots),
        placed,
    )


def add_patches(
    attributes: Tensor,
    dictionary: Tensor,
    multiply: Callable[[Tensor, Tensor], Tensor],
    placed: Tensor | None = None,
) -> Tensor:
    """Adds the patches that the locations' products make.

    Args:
        attributes: `(batch, 4, 4, V)`.
        dictionary: `(16, V, 3, 3, F)`.
        multiply: as `multiply_all`.
        placed: where; see above.
    """
    _, height, width, count = attributes.shape
    locations, filters = height * width, dictionary.shape[-1]
    taps = multiply(
        ops.reshape(attributes, (-1, locations, count)),
        ops.reshape(dictionary, (locations, count, 9 * filters)),
    )
    taps = ops.reshape(taps, (-1, 9 * locations, filters))
    if placed is None:
        placed = tap_sums(height, width)
    # So few pixels that a product with zeros and ones adds up fastest.
    pixels = ops.matmul(ops.convert_to_tensor(placed, dtype=taps.dtype), taps)
    return ops.reshape(pixels, (-1, 2 * height, 2 * width, filters))


def place_convolve_back(
    pixels: Tensor, dictionary: Tensor, placed: Tensor | None = None
) -> Tensor:
    """The adjoint of placing, upsampling and convolving.

    Args:
        pixels: `(batch, 8, 8, F)`.
        dictionary: `(16, V, 3, 3, F)`.
        placed: where; see above.

    Returns:
        `(batch, 4, 4, V)`: of every attribute the product of its patch with `pixels`.
    """
    _, tall, wide, filters = pixels.shape
    locations, count = dictionary.shape[:2]
    if placed is None:
        sums = tap_sums(tall // 2, wide // 2).T
    else:
        sums = ops.transpose(placed, (0, 2, 1))
    taps = ops.matmul(
        ops.convert_to_tensor(sums, dtype=pixels.dtype),
        ops.reshape(pixels, (-1, tall * wide, filters)),
    )
    taps = ops.reshape(taps, (-1, locations, 9 * filters))
    rows = ops.reshape(dictionary, (locations, count, 9 * filters))
    products = ops.matmul(
        ops.transpose(taps, (1, 0, 2)), ops.transpose(rows, (0, 2, 1))
    )
    products = ops.transpose(products, (1, 0, 2))
    return ops.reshape(products, (-1, tall // 2, wide // 2, count))


def multiply_all(rows: Tensor, dictionary: Tensor) -> Tensor:
    """`(batch, locations, V)` times `(locations, V, N)`: `(batch, locations, N)`."""
    products = ops.matmul(ops.transpose(rows, (1, 0, 2)), dictionary)
    return ops.transpose(products, (1, 0, 2))


def multiply_gathered(rows: Tensor, dictionary: Tensor, slots: int) -> Tensor:
    """As `multiply_all`, where up to `slots` attributes of a location are active."""
    locations, count, width = dictionary.shape
    active = ops.top_k(ops.abs(rows), slots)[1]
    values = ops.take_along_axis(rows, active, axis=-1)
    own = ops.reshape(
        ops.arange(0, locations * count, count, dtype=active.dtype), (locations, 1)
    )
    gathered = ops.take(
        ops.reshape(dictionary, (locations * count, width)), active + own, axis=0
    )
    return ops.sum(gathered * ops.expand_dims(values, -1), axis=2)


def tap_sums(height: int, width: int) -> np.ndarray:
    """Which responses to taps a pixel of the upsampled convolution is the sum of.

    Returns:
        Zeros and ones, `(4 height width, 9 height width)`: pixels in row-major order,
        responses as `(height, width, 3, 3)`.
    """

    def along(size: int) -> np.ndarray:
        pixel, source, tap = np.ogrid[: 2 * size, :size, :3]
        return ((pixel + tap - 1) // 2 == source).astype("float32")

    sums = np.einsum("pit,qju->pqijtu", along(height), along(width))
    return sums.reshape(4 * height * width, 9 * height * width)
