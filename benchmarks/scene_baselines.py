"""Which segmentations without training are scored on which scenes, and beside what.

`FIRST` holds what another implementation found, of scenes and of baselines, before this
one was written: an error in a recipe or a score would show as a difference.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from hcm_tf.config import DataConfig
from hcm_tf.data import load_scenes, scene_source
from hcm_tf.data.scene import Scene
from hcm_tf.data.scenes import RECIPES, draw_small_tetrominoes
from hcm_tf.metrics.segmentation import (
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

# Tetrominoes of 35x35 pixels: what `FIRST` has of them was found at that size.
SMALL = "tetrominoes_35"
SETS = (*RECIPES, SMALL)

SCORES: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "ARI-FG": foreground_rand_index,
    "MSC-FG": segmentation_covering,
    "MSC": lambda truth, found: segmentation_covering(truth, found, background=True),
    "mIoU": matched_overlap,
}

_COLOUR = "k-means, colour"
_COMPONENTS = "components of one colour"
_HUES = "components of one hue"
_PLACE = "k-means, place alone"
_TILES = "4x4 tiles"
_ONE = "one segment"


class First(NamedTuple):
    """What was found before: two scores, and of how many images."""

    rand_index: float
    covering: float
    images: int = 100


FIRST: dict[str, dict[str, First]] = {
    "colored_on_colored": {
        _COLOUR: First(1.00, 1.00, 320),
        _COMPONENTS: First(0.998, 0.993),
        "k-means, colour + 0.5 place": First(0.74, 0.65),
        _PLACE: First(0.39, 0.15, 320),
        _TILES: First(0.32, 0.30),
        _ONE: First(0.24, 0.04),
    },
    "colored_on_grayscale": {
        _COLOUR: First(1.00, 1.00, 320),
        _COMPONENTS: First(0.997, 0.987),
        "k-means, colour + 0.5 place": First(0.69, 0.59),
        _PLACE: First(0.39, 0.15, 320),
        _TILES: First(0.39, 0.30),
        _ONE: First(0.00, 0.04),
    },
    "genesis": {
        _COLOUR: First(0.997, 0.991, 320),
        _COMPONENTS: First(0.994, 0.985),
        "k-means, colour + 0.5 place": First(0.85, 0.70),
        _PLACE: First(0.39, 0.15, 320),
        _TILES: First(0.27, 0.29),
        _ONE: First(0.27, 0.04),
    },
    "binarized": {
        _COLOUR: First(0.01, 0.42, 320),
        _COMPONENTS: First(0.505, 0.69, 320),
        "k-means, colour + 0.5 place": First(0.03, 0.44),
        _PLACE: First(0.51, 0.13, 320),
        "2 parts of the bright": First(0.686, 0.739, 320),
        "3 parts of the bright": First(0.578, 0.702, 320),
        _TILES: First(0.38, 0.30),
        _ONE: First(0.00, 0.04),
    },
    "textured": {
        _COLOUR: First(0.32, 0.49, 320),
        _HUES: First(0.27, 0.29),
        "k-means, colour + 0.5 place": First(0.40, 0.40),
        "k-means, colour + 1 place": First(0.41, 0.26, 320),
        "k-means, colour + 2 place": First(0.475, 0.21, 320),
        _PLACE: First(0.37, 0.17, 320),
        _TILES: First(0.32, 0.35),
    },
    SMALL: {
        _COLOUR: First(0.57, 0.68),
        "k-means, hue": First(0.74, 0.80),
        _HUES: First(0.96, 0.97),
        "components of the bright": First(0.78, 0.84),
        "k-means, colour + 0.5 place": First(0.53, 0.64),
        _TILES: First(0.38, 0.36),
    },
}

Segmenter = Callable[[np.ndarray, int], np.ndarray]


def baselines(name: str) -> dict[str, Segmenter]:
    """Segmentations for one set: from an image in [0, 1] and a seed to labels.

    K-means has as many clusters as the recipe's most objects and the background make,
    whatever the image holds.
    """
    pieces = name in ("tetrominoes", SMALL)
    recipe = RECIPES["tetrominoes" if pieces else name]
    clusters = recipe.most + 1
    # Of pieces and items what is not black is bright, as their masks say.
    bright = 0.5 if name == "binarized" else 0.0 if pieces else 25 / 255

    def pixels(**weights: float) -> Segmenter:
        return lambda image, seed: clusters_of_pixels(image, clusters, seed, **weights)

    def bright_parts(parts: int) -> Segmenter:
        return lambda image, seed: clusters_of_foreground(
            image, parts, seed, threshold=bright
        )

    found = {_COLOUR: pixels()}
    if pieces:
        found["k-means, hue"] = lambda image, seed: clusters_of_pixels(
            chroma(image), clusters, seed
        )
    found[_COMPONENTS] = lambda image, seed: connected_components(image)
    if pieces or name == "textured":
        found[_HUES] = lambda image, seed: connected_components(np.rint(chroma(image)))
    if pieces or name == "fashion_items":
        found["components of the bright"] = lambda image, seed: connected_components(
            image.max(axis=2, keepdims=True) > bright
        )
    found["k-means, colour + 0.5 place"] = pixels(place=0.5)
    if name == "textured":
        found["k-means, colour + 1 place"] = pixels(place=1.0)
        found["k-means, colour + 2 place"] = pixels(place=2.0)
    found[_PLACE] = pixels(colour=0.0, place=1.0)
    if pieces or recipe.channels == 1:
        for parts in sorted({2, recipe.most}):
            found[f"{parts} parts of the bright"] = bright_parts(parts)
    found[_TILES] = lambda image, seed: tiles(image)
    found[_ONE] = lambda image, seed: tiles(image, 1)
    return found


def test_scenes(name: str, count: int, data: DataConfig) -> list[Scene]:
    """The first test scenes of a set of `SETS`."""
    if name == SMALL:
        start = scene_source.TRAIN_SCENES
        return [draw_small_tetrominoes(start + number) for number in range(count)]
    return load_scenes(data, count)


def score(segmenter: Segmenter, scenes: list[Scene]) -> dict[str, dict[str, float]]:
    """Each score's mean over scenes and its standard error; NaN is left out.

    A scene's number is the seed of its k-means.
    """
    values: dict[str, list[float]] = {name: [] for name in SCORES}
    for seed, scene in enumerate(scenes):
        found = segmenter(scene.image / 255, seed)
        for name, measure in SCORES.items():
            values[name].append(measure(scene.labels, found))
    return {name: _summary(of_scenes) for name, of_scenes in values.items()}


def _summary(values: list[float]) -> dict[str, float]:
    valid = [value for value in values if not math.isnan(value)]
    return {
        "mean": float(np.mean(valid)),
        "error": float(np.std(valid, ddof=1) / math.sqrt(len(valid))),
        "images": len(valid),
    }


def compared(name: str, baseline: str, row: dict[str, Any]) -> list[dict[str, Any]]:
    """For both scores that `FIRST` has: how far apart, in standard errors.

    Those of `FIRST` were not kept, and are taken as ours for its number of images. What
    its rounding may hide is not counted. None where scores do not vary and differ.
    """
    first = FIRST.get(name, {}).get(baseline)
    if first is None:
        return []
    found = []
    for measure, before in (("ARI-FG", first.rand_index), ("MSC-FG", first.covering)):
        own = row[measure]
        rounding = 0.005 if round(before, 2) == before else 0.0005
        apart = max(abs(own["mean"] - before) - rounding, 0.0)
        error = own["error"] * math.sqrt(1 + own["images"] / first.images)
        errors = 0.0 if not apart else apart / error if error else None
        found.append({"score": measure, "first": before, "errors_apart": errors})
    return found
