"""Whether a unit draws the same thing in every image."""

import numpy as np

# Values that are widened to float64 at a time.
BLOCK = 2**20


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
    vectors, groups = np.asarray(vectors), np.asarray(groups)
    step = max(1, BLOCK // max(1, vectors.shape[1]))
    blocks = [slice(start, start + step) for start in range(0, len(vectors), step)]
    length = np.zeros(len(vectors))
    for block in blocks:
        length[block] = np.linalg.norm(vectors[block].astype("float64"), axis=1)
    kept = length > 0
    _, index, counts = np.unique(groups[kept], return_inverse=True, return_counts=True)
    sums = np.zeros((len(counts), vectors.shape[1]))
    rows = np.flatnonzero(kept)
    for start in range(0, len(rows), step):
        some = rows[start : start + step]
        units = vectors[some].astype("float64") / length[some, None]
        np.add.at(sums, index[start : start + step], units)
    total = len(rows)
    together = np.einsum("ij,ij->", sums, sums)
    whole = np.sum(np.square(sums.sum(axis=0)))
    pairs_within = np.sum(counts * (counts - 1.0))
    pairs_across = total**2 - np.sum(counts.astype("float64") ** 2)
    within = (together - total) / pairs_within if pairs_within else np.nan
    across = (whole - together) / pairs_across if pairs_across else np.nan
    return float(within), float(across)
