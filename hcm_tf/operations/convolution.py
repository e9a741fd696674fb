"""Convolutions for TensorFlow, with derivatives of every order.

`convolve`, `convolve_back` and `kernel_between` are linear in both arguments and each
other's derivatives, so that how one of them is computed serves every derivative. Where
maps are large, the gradient of the kernel comes before that of the input: the layer's
input can be freed before the layers below need their memory.

In all of them `kernel` is `(size, size, C, F)`, `size` odd; `x` has its C channels, `y`
its F; stride 1, zero padding to the same size. Where C is the 3 channels of an image, a
processor would compute 16 for the same time, as many as a vector register holds; so
`convolve_back` computes 2x2 pixels, 12 maps, at a time. Where there are many channels
and pixels, see `winograd`.
"""

import math
from contextlib import AbstractContextManager

import tensorflow as tf

from hcm_tf.operations import winograd
from hcm_tf.operations.gradients import own_gradient
from hcm_tf.operations.kernels import adjoint
from hcm_tf.operations.upsampling import convolve as convolve_plainly

# With so few feature maps, less than half a vector register of the processor is used.
MOST_IMAGE_CHANNELS = 4
# With fewer, Winograd's products save less than the sums around them cost.
FEWEST_WINOGRAD_CHANNELS = 128
FEWEST_WINOGRAD_TILES = 32
# From so many values on, freeing a map early is worth what running side by side is.
LARGE = 2**20


def convolve_any(x: tf.Tensor, kernel: tf.Tensor | tf.Variable) -> tf.Tensor:
    """The convolution by a kernel of any size, in the way that suits its channels."""
    size, _, channels, filters = kernel.shape
    if size == 1 or size % 2 == 0:
        return convolve_plainly(x, kernel)
    kernel = tf.convert_to_tensor(kernel)  # A custom gradient takes no variable.
    if filters <= MOST_IMAGE_CHANNELS < channels:
        return convolve_back(x, adjoint(kernel))
    return convolve(x, kernel)


@own_gradient
def convolve(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """The convolution of x: `(batch, n, n, C)` -> `(batch, n, n, F)`."""

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        of_kernel = kernel_between(x, upstream, tuple(kernel.shape))
        with _after(of_kernel, x):
            return convolve_back(upstream, kernel), of_kernel

    if winograd_pays(x, tuple(kernel.shape)):
        return winograd.convolve(x, kernel), gradient
    return tf.nn.conv2d(x, kernel, 1, "SAME"), gradient


@own_gradient
def convolve_back(y: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """The adjoint, `convolve` by `kernels.adjoint(kernel)`: `(batch, n, n, C)`."""

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        of_kernel = kernel_between(upstream, y, tuple(kernel.shape))
        with _after(of_kernel, y):
            return convolve(upstream, kernel), of_kernel

    _, height, width, _ = y.shape
    if kernel.shape[2] <= MOST_IMAGE_CHANNELS and height % 2 == width % 2 == 0:
        return _to_image_blocks(y, adjoint(kernel)), gradient
    if winograd_pays(y, tuple(kernel.shape)):
        return winograd.convolve_back(y, kernel), gradient
    x = tf.raw_ops.Conv2DBackpropInput(
        input_sizes=[tf.shape(y)[0], height, width, kernel.shape[2]],
        filter=kernel,
        out_backprop=y,
        strides=[1, 1, 1, 1],
        padding="SAME",
    )
    return x, gradient


def _to_image_blocks(y: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    size, _, features, channels = kernel.shape
    shifted = [
        tf.pad(kernel, [[down, 1 - down], [right, 1 - right], [0, 0], [0, 0]])
        for down in (0, 1)
        for right in (0, 1)
    ]
    blocks = tf.reshape(
        tf.stack(shifted, axis=3), (size + 1, size + 1, features, 4 * channels)
    )
    border = [size // 2, size // 2]
    pixels = tf.nn.conv2d(y, blocks, 2, [[0, 0], border, border, [0, 0]])
    return tf.nn.depth_to_space(pixels, 2)


def kernel_between(
    x: tf.Tensor, y: tf.Tensor, shape: tuple[int, int, int, int]
) -> tf.Tensor:
    """The derivative of `sum(y * convolve(x, kernel))` by the kernel of that shape."""

    @own_gradient
    def between(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            return convolve_back(y, upstream), convolve(x, upstream)

        if winograd_pays(x, shape):
            return winograd.kernel_between(x, y), gradient
        kernel = tf.raw_ops.Conv2DBackpropFilter(
            input=x,
            filter_sizes=shape,
            out_backprop=y,
            strides=[1, 1, 1, 1],
            padding="SAME",
        )
        return kernel, gradient

    return between(x, y)


def _after(of_kernel: tf.Tensor, x: tf.Tensor) -> AbstractContextManager:
    """Orders what follows after `of_kernel`, which is the last to need a large x."""
    large = math.prod(size or 1 for size in x.shape) >= LARGE
    return tf.control_dependencies([of_kernel] if large else [])


def winograd_pays(x: tf.Tensor, kernel_shape: tuple[int, int, int, int]) -> bool:
    """On a processor, in a precision that its rounding does not spoil."""
    size, _, channels, filters = kernel_shape
    batch, height, width, _ = x.shape
    if batch is None or size != 3 or height != width or height % winograd.TILE:
        return False
    return (
        min(channels, filters) >= FEWEST_WINOGRAD_CHANNELS
        and batch * (height // winograd.TILE) ** 2 >= FEWEST_WINOGRAD_TILES
        and x.dtype in (tf.float32, tf.float64)
        and not tf.config.list_logical_devices("GPU")
    )
