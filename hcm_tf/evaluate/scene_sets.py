"""What is known of a set of images of scenes, and how far two sets are apart."""

import dataclasses
from typing import Any

import numpy as np

from hcm_tf.data.scenes import RECIPES
from hcm_tf.evaluate import scene_objects, scene_shapes
from hcm_tf.evaluate.gather import in_batches
from hcm_tf.evaluate.progress import bar
from hcm_tf.evaluate.samples import FEW_HALVES, WIDE
from hcm_tf.features import Extractor
from hcm_tf.features.classifier import Classifier
from hcm_tf.images import to_float
from hcm_tf.metrics import bootstrap
from hcm_tf.metrics.composition import predicted, total_variation
from hcm_tf.metrics.distributions import wasserstein

# Templates take most of the time, and half a thousand images have enough objects.
SHAPED = 500
BY_CLASSIFIER = "the classifier"


@dataclasses.dataclass(frozen=True)
class Judged:
    """A set of images.

    Attributes:
        counts: how many objects each has, by each way to count: integers `(n,)`.
        areas: of all objects that were found, in hundredths of the image, `(m,)`.
        shapes: of those of the first images, see `scene_shapes`, `(k,)`.
        features: of the extractor, float32 `(n, size)`.
    """

    counts: dict[str, np.ndarray]
    areas: np.ndarray
    shapes: np.ndarray
    features: np.ndarray

    def about(self) -> dict[str, Any]:
        """Histograms of counts, and quartiles of the objects, as JSON values."""
        return {
            "counts": {
                name: np.bincount(one).tolist() for name, one in self.counts.items()
            },
            "area": _quartiles(self.areas),
            "shape": _quartiles(self.shapes),
        }


class Judge:
    """Looks at images of one recipe; calling it gives what is `Judged`.

    Args:
        recipe: the name of the scenes.
        extractor: gives features; a classifier of the recipe's counts counts too.
    """

    def __init__(self, recipe: str, extractor: Extractor) -> None:
        self.extractor = extractor
        self.finder = scene_objects.finder(recipe)
        self.shape = scene_shapes.measure(recipe)
        kind = RECIPES[recipe]
        names = tuple(map(str, range(kind.fewest_seen, kind.most + 1)))
        self.fewest = kind.fewest_seen
        self.counts = (
            isinstance(extractor, Classifier)
            and tuple(extractor.heads.get("count", ())) == names
        )

    def __call__(self, pixels: np.ndarray) -> Judged:
        """Judges images, uint8 `(n, size, size, channels)`."""
        counts: dict[str, list[int]] = {}
        areas, shapes, found, done = [], [], [], 0
        with bar("Finding objects", len(pixels)) as advance:
            for some in in_batches(pixels):
                images = to_float(some)
                found.append(self.extractor.features(images))
                if self.finder is not None:
                    name, find = self.finder
                    masks = [find(scene_objects.resized(one)) for one in images]
                    counts.setdefault(name, []).extend(map(len, masks))
                    areas += [100 * one.mean() for each in masks for one in each]
                    shapes += [
                        self.shape[1](one)
                        for each in masks[: max(SHAPED - done, 0)]
                        for one in each
                    ]
                done += len(some)
                advance(len(some))
        features = np.concatenate(found)
        arrays = {name: np.array(one, int) for name, one in counts.items()}
        if self.counts:
            said = predicted(self.extractor.log_probabilities(features))["count"]
            arrays[BY_CLASSIFIER] = self.fewest + said
        return Judged(arrays, np.array(areas), np.array(shapes), features)


def compared(reference: Judged, other: Judged, seed: int) -> dict[str, Any]:
    """How far a set is from real scenes, as JSON values.

    Args:
        reference: real scenes.
        other: as many images.
        seed: of the halves that intervals are made of.

    Returns:
        What `Judged.about` says of the set, and `total_variation`, of each way to
        count, and `frechet`, each `value`, `low` and `high` (95 %); `area_distance`, in
        hundredths of the image, and `shape_distance`, Wasserstein-1, null where no
        objects are found.
    """
    wide = reference.features.shape[1] > WIDE
    halves = FEW_HALVES if wide else bootstrap.HALVES
    return {
        **other.about(),
        "total_variation": {
            name: bootstrap.interval(
                total_variation, reference.counts[name], counts, seed
            )._asdict()
            for name, counts in other.counts.items()
        },
        "frechet": bootstrap.frechet_interval(
            reference.features, other.features, seed, halves
        )._asdict(),
        "area_distance": _or_none(wasserstein(reference.areas, other.areas)),
        "shape_distance": _or_none(wasserstein(reference.shapes, other.shapes)),
    }


def _quartiles(values: np.ndarray) -> dict[str, Any]:
    """How many, the mean, and the quartiles; null of none."""
    if not len(values):
        return {"objects": 0, "mean": None, "quartiles": None}
    return {
        "objects": len(values),
        "mean": float(np.mean(values)),
        "quartiles": np.quantile(values, (0.25, 0.5, 0.75)).tolist(),
    }


def _or_none(value: float) -> float | None:
    return value if np.isfinite(value) else None
