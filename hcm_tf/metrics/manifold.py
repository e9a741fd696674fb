"""Precision and recall (Kynkaanniemi et al. 2019), density and coverage (Naeem 2020).

A set of features stands for its distribution's support: the union of balls around the
points, each as wide as to the point's k-th nearest other one.

* precision: share of samples inside of the reference's balls;
* recall: share of the reference inside of the samples' balls;
* density: how many of the reference's balls a sample is in, over k: about 1 for equal
  distributions, and above 1 where samples crowd where the reference is dense;
* coverage: share of the reference's balls with a sample in them.

A single outlier of the reference has a wide ball and lends precision to whatever falls
into it; density and coverage do not depend on it as much. All four depend on the count.
"""

import numpy as np

from hcm_tf.metrics.checks import check_pair
from hcm_tf.metrics.neighbours import distance_blocks, radii

# The k of each publication.
PRECISION_NEIGHBOURS = 3
DENSITY_NEIGHBOURS = 5


def manifold_scores(
    reference: np.ndarray,
    samples: np.ndarray,
    precision_neighbours: int = PRECISION_NEIGHBOURS,
    density_neighbours: int = DENSITY_NEIGHBOURS,
) -> dict[str, float]:
    """The four scores, in one pass over the distances.

    A point on the edge of a ball is inside for precision and recall and outside for
    density and coverage, as their publications have it.

    Args:
        reference: float `(n, size)`, features of real images.
        samples: float `(m, size)`.
        precision_neighbours: k of precision and recall.
        density_neighbours: k of density and coverage.

    Returns:
        `precision`, `recall`, `density` and `coverage`.

    Raises:
        ValueError: shapes, values that are not finite, or no more points than k.
    """
    reference, samples = check_pair(reference, samples)
    wide, own = radii(reference, precision_neighbours, density_neighbours)
    (sample_radii,) = radii(samples, precision_neighbours)
    inside = balls = 0
    recalled = np.zeros(len(reference), bool)
    closest = np.full(len(reference), np.inf)
    for block, distances in distance_blocks(samples, reference):
        inside += int((distances <= wide).any(axis=1).sum())
        balls += int(np.count_nonzero(distances < own))
        recalled |= (distances <= sample_radii[block, None]).any(axis=0)
        np.minimum(closest, distances.min(axis=0), out=closest)
    return {
        "precision": inside / len(samples),
        "recall": float(recalled.mean()),
        "density": balls / (density_neighbours * len(samples)),
        "coverage": float((closest < own).mean()),
    }
