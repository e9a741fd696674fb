"""How alike two images are: squared error, PSNR, SSIM and MS-SSIM, image by image.

SSIM is that of Wang et al. (2004): Gaussian window of 11 pixels and deviation 1.5,
constants 0.01 and 0.03, no padding; of each channel, then averaged. It is not the same
for shifted values, so [-1, 1] becomes [0, 1] first. In float64: TensorFlow's function
works in float32, where a flat region's variance is rounding alone, and is off by 2e-4
there; scikit-image's takes one image at a time and has no MS-SSIM.

MS-SSIM (Wang et al. 2003) has five scales, which needs 176 pixels. Of smaller images it
is ours: as many scales as leave the window its 11 pixels (below 22 pixels one, that is
SSIM; two at 32, three at 64, four at 128), with the first published exponents divided
by their sum. Values of different image sizes are therefore different measures.
"""

from collections.abc import Iterator

import numpy as np

from hcm_tf.metrics.checks import check_images

WINDOW = 11
DEVIATION = 1.5
C1, C2 = 0.01**2, 0.03**2
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
    return np.concatenate(
        [_terms(*pair)[0].mean(axis=-1) for pair in _batches(images, others)]
    )


def ms_ssim(images: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Structural similarity over scales, from 0 to 1 (equal); see above.

    Args and Raises: as `squared_error`; images of at least 11 pixels.

    Returns:
        float64 `(n,)`.
    """
    images, others = _pair(images, others, WINDOW)
    exponents = scale_exponents(min(images.shape[1:3]))
    found = []
    for pair in _batches(images, others):
        product = 1.0
        for scale, exponent in enumerate(exponents):
            whole, contrast = _terms(*pair)
            term = whole if scale == len(exponents) - 1 else contrast
            # A negative term has no real power: as elsewhere, it counts as 0.
            product = product * np.maximum(term, 0) ** exponent
            pair = [_halved(image) for image in pair]
        found.append(product.mean(axis=-1))
    return np.concatenate(found)


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


def _batches(
    images: np.ndarray, others: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """float64 in [0, 1], some images at a time."""
    for start in range(0, len(images), BATCH):
        part = slice(start, start + BATCH)
        yield tuple(
            (array[part].astype("float64") + 1) / 2 for array in (images, others)
        )


def _terms(one: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean SSIM, and its factor without the luminance, `(batch, channels)` each."""
    means = _smooth(one), _smooth(other)
    both = means[0] ** 2 + means[1] ** 2
    variances = _smooth(one**2 + other**2) - both
    covariance = _smooth(one * other) - means[0] * means[1]
    contrast = (2 * covariance + C2) / (variances + C2)
    luminance = (2 * means[0] * means[1] + C1) / (both + C1)
    return (luminance * contrast).mean(axis=(1, 2)), contrast.mean(axis=(1, 2))


def _smooth(images: np.ndarray) -> np.ndarray:
    """Gaussian means of all windows that lie in the image, by matrix products."""
    height, width = images.shape[1:3]
    images = np.moveaxis(images, 3, 1)
    smooth = _windows(height).T @ images @ _windows(width)
    return np.moveaxis(smooth, 1, 3)


def _windows(side: int) -> np.ndarray:
    """A column for each place of the window, `(side, side - 10)`."""
    offsets = np.arange(WINDOW) - WINDOW // 2
    weights = np.exp(-(offsets**2) / (2 * DEVIATION**2))
    weights /= weights.sum()
    matrix = np.zeros((side, side - WINDOW + 1))
    for column in range(matrix.shape[1]):
        matrix[column : column + WINDOW, column] = weights
    return matrix


def _halved(images: np.ndarray) -> np.ndarray:
    """Means of 2x2 pixels; a last odd row or column is left out."""
    batch, height, width, channels = images.shape
    even = images[:, : height // 2 * 2, : width // 2 * 2]
    cells = even.reshape(batch, height // 2, 2, width // 2, 2, channels)
    return cells.mean(axis=(2, 4))
