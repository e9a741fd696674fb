"""Images: uint8 and float, grids of them, and PNG files."""

import io
import math
import os

import numpy as np
from PIL import Image

from hcm_tf import files


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


def grid(
    images: np.ndarray,
    columns: int | None = None,
    *,
    gap: int = 0,
    background: int = 255,
) -> np.ndarray:
    """Arranges images row by row.

    Args:
        images: uint8, or float in [-1, 1], `(count, height, width, channels)`.
        columns: images in a row; None makes the grid as square as can be.
        gap: pixels between two images.
        background: value of gaps and empty places; 255 is white.

    Returns:
        uint8 `(height of all, width of all, channels)`.
    """
    if images.dtype != np.uint8:
        images = to_uint8(images)
    count, height, width, channels = images.shape
    columns = min(columns or math.ceil(math.sqrt(count)), max(count, 1))
    rows = math.ceil(count / columns)
    shape = (rows * columns, height + gap, width + gap, channels)
    cells = np.full(shape, background, "uint8")
    cells[:count, :height, :width] = images
    cells = cells.reshape(rows, columns, *shape[1:])
    cells = cells.swapaxes(1, 2).reshape(rows * shape[1], columns * shape[2], channels)
    return cells[: len(cells) - gap, : cells.shape[1] - gap]


def write_png(path: str | os.PathLike, pixels: np.ndarray, scale: int = 1) -> None:
    """Writes uint8 `(height, width, 1 or 3)` as PNG, whole or not at all.

    Args:
        path: file to write; its directory is made.
        pixels: the picture.
        scale: each pixel becomes a square of this many.
    """
    files.write(path, encode_png(pixels, scale))


def encode_png(pixels: np.ndarray, scale: int = 1) -> bytes:
    """The PNG file of uint8 `(height, width, 1, 3 or 4)`; see `write_png`."""
    picture = Image.fromarray(pixels.squeeze(-1) if pixels.shape[-1] == 1 else pixels)
    if scale > 1:
        size = (picture.width * scale, picture.height * scale)
        picture = picture.resize(size, Image.Resampling.NEAREST)
    contents = io.BytesIO()
    picture.save(contents, format="PNG", optimize=True)
    return contents.getvalue()
