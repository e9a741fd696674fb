"""How far two distributions of one number are apart."""

import numpy as np


def wasserstein(reference: np.ndarray, samples: np.ndarray) -> float:
    """Wasserstein-1 distance of two sets of numbers, in their unit.

    The area between their cumulative distributions: how far a number must be moved on
    average, to make one set of the other.

    Args:
        reference: float `(n,)`.
        samples: float `(m,)`.

    Returns:
        0 and more; NaN if a set is empty.

    Raises:
        ValueError: not of rank 1, or not finite.
    """
    sets = [np.sort(np.asarray(one, "float64")) for one in (reference, samples)]
    if any(one.ndim != 1 or not np.isfinite(one).all() for one in sets):
        raise ValueError(
            "Both sets must be finite numbers `(n,)`. "
            f"Received: shapes {sets[0].shape} and {sets[1].shape}"
        )
    if not all(len(one) for one in sets):
        return float("nan")
    places = np.sort(np.concatenate(sets))
    below = [np.searchsorted(one, places[:-1], side="right") / len(one) for one in sets]
    return float(np.sum(np.abs(below[0] - below[1]) * np.diff(places)))
