"""Distances of samples to real images, each beside its interval and its floor."""

from collections.abc import Callable
from typing import Any

from hcm_tf.evaluate.gather import Gathered
from hcm_tf.metrics import bootstrap
from hcm_tf.metrics.bootstrap import Estimate

# Frechet distances of wide features take seconds each (see `metrics.bootstrap`).
WIDE = 1000
FEW_HALVES = 5


def distances(
    reference: Gathered, floor: Gathered, samples: Gathered, name: str, seed: int
) -> dict[str, Any]:
    """All distances in the features of one extractor.

    Args:
        reference: real images.
        floor: as many other real images as there are samples.
        samples: what is measured.
        name: of the extractor; with `inception`, and only then, the Frechet distance is
            called FID and the kernel distance KID.
        seed: of subsets and halves.

    Returns:
        JSON values: for each distance `value`, `low`, `high` (95 %) and `floor`, which
        has the same three.
    """
    sets = [each.features[name] for each in (reference, floor, samples)]
    resamples = FEW_HALVES if sets[0].shape[1] > WIDE else bootstrap.HALVES
    exact = name == "inception"

    def frechet(one, other):
        return bootstrap.frechet_interval(one, other, seed, resamples)

    def kernel(one, other):
        return bootstrap.kernel_interval(one, other, seed, resamples)

    def scores(one, other):
        return bootstrap.manifold_intervals(one, other, seed, resamples)

    measured, lowest = bootstrap.beside_floor(scores, *sets)
    return {
        "FID" if exact else "frechet": _beside(frechet, *sets),
        "KID" if exact else "kernel": _beside(kernel, *sets),
        **{key: with_floor(measured[key], lowest[key]) for key in measured},
    }


def sliced_wasserstein(
    reference: Gathered, floor: Gathered, samples: Gathered, seed: int
) -> dict[str, Any]:
    """The distance of every level of the pyramid, by its side in pixels.

    Returns:
        JSON values, as of `distances`.
    """
    found = [
        bootstrap.patch_intervals(reference.patches, other.patches, seed)
        for other in (samples, floor)
    ]
    return {str(size): with_floor(found[0][size], found[1][size]) for size in found[0]}


def with_floor(measured: Estimate, floor: Estimate) -> dict[str, Any]:
    """A number, its interval, and the same of real images."""
    return {**measured._asdict(), "floor": floor._asdict()}


def _beside(measure: Callable[..., Estimate], *sets: Any) -> dict[str, Any]:
    return with_floor(*bootstrap.beside_floor(measure, *sets))
