"""Fixed random convolutions: features for images without labels.

Random filters keep much of what images look like (Saxe et al. 2011; used for samples'
distances by Ulyanov et al. 2016 as a prior): three layers of them see colour, edges
and texture, and coarsely where.
"""

import numpy as np
import tensorflow as tf

from hcm_tf.features.extractor import check, in_batches

_SEED = 2020
_MAPS = (32, 64, 64)
# The last maps are averaged over so many cells on a side, the others over the image.
_CELLS = 2


class RandomConvolutions:
    """Random 3x3 convolutions, ReLU and 2x2 averages, three times; an `Extractor`.

    The same numbers on every machine: the weights come from PCG64's raw bits, which
    NumPy promises to keep, by additions and one multiplication.
    """

    name = "random"
    sees = (
        "colours, contrast, edges and texture at three scales, and coarsely where: "
        "blur, noise and speckles show. It knows no parts: a face with wrong eyes is "
        "as good as another. Numbers compare only at one image size."
    )
    size = _MAPS[0] + _MAPS[1] + _CELLS**2 * _MAPS[2]

    def __init__(self, channels: int) -> None:
        """Makes the filters for images of 1 or 3 channels."""
        if channels not in (1, 3):
            raise ValueError(f"`channels` must be 1 or 3. Received: {channels}")
        self._channels = channels
        kernels = random_kernels(channels)

        @tf.function(input_signature=[tf.TensorSpec([None, None, None, channels])])
        def forward(images: tf.Tensor) -> tf.Tensor:
            with tf.device("/CPU:0"):  # Accelerators multiply with fewer bits.
                return _forward(kernels, images)

        self._forward = forward

    def features(self, images: np.ndarray) -> np.ndarray:
        """See `Extractor`; the side of the images must be a multiple of 16."""
        check(images, self._channels)
        if images.shape[1] % 16:
            raise ValueError(
                "the side of `images` must be a multiple of 16. "
                f"Received: {images.shape[1]}"
            )
        return in_batches(lambda batch: self._forward(batch).numpy(), images, self.size)


def random_kernels(channels: int) -> list[np.ndarray]:
    """The filters, float32 `(3, 3, inputs, maps)`, uniform with zero mean.

    Three quarters of the first ones are made to sum to zero, so that they answer to
    edges and not to brightness.
    """
    bits = np.random.PCG64(_SEED)
    kernels, inputs = [], channels
    for maps in _MAPS:
        shape = (3, 3, inputs, maps)
        raw = bits.random_raw(int(np.prod(shape))).reshape(shape)
        uniform = (raw >> np.uint64(40)).astype(np.float64) * 2.0**-23 - 1
        if not kernels:
            balanced = slice(maps // 4, None)
            uniform[..., balanced] -= uniform[..., balanced].mean(axis=(0, 1, 2))
        # He et al. (2015): the variance of a uniform number in [-1, 1] is 1/3.
        kernels.append((uniform * np.sqrt(6 / (9 * inputs))).astype(np.float32))
        inputs = maps
    return kernels


def _forward(kernels: list[np.ndarray], maps: tf.Tensor) -> tf.Tensor:
    found = []
    for kernel in kernels:
        maps = tf.nn.relu(tf.nn.conv2d(maps, kernel, 1, "SAME"))
        found.append(tf.reduce_mean(maps, [1, 2]))
        maps = tf.nn.avg_pool2d(maps, 2, 2, "VALID")
    side = tf.shape(maps)[1] // _CELLS
    cells = tf.reshape(maps, [-1, _CELLS, side, _CELLS, side, _MAPS[-1]])
    cells = tf.reshape(tf.reduce_mean(cells, [2, 4]), [-1, _CELLS**2 * _MAPS[-1]])
    return tf.concat([*found[:-1], cells], axis=1)
