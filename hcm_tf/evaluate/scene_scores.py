"""Scores of segmentations of scenes, and segmentations that need no training.

What a model of scenes finds is worth what it is better by than these, on the same
scenes.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np

from hcm_tf.data.scene import Scene
from hcm_tf.data.scenes import RECIPES
from hcm_tf.evaluate.progress import bar
from hcm_tf.metrics.segmentation import (
    faults,
    foreground_rand_index,
    matched_overlap,
    segmentation_covering,
)
from hcm_tf.metrics.segmenters import (
    chroma,
    clusters_of_foreground,
    clusters_of_pixels,
    connected_components,
    tiles,
)

SCORES: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "ARI-FG": foreground_rand_index,
    "MSC-FG": segmentation_covering,
    "MSC": lambda truth, found: segmentation_covering(truth, found, background=True),
    "mIoU": matched_overlap,
}

FAULTS = ("objects", "split", "merged", "missed")

# From an image in [0, 1] and a seed to a label map.
Segmenter = Callable[[np.ndarray, int], np.ndarray]
Summary = dict[str, float | int | None]


def segments(name: str) -> int:
    """How many segments a segmentation of these scenes has: most objects, and one.

    As in the published comparisons, it is the same for every scene, whatever it holds.

    Args:
        name: of a recipe.
    """
    return RECIPES[name].most + 1


def baselines(name: str) -> dict[str, Segmenter]:
    """Segmentations without training, for one recipe, by their names.

    K-means has as many clusters as `segments` says.
    """
    pieces = name == "tetrominoes"
    recipe, clusters = RECIPES[name], segments(name)
    # Of pieces and items what is not black is bright, as their masks say.
    bright = 0.5 if name == "binarized" else 0.0 if pieces else 25 / 255

    def pixels(**weights: float) -> Segmenter:
        return lambda image, seed: clusters_of_pixels(image, clusters, seed, **weights)

    def bright_parts(parts: int) -> Segmenter:
        return lambda image, seed: clusters_of_foreground(
            image, parts, seed, threshold=bright
        )

    found = {"k-means, colour": pixels()}
    if pieces:
        found["k-means, hue"] = lambda image, seed: clusters_of_pixels(
            chroma(image), clusters, seed
        )
    found["components of one colour"] = lambda image, seed: connected_components(image)
    if pieces or name == "textured":
        found["components of one hue"] = lambda image, seed: connected_components(
            np.rint(chroma(image))
        )
    if pieces or name == "fashion_items":
        found["components of the bright"] = lambda image, seed: connected_components(
            image.max(axis=2, keepdims=True) > bright
        )
    found["k-means, colour + 0.5 place"] = pixels(place=0.5)
    if name == "textured":
        found["k-means, colour + 1 place"] = pixels(place=1.0)
        found["k-means, colour + 2 place"] = pixels(place=2.0)
    found["k-means, place alone"] = pixels(colour=0.0, place=1.0)
    if pieces or recipe.channels == 1:
        for parts in sorted({2, recipe.most}):
            found[f"{parts} parts of the bright"] = bright_parts(parts)
    found["4x4 tiles"] = lambda image, seed: tiles(image)
    found["one segment"] = lambda image, seed: tiles(image, 1)
    return found


def without_training(
    name: str, scenes: Sequence[Scene]
) -> dict[str, dict[str, Summary]]:
    """`score` of all `baselines` of a recipe, by their names."""
    segmenters = baselines(name)
    found = {}
    with bar("Without training", len(segmenters)) as advance:
        for baseline, segmenter in segmenters.items():
            found[baseline] = score(segmenter, scenes)
            advance(1)
    return found


def score(segmenter: Segmenter, scenes: Sequence[Scene]) -> dict[str, Summary]:
    """Each score's mean over scenes and its standard error; NaN is left out.

    A scene's number is the seed of its k-means.
    """
    of_scenes = [
        scores(scene.labels, segmenter(scene.image / 255, seed))
        for seed, scene in enumerate(scenes)
    ]
    return summaries(of_scenes)


def scores(truth: np.ndarray, found: np.ndarray) -> dict[str, float]:
    """Every score of one label map, see `metrics.segmentation`."""
    return {name: measure(truth, found) for name, measure in SCORES.items()}


def summaries(of_scenes: Sequence[dict[str, float]]) -> dict[str, Summary]:
    """For each score what `summary` says of its values.

    Args:
        of_scenes: scores by name, of every scene.
    """
    return {
        name: summary([values[name] for values in of_scenes]) for name in of_scenes[0]
    }


def total_faults(scenes: Sequence[Scene], labels: np.ndarray) -> dict[str, int]:
    """The objects of all scenes, and how many are split, merged or missed.

    Args:
        scenes: with the true segments.
        labels: those found, `(n, 64, 64)`, 0 for the background.
    """
    found = [faults(one.labels, own) for one, own in zip(scenes, labels, strict=True)]
    return {name: sum(one[name] for one in found) for name in FAULTS}


def summary(values: Sequence[float]) -> Summary:
    """Mean, standard error, and of how many values that are not NaN.

    The mean of none is None, as is the error of less than two.
    """
    valid = [value for value in values if not math.isnan(value)]
    count = len(valid)
    return {
        "mean": float(np.mean(valid)) if count else None,
        "error": float(np.std(valid, ddof=1) / math.sqrt(count)) if count > 1 else None,
        "images": count,
    }
