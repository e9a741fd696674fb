"""What shape an object has: how well one of its recipe's own shapes covers it."""

import functools
import itertools
import math
from collections.abc import Callable

import numpy as np

from hcm_tf.data.sprites import SCALES, SHAPES, SIZE, TETROMINOES, sprite, tetromino

# Turned by so many steps of 9 degrees a shape is itself again.
_TURNS = {"square": 10, "ellipse": 20, "heart": 40}
# In pixels: the longest template, four cells in a row, has 32.
WINDOW = 40
TEMPLATES = "template IoU"
FILL = "fill of the box"


def measure(recipe: str) -> tuple[str, Callable[[np.ndarray], float]] | None:
    """How the shapes of a recipe's objects are measured, by name; None: not at all.

    Args:
        recipe: the name of the scenes. Those without sprites, `fashion_items`, have the
            part of an object's box that it fills; `textured` has no objects that are
            found.
    """
    if recipe == "textured":
        return None
    if recipe == "fashion_items":
        return FILL, fill
    pieces = recipe == "tetrominoes"
    return TEMPLATES, functools.partial(best_template, templates(pieces))


@functools.cache
def templates(pieces: bool) -> np.ndarray:
    """Every shape of a recipe in every size and turn, in the middle of the image.

    Args:
        pieces: the tetrominoes; else the sprites of Multi-dSprites, turned by steps of
            nine degrees (theirs are 360 / 39 degrees).

    Returns:
        float32 `(n, WINDOW^2)`: zeros and ones, the middle of each image alone.
    """
    if pieces:
        found = [tetromino(name, 0, 0) > 0 for name in TETROMINOES]
    else:
        found = [
            sprite(shape, scale, turn * math.pi / 20, SIZE / 2, SIZE / 2)
            for shape in SHAPES
            for scale in SCALES
            for turn in range(_TURNS[shape])
        ]
    return np.stack([_flat(centred(one)) for one in found])


def best_template(known: np.ndarray, mask: np.ndarray) -> float:
    """The best intersection over union of an object with a template.

    The middle of the object's mass is laid on that of each template, to the nearest
    pixel, and to the eight around it. What is half hidden, or two objects that touch,
    fits no template well, in real scenes as in others.

    Args:
        known: of `templates`.
        mask: of the object, bool `(64, 64)`; nothing fits an empty one.

    Returns:
        From 0 to 1.
    """
    if not mask.any():
        return 0.0
    middle = centred(mask)
    moved = [
        _flat(np.roll(middle, offset, axis=(0, 1)))
        for offset in itertools.product((-1, 0, 1), repeat=2)
    ]
    both = np.stack(moved) @ known.T
    either = known.sum(axis=1) + mask.sum() - both
    return float(np.max(both / either))


def _flat(mask: np.ndarray) -> np.ndarray:
    """The middle of a mask, which holds all of a template: float32 `(WINDOW^2,)`."""
    edge = (SIZE - WINDOW) // 2
    inside = slice(edge, edge + WINDOW)
    return mask[inside, inside].astype(np.float32).ravel()


def centred(mask: np.ndarray) -> np.ndarray:
    """A mask moved by whole pixels, around the border, to the middle of the image.

    Args:
        mask: bool `(height, width)`, not empty.
    """
    middle = (np.array(mask.shape) - 1) / 2
    offset = np.rint(middle - np.argwhere(mask).mean(axis=0)).astype(int)
    return np.roll(mask, tuple(offset), axis=(0, 1))


def fill(mask: np.ndarray) -> float:
    """The part of its box that an object fills; 0 of an empty mask.

    Args:
        mask: bool `(height, width)`.
    """
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return 0.0
    box = (rows[-1] - rows[0] + 1) * (columns[-1] - columns[0] + 1)
    return float(mask.sum() / box)
