"""How alike two images are: squared error, PSNR, SSIM and MS-SSIM, image by image.

SSIM is TensorFlow's (Wang et al. 2004: Gaussian window of 11 pixels and deviation 1.5,
constants 0.01 and 0.03, no padding), of each channel, then averaged. It is not the same
for shifted values, so [-1, 1] becomes [0, 1] first.

MS-SSIM (Wang et al. 2003) has five scales, which needs 176 pixels. Of smaller images it
is ours: as many scales as leave the window its 11 pixels (below 22 pixels one, that is
SSIM; two at 32, three at 64, four at 128), with the first published exponents divided
by their sum. Values of different image sizes are therefore different measures.
"""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from hcm_tf.metrics.checks import check_images

WINDOW = 11
# Wang et al. (2003), from the finest scale.
EXPONENTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
# Images at a time: their windows' moments are five times as large.
BATCH = 128


def squared_error(images: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Mean squared error of each pair, in units of [-1, 1].

    Args:
        images: float `(n, height, width, 1 or 3)`, in [-1, 1].
        others: as `images`.

    Returns:
        float64 `(n,)`.

    Raises:
        ValueError: not such images, or of two shapes.
    """
    images, others = _pair(images, others, 1)
    gaps = (images.astype("float64") - others).reshape(len(images), -1)
    return np.mean(np.square(gaps), axis=1)


def psnr(images: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Peak signal-to-noise ratio in decibels; the peak is the range, 2.

    Infinite for equal images: average `squared_error` where that can happen.

    Args and Raises: as `squared_error`.

    Returns:
        float64 `(n,)`.
    """
    error = squared_error(images, others)
    with np.errstate(divide="ignore"):
        return 10 * np.log10(4 / error)


def ssim(images: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Structural similarity, from -1 to 1 (equal).

    Args and Raises: as `squared_error`; images of at least 11 pixels.

    Returns:
        float64 `(n,)`.
    """
    images, others = _pair(images, others, WINDOW)
    return _batched(lambda a, b: tf.image.ssim(a, b, max_val=1.0), images, others)


def ms_ssim(images: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Structural similarity over scales, from 0 to 1 (equal); see above.

    Args and Raises: as `squared_error`; images of at least 11 pixels.

    Returns:
        float64 `(n,)`.
    """
    images, others = _pair(images, others, WINDOW)
    exponents = scale_exponents(min(images.shape[1:3]))
    return _batched(
        lambda a, b: tf.image.ssim_multiscale(
            a, b, max_val=1.0, power_factors=exponents
        ),
        images,
        others,
    )


def scale_exponents(side: int) -> tuple[float, ...]:
    """The exponents of MS-SSIM for images of a smaller side, finest scale first."""
    scales = 1
    while scales < len(EXPONENTS) and side // 2**scales >= WINDOW:
        scales += 1
    first = EXPONENTS[:scales]
    return tuple(exponent / sum(first) for exponent in first)


def _pair(
    images: np.ndarray, others: np.ndarray, least_side: int
) -> tuple[np.ndarray, np.ndarray]:
    images = check_images("images", images, least_side)
    others = check_images("others", others, least_side)
    if images.shape != others.shape:
        raise ValueError(
            "`images` and `others` must have one shape. "
            f"Received: {images.shape} and {others.shape}"
        )
    return images, others


def _batched(
    compare: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
    images: np.ndarray,
    others: np.ndarray,
) -> np.ndarray:
    parts = []
    for start in range(0, len(images), BATCH):
        pair = [
            tf.constant((array[start : start + BATCH] + 1) / 2)
            for array in (images, others)
        ]
        parts.append(compare(*pair).numpy())
    return np.concatenate(parts).astype("float64")
