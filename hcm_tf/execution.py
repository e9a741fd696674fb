"""How the generator's costly operations are computed.

`REFERENCE` states the mathematics plainly; `FAST` computes the same values with less
work (2.50 -> 0.89 G multiply-adds an image at full size, still fewer by `winograd`),
which the tests prove:

* placement: the published network writes attribute v of location l into channel
  v * 16 + l of a 4x4 map that is zero elsewhere, upsamples it and convolves it. Each
  location then meets only its own slice of the kernel, its dictionary of basis
  functions: `FAST` multiplies the attributes by that slice, for one image by its active
  rows alone (`active_rows`), and adds up the 16 overlapping patches.
* upsampling and convolution: doubling pixels is a sum over 2x2 boxes, which can follow
  the kernel instead of preceding it.
* selection: the k-th largest value needs no sorting (on a device: `bisection`).
* convolution: see `convolution`, and `winograd`; leaky ReLU: see `activation`.
"""

import dataclasses
import math
from collections.abc import Callable

import keras
import numpy as np
from keras import ops

from hcm_tf import bisection
from hcm_tf.kernels import adjoint, scale_smaller
from hcm_tf.sparsity import Select, Tensor, kth_largest

# Reading a row of the dictionary by itself takes as long as this many rows in a matrix
# product.
COST_OF_A_ROW = 6
# Equal attributes are kept together; so many more than were asked for have a place.
SPARE_ROWS = 4
_ON_TENSORFLOW = keras.backend.backend() == "tensorflow"


@dataclasses.dataclass(frozen=True)
class Execution:
    """The operations of one way to compute the networks.

    Attributes:
        place_convolve: `(attributes (batch, 4, 4, V), dictionary (16, V, 3, 3, F),
            most)` -> the 3x3 convolution of the upsampled placement, `(batch, 8, 8,
            F)`, where up to `most` attributes of a location are active, ties aside;
            None: any number.
        upsample_convolve: `(x (batch, n, n, C), kernel (3, 3, C, F))` ->
            the 3x3 convolution of the upsampled `x`, `(batch, 2n, 2n, F)`.
        convolve: `(x (batch, n, n, C), kernel (size, size, C, F))` -> the convolution
            of stride 1 with zero padding to the same size, `(batch, n, n, F)`.
        select: the k-th largest value along an axis, see `sparsity.kth_largest`.
        leaky_relu: `(x, negative_slope)` -> max(x, negative_slope * x).
    """

    place_convolve: Callable[[Tensor, Tensor, int | None], Tensor]
    upsample_convolve: Callable[[Tensor, Tensor], Tensor]
    convolve: Callable[[Tensor, Tensor], Tensor]
    select: Select
    leaky_relu: Callable[[Tensor, float], Tensor]


def upsample(x: Tensor) -> Tensor:
    """Doubles height and width by repeating pixels: `(batch, n, n, C)`."""
    _, height, width, channels = x.shape
    x = ops.reshape(x, (-1, height, 1, width, 1, channels))
    x = ops.tile(x, (1, 1, 2, 1, 2, 1))
    return ops.reshape(x, (-1, 2 * height, 2 * width, channels))


def convolve(x: Tensor, kernel: Tensor) -> Tensor:
    """Convolution of stride 1 with zero padding to the same size."""
    return ops.conv(x, kernel, strides=1, padding="same", data_format="channels_last")


def leaky_relu(x: Tensor, negative_slope: float) -> Tensor:
    """max(x, `negative_slope` * x)."""
    return ops.leaky_relu(x, negative_slope=negative_slope)


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


def _place_convolve_plainly(
    attributes: Tensor, dictionary: Tensor, most: int | None
) -> Tensor:
    return convolve(upsample(place(attributes)), placement_kernel(dictionary))


def _upsample_convolve_plainly(x: Tensor, kernel: Tensor) -> Tensor:
    return convolve(upsample(x), kernel)


def _place_convolve_by_active_rows(
    attributes: Tensor, dictionary: Tensor, most: int | None
) -> Tensor:
    if not _ON_TENSORFLOW:
        return _place_convolve(attributes, dictionary, _multiply_all)
    from hcm_tf import active_rows

    return _place_convolve(
        attributes,
        dictionary,
        lambda rows, dictionary: active_rows.multiply(
            rows,
            dictionary,
            _multiply_all,
            limit=math.prod(dictionary.shape[:2]) // COST_OF_A_ROW,
        ),
    )


def _place_convolve_on_device(
    attributes: Tensor, dictionary: Tensor, most: int | None
) -> Tensor:
    slots = attributes.shape[-1] if most is None else most + SPARE_ROWS
    if COST_OF_A_ROW * slots > attributes.shape[-1]:
        return _place_convolve(attributes, dictionary, _multiply_all)
    return _place_convolve(
        attributes,
        dictionary,
        lambda rows, dictionary: _multiply_gathered(rows, dictionary, slots),
    )


def _multiply_gathered(rows: Tensor, dictionary: Tensor, slots: int) -> Tensor:
    """As `_multiply_all`, where up to `slots` attributes of a location are active."""
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


def _multiply_all(rows: Tensor, dictionary: Tensor) -> Tensor:
    """`(batch, locations, V)` times `(locations, V, N)`: `(batch, locations, N)`."""
    products = ops.matmul(ops.transpose(rows, (1, 0, 2)), dictionary)
    return ops.transpose(products, (1, 0, 2))


def _place_convolve(
    attributes: Tensor,
    dictionary: Tensor,
    multiply: Callable[[Tensor, Tensor], Tensor],
) -> Tensor:
    _, height, width, count = attributes.shape
    locations, filters = height * width, dictionary.shape[-1]
    taps = multiply(
        ops.reshape(attributes, (-1, locations, count)),
        ops.reshape(dictionary, (locations, count, 9 * filters)),
    )
    taps = ops.reshape(taps, (-1, 9 * locations, filters))
    # So few pixels that a product with zeros and ones adds up fastest.
    pixels = ops.matmul(
        ops.convert_to_tensor(_tap_sums(height, width), dtype=taps.dtype), taps
    )
    return ops.reshape(pixels, (-1, 2 * height, 2 * width, filters))


def _tap_sums(height: int, width: int) -> np.ndarray:
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


def _upsample_convolve_boxed(x: Tensor, kernel: Tensor) -> Tensor:
    # Doubling pixels is putting zeros between them and summing over 2x2 boxes, and the
    # sums can wait until after the kernel, which then meets a quarter of the pixels.
    x, kernel = scale_smaller(x, kernel, 4.0)  # Four averages are a sum, exactly.
    spread = ops.conv_transpose(
        x,
        adjoint(kernel),
        strides=2,
        padding="valid",
        data_format="channels_last",
    )
    return ops.average_pool(
        spread, 2, strides=1, padding="valid", data_format="channels_last"
    )


def _convolve_with_own_gradient(x: Tensor, kernel: Tensor) -> Tensor:
    if not _ON_TENSORFLOW or kernel.shape[0] == 1 or kernel.shape[0] % 2 == 0:
        return convolve(x, kernel)
    import tensorflow as tf

    from hcm_tf import convolution

    kernel = tf.convert_to_tensor(kernel)  # A custom gradient takes no variable.
    if kernel.shape[-1] <= convolution.MOST_IMAGE_CHANNELS < kernel.shape[-2]:
        return convolution.convolve_back(x, adjoint(kernel))
    return convolution.convolve(x, kernel)


def _leaky_relu_kept_once(x: Tensor, negative_slope: float) -> Tensor:
    if not _ON_TENSORFLOW:
        return leaky_relu(x, negative_slope)
    from hcm_tf import activation

    return activation.leaky_relu(x, negative_slope)


def _kth_largest_by_partition(x: Tensor, k: int, axis: int) -> Tensor:
    """Hoare's selection, where the backend has it: TensorFlow on the CPU."""
    if not _ON_TENSORFLOW:
        return kth_largest(x, k, axis)
    import tensorflow as tf

    if tf.config.list_logical_devices("GPU"):
        return kth_largest(x, k, axis)  # The operation has no GPU kernel.
    x = ops.moveaxis(tf.stop_gradient(x), axis, -1)
    selected = tf.raw_ops.NthElement(input=x, n=x.shape[-1] - k, reverse=False)
    return ops.moveaxis(selected[..., tf.newaxis], -1, axis)


def _kth_largest_on_device(x: Tensor, k: int, axis: int) -> Tensor:
    if axis != 1 or keras.backend.standardize_dtype(x.dtype) != "float32":
        return kth_largest(x, k, axis)
    return bisection.kth_largest(ops.stop_gradient(x), k)


REFERENCE = Execution(
    place_convolve=_place_convolve_plainly,
    upsample_convolve=_upsample_convolve_plainly,
    convolve=convolve,
    select=kth_largest,
    leaky_relu=leaky_relu,
)
FAST = Execution(
    place_convolve=_place_convolve_by_active_rows,
    upsample_convolve=_upsample_convolve_boxed,
    convolve=_convolve_with_own_gradient,
    select=_kth_largest_by_partition,
    leaky_relu=_leaky_relu_kept_once,
)
# What TensorFlow Lite has as builtin operations.
DEVICE = Execution(
    place_convolve=_place_convolve_on_device,
    upsample_convolve=_upsample_convolve_boxed,
    convolve=convolve,
    select=_kth_largest_on_device,
    leaky_relu=leaky_relu,
)
EXECUTIONS = {"reference": REFERENCE, "fast": FAST, "device": DEVICE}
