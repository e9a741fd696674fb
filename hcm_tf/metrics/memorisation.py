"""Whether samples are nearer to the training images than unseen real images are.

A sample is compared with its nearest training image, and that distance with the
distances of held-out images to theirs. Features or pixels, both are only arrays here.
In pixels a soft picture is near to everything without being a copy of anything: read
the two together, and look at the pictures.
"""

from typing import NamedTuple

import numpy as np

from hcm_tf.metrics.neighbours import nearest

SHARE = 0.05


class Memorisation(NamedTuple):
    """What `memorisation` found.

    share: part of the samples nearer to a training image than all but 5 % of held-out
        images are; about 0.05 without memorisation, 1 for copies.
    ratio: median distance of samples over that of held-out images; about 1 without.
    threshold: the distance that 5 % of held-out images are below.
    distances: float64 `(samples, neighbours)`, of each sample's nearest training
        images, ascending.
    indices: int64 `(samples, neighbours)`, which ones.
    order: int64 `(samples,)`, the samples from the nearest to the farthest.
    held_out_distances: float64 `(held out,)`, to the nearest.
    """

    share: float
    ratio: float
    threshold: float
    distances: np.ndarray
    indices: np.ndarray
    order: np.ndarray
    held_out_distances: np.ndarray


def memorisation(
    samples: np.ndarray,
    training: np.ndarray,
    held_out: np.ndarray,
    neighbours: int = 1,
    share: float = SHARE,
) -> Memorisation:
    """Distances of samples to training images against held-out images' own.

    Args:
        samples: real numbers `(n, ...)`, features or pixels.
        training: `(m, ...)`, all that the generator has seen.
        held_out: `(k, ...)`, from the same source, never seen.
        neighbours: how many training images to name for each sample.
        share: of held-out images that lie below the threshold.

    Raises:
        ValueError: an array is empty, the sizes differ, `share` is not between 0 and 1,
            or there are fewer training images than neighbours.
    """
    if not 0 < share < 1:
        raise ValueError(f"`share` must be between 0 and 1. Received: {share}")
    samples, training, held_out = (
        _rows(name, array)
        for name, array in (
            ("samples", samples),
            ("training", training),
            ("held_out", held_out),
        )
    )
    distances, indices = nearest(samples, training, neighbours)
    own = nearest(held_out, training)[0][:, 0]
    threshold = float(np.quantile(own, share))
    middle = float(np.median(own))
    closest = distances[:, 0]
    return Memorisation(
        share=float(np.mean(closest < threshold)),
        ratio=float(np.median(closest)) / middle if middle > 0 else float("nan"),
        threshold=threshold,
        distances=distances,
        indices=indices,
        order=np.argsort(closest, kind="stable"),
        held_out_distances=own,
    )


def _rows(name: str, array: np.ndarray) -> np.ndarray:
    array = np.asarray(array)
    if array.ndim < 2 or not len(array):
        raise ValueError(f"`{name}` must hold rows. Received: {array.shape}")
    return array.reshape(len(array), -1)
