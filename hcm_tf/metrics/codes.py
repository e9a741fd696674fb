"""How sparse a level's code is, and how evenly its units are used."""

import numpy as np


class CodeStatistics:
    """Counts of one level's units, gathered batch by batch.

    A unit is one value of an example's code: a feature map at a position. To count
    feature maps wherever they are active, give `(batch * height * width, channels)`.
    """

    def __init__(self) -> None:
        self.examples = 0
        self._counts: np.ndarray | None = None

    def update(self, codes: np.ndarray) -> None:
        """Adds a batch.

        Args:
            codes: bool, or numbers that are zero where a unit is off, `(batch, ...)`.

        Raises:
            ValueError: no batch, or of another shape than those before.
        """
        codes = np.asarray(codes)
        if codes.ndim < 2 or not codes.size:
            raise ValueError(
                f"`codes` must have the shape (batch, ...). Received: {codes.shape}"
            )
        counts = np.count_nonzero(codes, axis=0)
        if self._counts is None:
            self._counts = np.zeros(counts.shape, "int64")
        if counts.shape != self._counts.shape:
            raise ValueError(
                f"`codes` must have units {self._counts.shape} as those before. "
                f"Received: {counts.shape}"
            )
        self._counts += counts
        self.examples += len(codes)

    @property
    def usage(self) -> np.ndarray:
        """Share of the examples in which each unit is active: float64, as one code."""
        if self._counts is None:
            raise ValueError("No codes: give at least one batch.")
        return self._counts / self.examples

    @property
    def fraction_kept(self) -> float:
        """Active values over all values."""
        return float(self.usage.mean())

    @property
    def never_active(self) -> float:
        """Share of the units that no example has activated."""
        return float(np.mean(self.usage == 0))

    @property
    def usage_entropy(self) -> float:
        """How evenly units share the activations, from 0 (one unit) to 1 (all alike).

        -sum p log2 p over units, p being a unit's share of all activations, divided by
        log2 of the number of units; 0 if nothing is active, 1 for a single unit.
        """
        usage = self.usage.ravel()
        if not usage.any():
            return 0.0
        if len(usage) == 1:
            return 1.0
        shares = usage[usage > 0] / usage.sum()
        return float(-np.sum(shares * np.log2(shares)) / np.log2(len(usage)))

    def summary(self) -> dict[str, float]:
        """The three numbers by name."""
        return {
            "fraction_kept": self.fraction_kept,
            "never_active": self.never_active,
            "usage_entropy": self.usage_entropy,
        }
