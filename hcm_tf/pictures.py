"""Image grids, and PNG files of them."""

import math
import os
import pathlib

import numpy as np
from PIL import Image

from hcm_tf.data.conversion import to_uint8


def grid(images: np.ndarray, columns: int | None = None) -> np.ndarray:
    """Arranges images row by row.

    Args:
        images: float `(count, height, width, channels)` in [-1, 1].
        columns: images in a row; None makes the grid as square as can be.

    Returns:
        uint8 `(rows * height, columns * width, channels)`; empty places are white.
    """
    count, height, width, channels = images.shape
    columns = columns or math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    cells = np.full((rows * columns, height, width, channels), 255, "uint8")
    cells[:count] = to_uint8(images)
    cells = cells.reshape(rows, columns, height, width, channels)
    return cells.swapaxes(1, 2).reshape(rows * height, columns * width, channels)


def write_png(path: str | os.PathLike, pixels: np.ndarray, scale: int = 1) -> None:
    """Writes uint8 `(height, width, 1 or 3)` as PNG, whole or not at all.

    Args:
        path: file to write; its directory is made.
        pixels: the picture.
        scale: each pixel becomes a square of this many.
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(pixels.squeeze(-1) if pixels.shape[-1] == 1 else pixels)
    if scale > 1:
        size = (picture.width * scale, picture.height * scale)
        picture = picture.resize(size, Image.Resampling.NEAREST)
    temporary = path.with_name(path.name + ".partial")
    picture.save(temporary, format="PNG")
    os.replace(temporary, path)
