"""How few units draw an image, how evenly they serve, and what their code is worth."""

from typing import Any

import numpy as np

from hcm_tf.metrics.codes import CodeStatistics
from hcm_tf.networks.levels import Level


class Usage:
    """Counts the active units of every level, batch by batch.

    A unit is a basis function: an attribute at its location, or a feature map wherever
    it is active. `fraction_kept` is of all activations.
    """

    def __init__(self, levels: tuple[Level, ...]) -> None:
        self.levels = levels
        self.images = 0
        self._statistics = [CodeStatistics() for _ in levels]
        self._active = [0 for _ in levels]

    def watch(self, codes: list[np.ndarray]) -> None:
        """Adds the codes of a batch, `(batch, height, width, channels)` a level."""
        self.images += len(codes[0])
        for index, code in enumerate(codes):
            self._active[index] += int(np.count_nonzero(code))
            shared = tuple(axis + 1 for axis in self.levels[index].shared_axes)
            self._statistics[index].update(np.any(code, axis=shared))

    def summary(self) -> dict[str, Any]:
        """By level: what stays, what never serves, and how evenly (1: all alike)."""
        found = {}
        for level, statistics, active in zip(
            self.levels, self._statistics, self._active, strict=True
        ):
            found[level.name] = {
                "active": active / self.images,
                "fraction_kept": active / (self.images * np.prod(level.shape)).item(),
                "bases": level.bases,
                "never_active": statistics.never_active,
                "usage_entropy": statistics.usage_entropy,
            }
        return found
