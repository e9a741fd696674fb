"""Objects found in images of scenes without any model: by brightness, hue or colour.

How they are found depends on the recipe alone, and is the same for real scenes, for
what is drawn of them, and for samples. Samples are softer than scenes: nothing here
asks for exactly one colour.
"""

from collections.abc import Callable

import numpy as np

from hcm_tf.explain.grouping import enlarged
from hcm_tf.explain.placed_parts import LEAST_MASS
from hcm_tf.metrics.segmenters import chroma, connected_components

SIZE = 64  # Images of another size are looked at in this one.
# Of colours in [0, 1]: a pixel is flat whose four neighbours are so near, and a flat
# pixel belongs to a colour that is so near, in every channel.
FLAT = 0.06
NEAR = 0.05
# Flat pixels that make a colour: the smallest heart has some thirty inside.
LEAST_PIXELS = 8
_BINS = 16
# Of the largest channel, in [0, 1]: the darkest side of a bevelled cell is 66 of 255.
_DARK = 0.15

# From a float image `(64, 64, channels)` in [-1, 1] to masks, bool `(n, 64, 64)`.
Finder = Callable[[np.ndarray], np.ndarray]


def finder(recipe: str) -> tuple[str, Finder] | None:
    """How the objects of a recipe are found, by name; None: colour does not tell.

    Args:
        recipe: the name of the scenes.
    """
    if recipe == "textured":
        return None
    if recipe == "tetrominoes":
        return "spots of one hue", of_hues
    if recipe in ("binarized", "fashion_items"):
        return "bright spots", bright
    return "distinct colours", of_colours


def resized(image: np.ndarray, size: int = SIZE) -> np.ndarray:
    """An image of another size, the nearest pixel for each: `(size, size, channels)`.

    Args:
        image: of any type, square, `(height, width, channels)`.
        size: of the result; by itself that in which objects are looked for.
    """
    return np.moveaxis(enlarged(np.moveaxis(image, -1, 0), size), 0, -1)


def bright(image: np.ndarray) -> np.ndarray:
    """Connected parts of what is brighter than the mid grey; touching objects are one.

    Args:
        image: float `(height, width, channels)`, in [-1, 1]; its channels' mean counts.

    Returns:
        bool `(n, height, width)`, each larger than LEAST_MASS of the image.
    """
    inside = image.mean(axis=2, keepdims=True) > 0
    return _large(connected_components(inside), inside[..., 0])


def of_hues(image: np.ndarray) -> np.ndarray:
    """Connected parts of one hue, of what is not dark.

    A hue is the colour divided by its largest channel, rounded to 0 or 1 in each.

    Args:
        image: as of `bright`.

    Returns:
        As of `bright`.
    """
    colours = (image + 1) / 2
    inside = colours.max(axis=2, keepdims=True) > _DARK
    hues = np.where(inside, 1 + np.rint(chroma(colours)), 0)
    return _large(connected_components(hues), inside[..., 0])


def of_colours(image: np.ndarray) -> np.ndarray:
    """Distinct colours but the background's, wherever they are in the image.

    The flat pixels, which lie in no border, say which there are: the most frequent
    colour takes all that are near it, then the most frequent of the rest does, until
    fewer than LEAST_PIXELS are left. Every pixel is of the nearest colour. The
    background has most of the image's edge. Two objects of one colour are one.

    Args:
        image: float `(height, width, channels)`, in [-1, 1].

    Returns:
        bool `(n, height, width)`; n may be 0.
    """
    image = (np.asarray(image, "float64") + 1) / 2
    colours = _flat_colours(image)
    if len(colours) < 2:
        return np.zeros((0, *image.shape[:2]), bool)
    away = np.stack([np.abs(image - one).max(axis=2) for one in colours])
    nearest = np.argmin(away, axis=0)
    edge = (nearest[0], nearest[-1], nearest[1:-1, 0], nearest[1:-1, -1])
    background = np.argmax(np.bincount(np.concatenate(edge), minlength=len(colours)))
    numbers = np.delete(np.arange(len(colours)), background)
    return nearest == numbers[:, np.newaxis, np.newaxis]


def _flat_colours(image: np.ndarray) -> list[np.ndarray]:
    """Colours of many flat pixels, the most frequent first, each `(channels,)`."""
    padded = np.pad(image, ((1, 1), (1, 1), (0, 0)), mode="edge")
    around = (padded[1:-1, :-2], padded[1:-1, 2:], padded[:-2, 1:-1], padded[2:, 1:-1])
    flat = np.abs(np.stack(around) - image).max(axis=(0, 3)) < FLAT
    left, found = image[flat], []
    while len(left) >= LEAST_PIXELS:
        bins = np.minimum((left * _BINS).astype(int), _BINS - 1)
        code = bins @ _BINS ** np.arange(image.shape[2])
        colour = left[code == np.argmax(np.bincount(code))].mean(axis=0)
        near = np.abs(left - colour).max(axis=1) <= NEAR
        if near.sum() < LEAST_PIXELS:
            break
        found.append(left[near].mean(axis=0))
        left = left[~near]
    return found


def _large(labels: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """The masks of segments inside that are no specks."""
    names, areas = np.unique(labels[inside], return_counts=True)
    names = names[areas > LEAST_MASS * labels.size]
    return (labels == names[:, np.newaxis, np.newaxis]) & inside
