"""Convolutions from and to an image, for TensorFlow, with derivatives of every order.

A processor computes as many feature maps at a time as a vector register holds, so that
the 3 of an image cost as much as 16. `to_image` computes 2x2 pixels, 12 maps, at a
time; its derivatives are `from_image` and `kernel_between`, and so on round: the three
are linear in both arguments, and each other's derivatives.

In all of them `kernel` is the one that convolves from the image: `(size, size, image
channels, F)`, `size` odd.
"""

import tensorflow as tf


def adjoint(kernel: tf.Tensor) -> tf.Tensor:
    """The kernel that convolves back: `(size, size, C, F)` -> `(size, size, F, C)`."""
    return tf.transpose(tf.reverse(kernel, (0, 1)), (0, 1, 3, 2))


@tf.custom_gradient
def from_image(image: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """The convolution of `(batch, n, n, image channels)`: `(batch, n, n, F)`."""

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return (
            to_image(upstream, kernel),
            kernel_between(image, upstream, tuple(kernel.shape)),
        )

    return tf.nn.conv2d(image, kernel, 1, "SAME"), gradient


@tf.custom_gradient
def to_image(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """The convolution of `(batch, n, n, F)`, n even, by the kernel's adjoint."""

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return (
            from_image(upstream, kernel),
            kernel_between(upstream, x, tuple(kernel.shape)),
        )

    back = adjoint(kernel)
    size, _, features, channels = back.shape
    shifted = [
        tf.pad(back, [[down, 1 - down], [right, 1 - right], [0, 0], [0, 0]])
        for down in (0, 1)
        for right in (0, 1)
    ]
    blocks = tf.reshape(
        tf.stack(shifted, axis=3), (size + 1, size + 1, features, 4 * channels)
    )
    border = [size // 2, size // 2]
    y = tf.nn.conv2d(x, blocks, 2, [[0, 0], border, border, [0, 0]])
    return tf.nn.depth_to_space(y, 2), gradient


def kernel_between(
    image: tf.Tensor, x: tf.Tensor, shape: tuple[int, int, int, int]
) -> tf.Tensor:
    """The derivative of `sum(x * from_image(image, kernel))` by the kernel."""

    @tf.custom_gradient
    def between(image: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
        def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            return to_image(x, upstream), from_image(image, upstream)

        kernel = tf.raw_ops.Conv2DBackpropFilter(
            input=image,
            filter_sizes=shape,
            out_backprop=x,
            strides=[1, 1, 1, 1],
            padding="SAME",
        )
        return kernel, gradient

    return between(image, x)
