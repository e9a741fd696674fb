"""How well a clustering agrees with classes, whatever either calls its groups.

All three compare two partitions of the same things, given as two arrays of integers,
by how many things each pair of groups has in common.
"""

import numpy as np

from hcm_tf.metrics.assignment import best_assignment


def contingency(classes: np.ndarray, clusters: np.ndarray) -> np.ndarray:
    """Things in common: int64 `(classes, clusters)`, of those that occur.

    Args:
        classes, clusters: integers `(n,)`, n at least 1.

    Raises:
        ValueError: not of one length, empty, or not of integers.
    """
    classes, clusters = np.asarray(classes), np.asarray(clusters)
    for one in (classes, clusters):
        if one.ndim != 1 or not one.size or not np.issubdtype(one.dtype, np.integer):
            raise ValueError(
                "`classes` and `clusters` must be integers (n,), n at least 1. "
                f"Received: {one.dtype} {one.shape}"
            )
    if len(classes) != len(clusters):
        raise ValueError(
            "`classes` and `clusters` must be of one length. "
            f"Received: {len(classes)} and {len(clusters)}"
        )
    names, rows = np.unique(classes, return_inverse=True)
    others, columns = np.unique(clusters, return_inverse=True)
    table = np.zeros((len(names), len(others)), np.int64)
    np.add.at(table, (rows, columns), 1)
    return table


def adjusted_rand_index(classes: np.ndarray, clusters: np.ndarray) -> float:
    """Pairs that both keep together, corrected for chance (Hubert and Arabie 1985).

    1 for the same partition, about 0 for independent ones, below 0 for worse.

    Args:
        classes, clusters: see `contingency`; either may be the truth.
    """
    table = contingency(classes, clusters)
    together = _pairs(table)
    of_classes, of_clusters = _pairs(table.sum(axis=1)), _pairs(table.sum(axis=0))
    by_chance = of_classes * of_clusters / max(_pairs(table.sum()), 1.0)
    most = 0.5 * (of_classes + of_clusters)
    if most == by_chance:
        return 1.0  # Both are one group, or both have a group for every thing.
    return (together - by_chance) / (most - by_chance)


def normalised_mutual_information(classes: np.ndarray, clusters: np.ndarray) -> float:
    """Mutual information over the mean of both entropies (Strehl and Ghosh 2002).

    With the arithmetic mean, which most packages take. From 0 to 1.

    Args:
        classes, clusters: see `contingency`; either may be the truth.
    """
    table = contingency(classes, clusters) / len(classes)
    entropies = _entropy(table.sum(axis=1)) + _entropy(table.sum(axis=0))
    if entropies == 0:
        return 1.0  # Both are one group.
    return 2 * (entropies - _entropy(table)) / entropies


def matched_accuracy(classes: np.ndarray, clusters: np.ndarray) -> float:
    """Share of things that are right under the best names for the clusters.

    Each cluster stands for at most one class, and each class has at most one cluster
    (Yang et al. 2010).

    Args:
        classes, clusters: see `contingency`.
    """
    table = contingency(classes, clusters)
    return float(table[best_assignment(table)].sum() / table.sum())


def _pairs(counts: np.ndarray) -> float:
    counts = np.asarray(counts, "float64")
    return float(np.sum(counts * (counts - 1)) / 2)


def _entropy(shares: np.ndarray) -> float:
    shares = shares[shares > 0]
    return float(-np.sum(shares * np.log(shares)))
