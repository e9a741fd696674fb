"""Frechet distance of two sets of features, as Gaussians (Heusel et al. 2017).

Between N(m, S) and N(m', S') it is |m - m'|^2 + tr(S + S' - 2 (S S')^(1/2)). It sees
means and covariances alone: two sets that differ in anything else are equal to it. Of
finite samples it is too large, the more the fewer there are and the wider the features,
so that numbers of different counts cannot be compared; the distance between two sets of
real images at the same count says where zero is. It is called FID where the features
are those of the Inception network of 2015, and only there.
"""

import numpy as np

from hcm_tf.metrics.checks import check_features


class Moments:
    """Mean and covariance of features that come in batches (Chan et al. 1983).

    In float64; the order and the size of the batches change the result by rounding
    alone.
    """

    def __init__(self) -> None:
        self.count = 0
        self._mean: np.ndarray | None = None
        self._scatter: np.ndarray | None = None

    def update(self, features: np.ndarray) -> None:
        """Adds a batch of features `(batch, size)`."""
        features = check_features("features", features).astype("float64")
        mean = features.mean(axis=0)
        centred = features - mean
        self._combine(len(features), mean, centred.T @ centred)

    def merge(self, other: "Moments") -> None:
        """Adds what another has gathered."""
        if other.count:
            self._combine(other.count, other._mean, other._scatter)

    def _combine(self, count: int, mean: np.ndarray, scatter: np.ndarray) -> None:
        if self._mean is None:
            self.count, self._mean, self._scatter = count, mean.copy(), scatter.copy()
            return
        if mean.shape != self._mean.shape:
            raise ValueError(
                f"`features` must have the size {len(self._mean)} of those before. "
                f"Received: {len(mean)}"
            )
        whole = self.count + count
        shift = mean - self._mean
        self._scatter += scatter + np.outer(shift, shift) * (self.count * count / whole)
        self._mean += shift * (count / whole)
        self.count = whole

    @property
    def mean(self) -> np.ndarray:
        """float64 `(size,)`."""
        self._check_count(1)
        return self._mean

    @property
    def covariance(self) -> np.ndarray:
        """float64 `(size, size)`, unbiased: divided by the count less one."""
        self._check_count(2)
        return self._scatter / (self.count - 1)

    def _check_count(self, least: int) -> None:
        if self.count < least:
            raise ValueError(
                f"At least {least} features are needed. Received: {self.count}"
            )


def gaussian_distance(
    mean: np.ndarray,
    covariance: np.ndarray,
    other_mean: np.ndarray,
    other_covariance: np.ndarray,
) -> float:
    """Frechet (2-Wasserstein) distance of two Gaussians, squared as is the custom.

    With S = F F^T and S' = F' F'^T the trace of (S S')^(1/2) is the sum of the singular
    values of F^T F'. Unlike a matrix square root it needs no inverse, no offset and no
    complex numbers, and singular covariances are nothing special.

    Args:
        mean: float `(size,)`.
        covariance: float `(size, size)`, symmetric, without negative eigenvalues but
            for rounding.
        other_mean: as `mean`.
        other_covariance: as `covariance`.

    Raises:
        ValueError: the shapes do not fit each other, a value is not finite, or a
            covariance has an eigenvalue below zero.
    """
    mean, other_mean = np.asarray(mean, "float64"), np.asarray(other_mean, "float64")
    if mean.ndim != 1 or mean.shape != other_mean.shape:
        raise ValueError(
            "Both means must have the shape (size,). "
            f"Received: {mean.shape} and {other_mean.shape}"
        )
    root = _factor(covariance, len(mean))
    other_root = _factor(other_covariance, len(mean))
    common = np.linalg.svd(root.T @ other_root, compute_uv=False).sum()
    own = np.sum(root**2) + np.sum(other_root**2)
    distance = np.sum((mean - other_mean) ** 2) + own - 2 * common
    return float(max(distance, 0.0))


def frechet_distance(reference: np.ndarray, samples: np.ndarray) -> float:
    """Frechet distance of features `(n, size)` and `(m, size)`."""
    moments = Moments(), Moments()
    moments[0].update(reference)
    moments[1].update(samples)
    return moments_distance(*moments)


def moments_distance(reference: Moments, samples: Moments) -> float:
    """Frechet distance of two gathered sets of features."""
    return gaussian_distance(
        reference.mean, reference.covariance, samples.mean, samples.covariance
    )


def _factor(covariance: np.ndarray, size: int) -> np.ndarray:
    """F of F F^T = covariance, by its eigenvectors."""
    covariance = np.asarray(covariance, "float64")
    if covariance.shape != (size, size) or not np.isfinite(covariance).all():
        raise ValueError(
            f"A covariance must be finite, of the shape ({size}, {size}). "
            f"Received: {covariance.shape}"
        )
    values, vectors = np.linalg.eigh(covariance)
    # 1e-6: what covariances that were stored in float32 have lost.
    if values[0] < -1e-6 * max(values[-1], 0.0):
        raise ValueError(
            "A covariance must have no negative eigenvalue. "
            f"Received: {values[0]:.3g}, the largest being {values[-1]:.3g}"
        )
    return vectors * np.sqrt(np.maximum(values, 0.0))
