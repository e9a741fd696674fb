"""How well maps of pixels match masks of known parts."""

import numpy as np


def area_under_curve(maps: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Area under the ROC curve of each map as a score for lying in each mask.

    The probability that a pixel in the mask has a higher value than one outside, where
    equal values count one half (Mann and Whitney): 0.5 is chance.

    Args:
        maps: float `(n, pixels)`.
        masks: bool `(k, pixels)`, none of them empty or full.

    Returns:
        float64 `(n, k)`.

    Raises:
        ValueError: a mask is empty or full.
    """
    masks = np.asarray(masks, bool)
    inside = masks.sum(axis=1)
    outside = masks.shape[1] - inside
    if not (inside.all() and outside.all()):
        raise ValueError("`masks` must hold pixels inside and outside of every mask.")
    ranks = np.stack([_average_ranks(row) for row in maps])
    sums = ranks @ masks.T.astype("float64")
    return (sums - inside * (inside + 1) / 2) / (inside * outside)


def intersection_over_union(regions: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Intersection over union of each region with each mask; 0 for two empty ones.

    Args:
        regions: bool `(n, pixels)`.
        masks: bool `(k, pixels)`.

    Returns:
        float64 `(n, k)`.
    """
    regions = np.asarray(regions, "float64")
    masks = np.asarray(masks, "float64")
    both = regions @ masks.T
    either = regions.sum(axis=1)[:, None] + masks.sum(axis=1) - both
    return both / np.maximum(either, 1)


def leakage(changes: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Part of each change's energy that falls outside of its mask; 0 if no change.

    Args:
        changes: float `(n, pixels)`.
        masks: bool `(n, pixels)`, one for each change.

    Returns:
        float64 `(n,)`, from 0 to 1.
    """
    energy = np.square(np.asarray(changes, "float64"))
    outside = np.sum(energy * ~np.asarray(masks, bool), axis=1)
    whole = energy.sum(axis=1)
    return np.divide(outside, whole, out=np.zeros_like(whole), where=whole > 0)


def shifted(maps: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Each map moved to a random place, around the border: the same shapes by chance.

    Args:
        maps: `(n, height, width, ...)`.
        random: where the offsets come from.
    """
    offsets = random.integers(0, maps.shape[1:3], (len(maps), 2))
    return np.stack(
        [
            np.roll(one, tuple(offset), axis=(0, 1))
            for one, offset in zip(maps, offsets, strict=True)
        ]
    )


def _average_ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 1; equal values share the mean of theirs."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[inverse]
