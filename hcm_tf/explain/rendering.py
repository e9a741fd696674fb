"""Contributions as pictures: signed values around grey, crops, differences."""

import numpy as np

# As the first release of the method's code crops basis functions.
CROP_THRESHOLD = 1e-4
# A crop for people leaves out what cannot be seen beside the unit's peak.
VISIBLE = 0.05


def signed_pixels(picture: np.ndarray, peak: float | None = None) -> np.ndarray:
    """A contribution as uint8: grey for zero, lighter adds, darker takes away.

    Args:
        picture: `(..., channels)`, before tanh.
        peak: the value shown as black or white; None: the picture's own.
    """
    if peak is None:
        peak = float(np.max(np.abs(picture), initial=0.0))
    scaled = picture / peak if peak > 0 else np.zeros_like(picture)
    return np.clip(np.rint(127.5 + 127.5 * scaled), 0, 255).astype("uint8")


def image_pixels(logits: np.ndarray) -> np.ndarray:
    """An image before tanh as uint8."""
    return np.clip(np.rint(127.5 + 127.5 * np.tanh(logits)), 0, 255).astype("uint8")


def bounding_box(
    picture: np.ndarray, threshold: float = CROP_THRESHOLD
) -> tuple[int, int, int, int] | None:
    """Smallest box that holds every pixel with |mean over channels| > threshold.

    Args:
        picture: `(height, width, channels)`, before tanh.

    Returns:
        (top, left, bottom, right), the last two exclusive; None for an empty picture.
    """
    visible = np.abs(picture.mean(axis=-1)) > threshold
    rows, columns = np.flatnonzero(visible.any(1)), np.flatnonzero(visible.any(0))
    if not rows.size:
        return None
    return int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1


def tile(picture: np.ndarray, side: int) -> np.ndarray:
    """A contribution, cropped to what can be seen, as a square of uint8 pixels.

    Args:
        picture: `(height, width, channels)`, before tanh.
        side: height and width of the square; the crop is centred in it and enlarged
            by a whole factor, or thinned where it is too large.
    """
    peak = float(np.max(np.abs(picture.mean(axis=-1)), initial=0.0))
    box = bounding_box(picture, max(CROP_THRESHOLD, VISIBLE * peak))
    square = np.full((side, side, picture.shape[-1]), 128, "uint8")
    if box is None:
        return square
    pixels = signed_pixels(picture[box[0] : box[2], box[1] : box[3]])
    longest = max(pixels.shape[:2])
    if longest > side:
        step = -(-longest // side)
        pixels = pixels[::step, ::step]
    else:
        factor = side // longest
        pixels = pixels.repeat(factor, axis=0).repeat(factor, axis=1)
    top, left = (side - pixels.shape[0]) // 2, (side - pixels.shape[1]) // 2
    square[top : top + pixels.shape[0], left : left + pixels.shape[1]] = pixels
    return square
