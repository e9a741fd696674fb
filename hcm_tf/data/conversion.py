"""Images between uint8 in [0, 255] and float32 in [-1, 1]."""

import numpy as np


def to_float(images: np.ndarray) -> np.ndarray:
    """Scales images to the range of the generator's tanh.

    Args:
        images: uint8, in [0, 255], of any shape.

    Returns:
        float32 of the same shape: `x / 127.5 - 1`, so 0 gives -1 and 255 gives 1.
    """
    return np.asarray(images).astype(np.float32) / np.float32(127.5) - np.float32(1)


def to_uint8(images: np.ndarray) -> np.ndarray:
    """The inverse of `to_float`: rounds to the nearest of 256 values.

    Args:
        images: floating point, of any shape; values outside [-1, 1] are clipped.

    Returns:
        uint8 of the same shape; `to_uint8(to_float(x))` equals `x`.
    """
    scaled = (np.asarray(images, np.float32) + 1) * 127.5
    return np.clip(np.rint(scaled), 0, 255).astype(np.uint8)
