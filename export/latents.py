"""Latents from integers, with the same bits on a server, on a device and in NumPy.

A seed and a latent's index give 24 random bits by a Feistel network of six rounds: the
seed's 32 bits are two halves of 16, and each round replaces

    (left, right) -> (right, left ^ scramble(right ^ key)),
    scramble(x) = (x * m ^ (x * m >> 11)) mod 2**16,

with a multiplier m of its own and
key = (index * (2 round + 1) + 14201 round) mod 2**16; their upper 24 bits count. No
product reaches 2**31, so that nothing depends on how a runtime treats overflow, and the
operations (multiply, xor, shift, floor mod of int32) are TFLite builtins. At every
index the map from seeds to the 32 bits is one to one.
"""

import tensorflow as tf

MULTIPLIERS = (0x6A35, 0x7F4B, 0x5E8D, 0x6C9B, 0x4EA7, 0x75D3)
KEY_STEP = 14201
HALF = 1 << 16
BITS = 24  # What a float32 in [-1, 1) holds exactly.


def latents(seeds: tf.Tensor, size: int) -> tf.Tensor:
    """Uniform latents; each row depends on its own seed alone.

    Args:
        seeds: int32 `(batch,)`, any value.
        size: of the latent, at most 65536.

    Returns:
        float32 `(batch, size)`: multiples of 2**-23 in [-1, 1).
    """
    seeds = seeds[:, tf.newaxis]
    indices = tf.range(size)[tf.newaxis, :]
    left = _half(tf.bitwise.right_shift(seeds, 16)) + tf.zeros_like(indices)
    right = _half(seeds) + tf.zeros_like(indices)
    for number, multiplier in enumerate(MULTIPLIERS):
        key = _half(indices * (2 * number + 1) + KEY_STEP * number)
        product = tf.bitwise.bitwise_xor(right, key) * multiplier
        scrambled = tf.bitwise.bitwise_xor(product, tf.bitwise.right_shift(product, 11))
        left, right = right, tf.bitwise.bitwise_xor(left, _half(scrambled))
    bits = left * 256 + tf.bitwise.right_shift(right, 8)
    return tf.cast(bits, tf.float32) * 2.0 ** (1 - BITS) - 1.0


def _half(x: tf.Tensor) -> tf.Tensor:
    return tf.math.floormod(x, HALF)
