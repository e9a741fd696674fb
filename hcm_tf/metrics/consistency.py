"""Whether a unit draws the same thing in every image."""

import numpy as np


def pair_cosines(vectors: np.ndarray, groups: np.ndarray) -> tuple[float, float]:
    """Mean cosine of pairs within a group, and of pairs across groups.

    Computed without forming the pairs: the sum over all pairs of unit vectors is
    (|sum v|^2 - n) / 2.

    Args:
        vectors: float `(n, size)`; zero vectors are left out.
        groups: `(n,)`, what belongs together.

    Returns:
        (within, across); nan where there is no such pair.
    """
    vectors = np.asarray(vectors, "float64")
    length = np.linalg.norm(vectors, axis=1)
    kept = length > 0
    vectors, groups = vectors[kept] / length[kept, None], np.asarray(groups)[kept]
    _, index, counts = np.unique(groups, return_inverse=True, return_counts=True)
    sums = np.zeros((len(counts), vectors.shape[1]))
    np.add.at(sums, index, vectors)
    together = np.sum(np.square(sums))
    whole = np.sum(np.square(vectors.sum(axis=0)))
    pairs_within = np.sum(counts * (counts - 1.0))
    pairs_across = len(vectors) ** 2 - np.sum(counts.astype("float64") ** 2)
    within = (together - len(vectors)) / pairs_within if pairs_within else np.nan
    across = (whole - together) / pairs_across if pairs_across else np.nan
    return float(within), float(across)
