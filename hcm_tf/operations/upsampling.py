"""Nearest-neighbour upsampling before a 3x3 convolution.

Doubling pixels is a sum over 2x2 boxes, which can follow the kernel instead of
preceding it: 9 taps of each pixel become 4.
"""

from keras import ops

from hcm_tf.operations.kernels import adjoint, scale_smaller
from hcm_tf.sparsity import Tensor


def upsample(x: Tensor) -> Tensor:
    """Doubles height and width by repeating pixels: `(batch, n, n, C)`."""
    _, height, width, channels = x.shape
    x = ops.reshape(x, (-1, height, 1, width, 1, channels))
    x = ops.tile(x, (1, 1, 2, 1, 2, 1))
    return ops.reshape(x, (-1, 2 * height, 2 * width, channels))


def upsample_back(y: Tensor) -> Tensor:
    """The adjoint of `upsample`: sums over 2x2 pixels, `(batch, n / 2, n / 2, C)`."""
    _, height, width, channels = y.shape
    y = ops.reshape(y, (-1, height // 2, 2, width // 2, 2, channels))
    return ops.sum(y, axis=(2, 4))


def convolve(x: Tensor, kernel: Tensor) -> Tensor:
    """Convolution of stride 1 with zero padding to the same size.

    Args:
        x: `(batch, n, n, C)`.
        kernel: `(size, size, C, F)`.
    """
    return ops.conv(x, kernel, strides=1, padding="same", data_format="channels_last")


def upsample_convolve(x: Tensor, kernel: Tensor) -> Tensor:
    """The convolution of the upsampled x: `(batch, n, n, C)` -> `(batch, 2n, 2n, F)`.

    Args:
        x: `(batch, n, n, C)`.
        kernel: `(3, 3, C, F)`.
    """
    return convolve(upsample(x), kernel)


def upsample_convolve_by_boxes(x: Tensor, kernel: Tensor) -> Tensor:
    """The same, summed over boxes after the kernel."""
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
