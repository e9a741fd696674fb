"""Kernel distance of two sets of features (Binkowski et al. 2018).

The squared maximum mean discrepancy with the kernel (x . y / size + 1)^3, estimated
without bias: its mean does not depend on the count, and is zero for equal distributions
(so a single value can be below zero). Called KID where the features are Inception's.
"""

import numpy as np

from hcm_tf.metrics.checks import check_pair

# As published: the mean over 100 subsets of 1,000.
SUBSETS = 100
SUBSET_SIZE = 1000
# Kernel values at a time: 32 MB.
BLOCK = 2**22


def kernel_distance(
    reference: np.ndarray,
    samples: np.ndarray,
    seed: int = 0,
    subsets: int = SUBSETS,
    subset_size: int = SUBSET_SIZE,
) -> tuple[float, float]:
    """Mean and standard deviation over random subsets, drawn without replacement.

    Args:
        reference: float `(n, size)`.
        samples: float `(m, size)`.
        seed: of the subsets.
        subsets: how many.
        subset_size: as many of each; all of them where there are fewer.

    Raises:
        ValueError: shapes, values that are not finite, or a subset smaller than two.
    """
    reference, samples = check_pair(reference, samples, least=2)
    if subset_size < 2 or subsets < 1:
        raise ValueError(
            "`subset_size` must be at least 2 and `subsets` at least 1. "
            f"Received: {subset_size} and {subsets}"
        )
    size = min(subset_size, len(reference), len(samples))
    if size == len(reference) == len(samples):
        return squared_discrepancy(reference, samples), 0.0
    random = np.random.default_rng(seed)
    of_reference, of_samples = [], []
    for _ in range(subsets):
        of_reference.append(random.choice(len(reference), size, replace=False))
        of_samples.append(random.choice(len(samples), size, replace=False))
    if subsets * size**2 < len(reference) * len(samples):
        # Few small subsets of many: cheaper one by one.
        pairs = zip(of_reference, of_samples, strict=True)
        found = [squared_discrepancy(reference[i], samples[j]) for i, j in pairs]
    else:
        found = squared_discrepancies(
            reference,
            samples,
            _kept(of_reference, len(reference)),
            _kept(of_samples, len(samples)),
        )
    return float(np.mean(found)), float(np.std(found))


def squared_discrepancy(reference: np.ndarray, samples: np.ndarray) -> float:
    """Unbiased squared maximum mean discrepancy of features, cubic kernel."""
    whole = np.ones((1, len(reference)), bool), np.ones((1, len(samples)), bool)
    return float(squared_discrepancies(reference, samples, *whole)[0])


def squared_discrepancies(
    reference: np.ndarray,
    samples: np.ndarray,
    kept_reference: np.ndarray,
    kept_samples: np.ndarray,
) -> np.ndarray:
    """The discrepancy of many subsets, every kernel value being computed once.

    Args:
        reference: float `(n, size)`.
        samples: float `(m, size)`.
        kept_reference: bool `(subsets, n)`, at least two a row.
        kept_samples: bool `(subsets, m)`, likewise.

    Returns:
        float64 `(subsets,)`.
    """
    reference, samples = check_pair(reference, samples, least=2)
    reference, samples = reference.astype("float64"), samples.astype("float64")
    kept_reference = np.asarray(kept_reference, "float64")
    kept_samples = np.asarray(kept_samples, "float64")
    n, m = kept_reference.sum(axis=1), kept_samples.sum(axis=1)
    if min(n.min(), m.min()) < 2:
        raise ValueError("A subset must keep at least 2 rows of each.")
    return (
        _sums_of_others(reference, kept_reference) / (n * (n - 1))
        + _sums_of_others(samples, kept_samples) / (m * (m - 1))
        - 2 * _sums(reference, kept_reference, samples, kept_samples) / (n * m)
    )


def _kept(subsets: list[np.ndarray], count: int) -> np.ndarray:
    kept = np.zeros((len(subsets), count), bool)
    for row, subset in zip(kept, subsets, strict=True):
        row[subset] = True
    return kept


def _sums(
    a: np.ndarray, kept_a: np.ndarray, b: np.ndarray, kept_b: np.ndarray
) -> np.ndarray:
    """Sums of the kernel over all kept pairs, some rows at a time."""
    totals = np.zeros(len(kept_a))
    step = max(1, BLOCK // len(b))
    for start in range(0, len(a), step):
        part = slice(start, start + step)
        kernel = _cubes(a[part] @ b.T, a.shape[1])
        totals += np.einsum("ri,ir->r", kept_a[:, part], kernel @ kept_b.T)
    return totals


def _sums_of_others(a: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Sums of the kernel over all kept pairs of two different rows."""
    own = _cubes(np.einsum("ij,ij->i", a, a), a.shape[1])
    return _sums(a, kept, a, kept) - kept @ own


def _cubes(products: np.ndarray, size: int) -> np.ndarray:
    """(products / size + 1)^3, in place of the products."""
    products /= size
    products += 1
    squares = products * products
    products *= squares
    return products
