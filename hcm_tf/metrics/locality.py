"""How small a place a picture occupies."""

import numpy as np


def area(maps: np.ndarray, fraction: float = 0.9) -> np.ndarray:
    """The smallest part of the pixels that holds a fraction of each map's energy.

    Args:
        maps: float `(n, pixels)`, of any scale.
        fraction: of the energy, the sum of squares.

    Returns:
        float64 `(n,)`, from 0 (nothing there) to 1.
    """
    energy = np.sort(np.square(np.asarray(maps, "float64")), axis=1)[:, ::-1]
    reached = np.cumsum(energy, axis=1)
    enough = reached >= fraction * reached[:, -1:] * (1 - 1e-12)
    count = np.argmax(enough, axis=1) + 1
    return np.where(reached[:, -1] > 0, count, 0) / energy.shape[1]


def visible(maps: np.ndarray, fraction: float = 0.25) -> np.ndarray:
    """Where each map reaches a fraction of its peak: bool, of the shape of `maps`.

    Args:
        maps: float `(n, pixels)`, not negative.
        fraction: of the largest value.
    """
    peak = maps.max(axis=1, keepdims=True)
    return (maps >= fraction * peak) & (peak > 0)
