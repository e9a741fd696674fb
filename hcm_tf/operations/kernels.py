"""What the convolutions do to their kernels."""

import math

from keras import ops

from hcm_tf.sparsity import Tensor


def adjoint(kernel: Tensor) -> Tensor:
    """The kernel that convolves back: `(size, size, C, F)` -> `(size, size, F, C)`."""
    size, _, channels, filters = kernel.shape
    taps = ops.flip(ops.reshape(kernel, (size * size, channels, filters)), 0)
    return ops.reshape(ops.transpose(taps, (0, 2, 1)), (size, size, filters, channels))


def scale_smaller(x: Tensor, kernel: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    """`(x, kernel)`, the smaller of the two scaled: products are linear in both."""
    if math.prod(kernel.shape) > math.prod(size or 1 for size in x.shape):
        return x * scale, kernel
    return x, kernel * scale
