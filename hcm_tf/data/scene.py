"""A scene: an image, and the objects that it is made of, from back to front."""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scene:
    """An image and what it is made of; objects are in the order of their depth.

    Attributes:
        image: uint8 `(64, 64, 1 or 3)`.
        labels: uint8 `(64, 64)`: 0 for the background, i + 1 where object i is seen.
        masks: bool `(objects, 64, 64)`: all of each object, with what others hide. The
            first is the farthest; a later one hides it.
        shapes: the name of each object's shape.
        positions: float64 `(objects, 2)`: centres, x and y, in pixels.
        scales: float64 `(objects,)`; 1 is the full size of the shape.
        angles: float64 `(objects,)`, in radians.
        colours: uint8 `(objects, k, 1 or 3)`: each object's k colours.
        background: uint8 `(k, 1 or 3)`: its colours.
    """

    image: np.ndarray
    labels: np.ndarray
    masks: np.ndarray
    shapes: tuple[str, ...]
    positions: np.ndarray
    scales: np.ndarray
    angles: np.ndarray
    colours: np.ndarray
    background: np.ndarray

    @property
    def count(self) -> int:
        """How many objects are seen."""
        return len(self.masks)


class Items(NamedTuple):
    """Pictures to make scenes of.

    Attributes:
        images: uint8 `(n, 28, 28)`.
        classes: the name of each one's class.
    """

    images: np.ndarray
    classes: list[str]


def layered(masks: Sequence[np.ndarray]) -> np.ndarray:
    """Labels of objects of which a later one hides the earlier.

    Args:
        masks: bool `(height, width)` each, at least one.

    Returns:
        uint8 `(height, width)`: 0 for the background, 1 for the first.
    """
    labels = np.zeros(np.shape(masks[0]), np.uint8)
    for number, mask in enumerate(masks, start=1):
        labels[mask] = number
    return labels


def brightest(layers: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Labels of objects that shine through each other: the brightest has a pixel.

    Args:
        layers: uint8 `(objects, height, width)`: each object alone.
        masks: bool of the same shape: where each is.

    Returns:
        uint8 `(height, width)`: 0 for the background, 1 for the first.
    """
    if not len(layers):
        return np.zeros(layers.shape[1:], np.uint8)
    owner = np.argmax(layers, axis=0).astype(np.uint8) + np.uint8(1)
    return owner * masks.any(axis=0)


def seen(
    *,
    image: np.ndarray,
    labels: np.ndarray,
    masks: Sequence[np.ndarray],
    shapes: Sequence[str],
    background: np.ndarray,
    **arrays: np.ndarray,
) -> Scene:
    """The scene without objects that no pixel shows; the others keep their order.

    Args:
        image: as in `Scene`.
        labels: of all objects that were placed, from `layered` or `brightest`.
        masks: of each of them.
        shapes: of each of them.
        background: as in `Scene`.
        **arrays: the other attributes of `Scene`, of all objects that were placed.
    """
    count = len(masks)
    kept = np.flatnonzero(np.bincount(labels.ravel(), minlength=count + 1)[1:])
    numbers = np.zeros(count + 1, np.uint8)
    numbers[kept + 1] = np.arange(1, len(kept) + 1)
    return Scene(
        image=image,
        labels=numbers[labels],
        masks=np.asarray(masks)[kept],
        shapes=tuple(shapes[number] for number in kept),
        background=background,
        **{name: np.asarray(values)[kept] for name, values in arrays.items()},
    )
