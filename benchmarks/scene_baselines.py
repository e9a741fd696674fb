"""Which segmentations without training are scored on which scenes, and beside what.

`FIRST` holds what another implementation found, of scenes and of baselines, before this
one was written: an error in a recipe or a score would show as a difference.
"""

import math
from typing import Any, NamedTuple

from hcm_tf.config import DataConfig
from hcm_tf.data import load_scenes, scene_source
from hcm_tf.data.scene import Scene
from hcm_tf.data.scenes import RECIPES, draw_small_tetrominoes
from hcm_tf.evaluate import scene_scores
from hcm_tf.evaluate.scene_scores import Segmenter

# Tetrominoes of 35x35 pixels: what `FIRST` has of them was found at that size.
SMALL = "tetrominoes_35"
SETS = (*RECIPES, SMALL)

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


def baselines(name: str) -> dict[str, Segmenter]:
    """Segmentations for one set of `SETS`: from an image in [0, 1] to labels."""
    return scene_scores.baselines("tetrominoes" if name == SMALL else name)


def test_scenes(name: str, count: int, data: DataConfig) -> list[Scene]:
    """The first test scenes of a set of `SETS`."""
    if name == SMALL:
        start = scene_source.TRAIN_SCENES
        return [draw_small_tetrominoes(start + number) for number in range(count)]
    return load_scenes(data, count)


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
