"""How the generator's costly operations are computed.

`REFERENCE` states the mathematics plainly; `FAST` computes the same values with less
work (2.50 -> 0.95 G multiply-adds an image at full size), which the tests prove:

* placement: the published network writes attribute v of location l into channel
  v * 16 + l of a 4x4 map that is zero elsewhere, upsamples it and convolves it. Each
  location then meets only its own slice of the kernel, its dictionary of basis
  functions: `FAST` multiplies the attributes by that slice and adds up the 16
  overlapping patches.
* upsampling and convolution: a 3x3 kernel over doubled pixels sees each of them up to
  twice, so that sums of its taps can be formed once.
* selection: the k-th largest value needs no sorting.
* convolutions from and to an image: see `image_convolution`.
"""

import dataclasses
from collections.abc import Callable

import keras
import numpy as np
from keras import ops

from hcm_tf.sparsity import Select, Tensor, kth_largest

# From this many feature maps on, an upsampled map is convolved tap by tap, 9 instead of
# 16 multiply-adds a pixel; with fewer, moving the results costs more than that saves.
FEWEST_TAP_CHANNELS = 256
# With so few feature maps, less than half a vector register of the processor is used.
MOST_IMAGE_CHANNELS = 4
_ON_TENSORFLOW = keras.backend.backend() == "tensorflow"


@dataclasses.dataclass(frozen=True)
class Execution:
    """The operations of one way to compute the networks.

    Attributes:
        place_convolve: `(attributes (batch, 4, 4, V), dictionary (16, V, 3, 3, F))`
            -> the 3x3 convolution of the upsampled placement, `(batch, 8, 8, F)`.
        upsample_convolve: `(x (batch, n, n, C), kernel (3, 3, C, F))` ->
            the 3x3 convolution of the upsampled `x`, `(batch, 2n, 2n, F)`.
        convolve: `(x (batch, n, n, C), kernel (size, size, C, F))` -> the convolution
            of stride 1 with zero padding to the same size, `(batch, n, n, F)`.
        select: the k-th largest value along the last axis, see `sparsity`.
    """

    place_convolve: Callable[[Tensor, Tensor], Tensor]
    upsample_convolve: Callable[[Tensor, Tensor], Tensor]
    convolve: Callable[[Tensor, Tensor], Tensor]
    select: Select


def upsample(x: Tensor) -> Tensor:
    """Doubles height and width by repeating pixels: `(batch, n, n, C)`."""
    _, height, width, channels = x.shape
    x = ops.reshape(x, (-1, height, 1, width, 1, channels))
    x = ops.tile(x, (1, 1, 2, 1, 2, 1))
    return ops.reshape(x, (-1, 2 * height, 2 * width, channels))


def convolve(x: Tensor, kernel: Tensor) -> Tensor:
    """Convolution of stride 1 with zero padding to the same size."""
    return ops.conv(x, kernel, strides=1, padding="same", data_format="channels_last")


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


def _place_convolve_plainly(attributes: Tensor, dictionary: Tensor) -> Tensor:
    return convolve(upsample(place(attributes)), placement_kernel(dictionary))


def _upsample_convolve_plainly(x: Tensor, kernel: Tensor) -> Tensor:
    return convolve(upsample(x), kernel)


def _place_convolve_by_location(attributes: Tensor, dictionary: Tensor) -> Tensor:
    _, height, width, count = attributes.shape
    locations, filters = height * width, dictionary.shape[-1]
    rows = ops.transpose(ops.reshape(attributes, (-1, locations, count)), (1, 0, 2))
    taps = ops.matmul(rows, ops.reshape(dictionary, (locations, count, 9 * filters)))
    taps = ops.reshape(ops.transpose(taps, (1, 0, 2)), (-1, 9 * locations, filters))
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


def _upsample_convolve_by_taps(x: Tensor, kernel: Tensor) -> Tensor:
    _, height, width, channels = x.shape
    filters = kernel.shape[-1]
    taps = ops.matmul(
        ops.reshape(x, (-1, channels)),
        ops.reshape(ops.transpose(kernel, (2, 0, 1, 3)), (channels, 9 * filters)),
    )
    return _add_taps(ops.reshape(taps, (-1, height, width, 3, 3, filters)))


def _add_taps(taps: Tensor) -> Tensor:
    """Adds each pixel's responses to the nine taps into the upsampled convolution.

    In one dimension, with r_t[i] the response of pixel i to tap t, the doubled pixels
    give y[2i] = r_0[i-1] + r_1[i] + r_2[i] and y[2i+1] = r_0[i] + r_1[i] + r_2[i+1];
    two dimensions take one after the other.

    Args:
        taps: `(batch, height, width, 3, 3, F)`.

    Returns:
        `(batch, 2 height, 2 width, F)`.
    """
    _, height, width, _, _, filters = taps.shape
    rows = _add_taps_along(
        ops.reshape(taps, (-1, height, width, 3, 3 * filters)), axis=1
    )
    return _add_taps_along(
        ops.reshape(rows, (-1, 2 * height, width, 3, filters)), axis=2
    )


def _add_taps_along(taps: Tensor, axis: int) -> Tensor:
    first, middle, last = ops.unstack(taps, 3, axis=3)
    padding = [[0, 0]] * 4
    size = taps.shape[axis]
    index = [slice(None)] * 4
    index[axis] = slice(0, size - 1)
    padding[axis] = [1, 0]
    before = ops.pad(first[tuple(index)], padding)
    index[axis] = slice(1, size)
    padding[axis] = [0, 1]
    after = ops.pad(last[tuple(index)], padding)
    doubled = ops.stack([before + middle + last, first + middle + after], axis=axis + 1)
    shape = list(middle.shape)
    shape[0], shape[axis] = -1, 2 * size
    return ops.reshape(doubled, shape)


def _upsample_convolve_transposed(x: Tensor, kernel: Tensor) -> Tensor:
    """A transposed convolution of stride 2 with the sums of taps as a 4x4 kernel."""
    rows = ops.stack(
        [kernel[2], kernel[1] + kernel[2], kernel[0] + kernel[1], kernel[0]]
    )
    left, middle, right = ops.unstack(rows, 3, axis=1)
    folded = ops.stack([right, middle + right, left + middle, left], axis=1)
    return ops.conv_transpose(
        x,
        ops.transpose(folded, (0, 1, 3, 2)),
        strides=2,
        padding="same",
        data_format="channels_last",
    )


def _upsample_convolve_folded(x: Tensor, kernel: Tensor) -> Tensor:
    if kernel.shape[2] < FEWEST_TAP_CHANNELS:
        return _upsample_convolve_transposed(x, kernel)
    if not _ON_TENSORFLOW:
        return _upsample_convolve_by_taps(x, kernel)
    return _upsample_convolve_both_ways(x, _read(kernel))


def _read(kernel: Tensor) -> Tensor:
    """The value of a variable: a custom gradient takes none."""
    import tensorflow as tf

    return tf.convert_to_tensor(kernel)


@ops.custom_gradient
def _upsample_convolve_both_ways(x: Tensor, kernel: Tensor) -> Tensor:
    """By taps forward, the gradient of the transposed form: each where it is fast."""
    import tensorflow as tf

    def gradient(upstream: Tensor) -> list[Tensor]:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch((x, kernel))
            # Linear in both, so that its value is never computed in a graph.
            y = _upsample_convolve_transposed(x, kernel)
        return tape.gradient(y, (x, kernel), upstream)

    return _upsample_convolve_by_taps(x, kernel), gradient


def _convolve_from_or_to_image(x: Tensor, kernel: Tensor) -> Tensor:
    _, height, width, channels = x.shape
    size, _, _, filters = kernel.shape
    if not _ON_TENSORFLOW or size % 2 == 0 or size == 1 or height % 2 or width % 2:
        return convolve(x, kernel)
    from hcm_tf import image_convolution

    if channels <= MOST_IMAGE_CHANNELS < filters:
        return image_convolution.from_image(x, _read(kernel))
    if filters <= MOST_IMAGE_CHANNELS < channels:
        return image_convolution.to_image(x, image_convolution.adjoint(_read(kernel)))
    return convolve(x, kernel)


def _kth_largest_by_partition(x: Tensor, k: int) -> Tensor:
    """Hoare's selection, where the backend has it: TensorFlow on the CPU."""
    if keras.backend.backend() != "tensorflow":
        return kth_largest(x, k)
    import tensorflow as tf

    if tf.config.list_logical_devices("GPU"):
        return kth_largest(x, k)  # The operation has no GPU kernel.
    selected = tf.raw_ops.NthElement(
        input=tf.stop_gradient(x), n=x.shape[-1] - k, reverse=False
    )
    return selected[..., tf.newaxis]


REFERENCE = Execution(
    place_convolve=_place_convolve_plainly,
    upsample_convolve=_upsample_convolve_plainly,
    convolve=convolve,
    select=kth_largest,
)
FAST = Execution(
    place_convolve=_place_convolve_by_location,
    upsample_convolve=_upsample_convolve_folded,
    convolve=_convolve_from_or_to_image,
    select=_kth_largest_by_partition,
)
# What TensorFlow Lite has as builtin operations; its top-k is no bottleneck there.
DEVICE = Execution(
    place_convolve=_place_convolve_by_location,
    upsample_convolve=_upsample_convolve_by_taps,
    convolve=convolve,
    select=kth_largest,
)
EXECUTIONS = {"reference": REFERENCE, "fast": FAST, "device": DEVICE}
