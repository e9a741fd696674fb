"""What every metric asks of the arrays it is given."""

import numpy as np


def check_features(name: str, features: np.ndarray, least: int = 1) -> np.ndarray:
    """Features as an array; of float32 unless they were float64.

    Raises:
        ValueError: not `(n, size)` with n at least `least`, or not all finite.
    """
    features = np.asarray(features)
    if features.ndim != 2 or features.shape[0] < least or features.shape[1] < 1:
        raise ValueError(
            f"`{name}` must have the shape (n, size), n at least {least}. "
            f"Received: {features.shape}"
        )
    if features.dtype != np.float64:
        features = features.astype("float32", copy=False)
    if not np.isfinite(features).all():
        raise ValueError(f"`{name}` must be finite. Received: NaN or infinity")
    return features


def check_pair(
    reference: np.ndarray, samples: np.ndarray, least: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """Two sets of features of one size, see `check_features`."""
    reference = check_features("reference", reference, least)
    samples = check_features("samples", samples, least)
    if reference.shape[1] != samples.shape[1]:
        raise ValueError(
            "`reference` and `samples` must have features of one size. "
            f"Received: {reference.shape[1]} and {samples.shape[1]}"
        )
    return reference, samples


def check_images(name: str, images: np.ndarray, least_side: int = 1) -> np.ndarray:
    """Images as float32, of 1 or 3 channels.

    Raises:
        ValueError: not `(n, height, width, channels)`, smaller than `least_side`, of
            integers, or not in [-1, 1].
    """
    images = np.asarray(images)
    if images.ndim != 4 or not len(images) or images.shape[3] not in (1, 3):
        raise ValueError(
            f"`{name}` must have the shape (n, height, width, 1 or 3). "
            f"Received: {images.shape}"
        )
    if min(images.shape[1:3]) < least_side:
        raise ValueError(
            f"`{name}` must be at least {least_side} pixels high and wide. "
            f"Received: {images.shape[1]} x {images.shape[2]}"
        )
    if not np.issubdtype(images.dtype, np.floating):
        raise ValueError(
            f"`{name}` must be floating point, in [-1, 1]. Received: {images.dtype}"
        )
    images = images.astype("float32", copy=False)
    # A tanh or a rounding may end a little above 1; NaN fails this too.
    if not np.abs(images).max() <= 1 + 1e-4:
        raise ValueError(
            f"`{name}` must be in [-1, 1]. "
            f"Received: {images.min():.3g} to {images.max():.3g}"
        )
    return images
