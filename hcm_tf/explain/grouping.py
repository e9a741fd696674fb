"""From attributions to segments: what the same parts draw belongs together.

Two ways, both of pictures before tanh, which sum exactly to the image's. By location:
a pixel belongs to the location of the generator's grid that changes it most. By pixel:
pixels belong together to which the same units contribute in the same proportions. Pure
NumPy on arrays that `attribution` makes.
"""

import numpy as np

from hcm_tf.metrics.linkage import (
    Merges,
    average_linkage,
    cut,
    distances,
    merge_adjacent,
)

# Pixels are clustered on a grid of so many a side: 4,096 would take 70 MB and seconds.
SIDE = 32


def strengths(pictures: np.ndarray) -> np.ndarray:
    """How much each part changes each pixel: the length of its colour there.

    Args:
        pictures: of the parts, before tanh, float `(parts, height, width, channels)`.

    Returns:
        `(parts, height, width)`, 0 and more.
    """
    return np.sqrt(np.sum(np.square(pictures), axis=-1))


def soft_masks(pictures: np.ndarray) -> np.ndarray:
    """Each part's share of all parts' strengths: in [0, 1], they sum to 1 or to 0.

    Args:
        pictures: as of `strengths`.
    """
    found = strengths(pictures)
    whole = found.sum(axis=0)
    return np.divide(found, whole, out=np.zeros_like(found), where=whole > 0)


def by_location(pictures: np.ndarray) -> np.ndarray:
    """The location that changes each pixel most: int64 `(height, width)`.

    Args:
        pictures: of all locations, as of `strengths`; the first of equals has a pixel.
    """
    return np.argmax(strengths(pictures), axis=0)


def by_merged_location(pictures: np.ndarray, segments: int) -> np.ndarray:
    """Segments of `by_location`, merged where neighbours draw alike.

    By average linkage on `unlikeness`, adjacent segments alone: those of which two
    pixels touch, side by side or one above the other.

    Args:
        pictures: as of `by_location`.
        segments: to stop at; islands may leave more.

    Returns:
        int64 `(height, width)`.
    """
    owner = by_location(pictures)
    present, labels = np.unique(owner, return_inverse=True)
    labels = labels.reshape(owner.shape)
    groups = merge_adjacent(
        unlikeness(pictures[present]), touching(labels, len(present)), segments
    )
    return groups[labels]


def unlikeness(pictures: np.ndarray) -> np.ndarray:
    """1 - cosine of what every two parts draw where their pictures overlap.

    Over all pixels that both change, colour by colour; 1 for two that never meet.

    Args:
        pictures: as of `strengths`.

    Returns:
        float64 `(parts, parts)`, from 0 to 2; 0 to itself.
    """
    flat = pictures.reshape(len(pictures), -1).astype("float64")
    changed = (strengths(pictures) > 0).astype("float64")
    changed = np.repeat(changed.reshape(len(pictures), -1), pictures.shape[-1], axis=1)
    energy = np.square(flat) @ changed.T
    length = np.sqrt(energy * energy.T)
    products = flat @ flat.T
    cosine = np.divide(
        products, length, out=np.zeros_like(products), where=length > 0
    ).clip(-1, 1)
    found = 1 - (cosine + cosine.T) / 2
    np.fill_diagonal(found, 0.0)
    return found


def touching(labels: np.ndarray, count: int) -> np.ndarray:
    """Which segments have pixels side by side: bool `(count, count)`, symmetric.

    Args:
        labels: integers `(height, width)` below `count`.
    """
    found = np.zeros((count, count), bool)
    for one, other in ((labels[:, 1:], labels[:, :-1]), (labels[1:], labels[:-1])):
        found[one, other] = True
        found[other, one] = True
    np.fill_diagonal(found, False)
    return found


def shares(contributions: np.ndarray) -> np.ndarray:
    """What part of each pixel each unit makes, whatever the pixel's colour.

    Where all units sum to the colour L, unit i has the share <u_i, L> / <L, L>: they
    sum to 1. What works against L is no part of it, and counts 0, as all where L is 0.

    Args:
        contributions: before tanh, `(height, width, units, channels)`.

    Returns:
        `(height, width, units)`, 0 and more.
    """
    whole = contributions.sum(axis=2, keepdims=True)
    energy = np.sum(np.square(whole), axis=-1)
    products = np.sum(contributions * whole, axis=-1)
    found = np.divide(products, energy, out=np.zeros_like(products), where=energy > 0)
    return np.maximum(found, 0)


def enlarged(labels: np.ndarray, size: int) -> np.ndarray:
    """A map of another size, the nearest pixel for each: `(..., size, size)`."""
    nearest = np.arange(size) * labels.shape[-1] // size
    return labels[..., nearest[:, np.newaxis], nearest]


def pixel_merges(features: np.ndarray, *, normalised: bool) -> Merges:
    """Average linkage of pixels by their features, to be `pixel_segments`.

    Args:
        features: `(height, width, ...)`, such as contributions, or colours.
        normalised: divide each pixel's by their length; 0 stays 0.
    """
    points = features.reshape(features.shape[0] * features.shape[1], -1)
    points = points.astype("float64")
    if normalised:
        lengths = np.linalg.norm(points, axis=1, keepdims=True)
        points = np.divide(
            points, lengths, out=np.zeros_like(points), where=lengths > 0
        )
    return average_linkage(distances(points))


def pixel_segments(merges: Merges, segments: int, side: int = SIDE) -> np.ndarray:
    """Pixels in no more than some segments: int64 `(side, side)`."""
    return cut(merges, segments).reshape(side, side)
