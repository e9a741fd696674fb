"""Scenes of several objects whose masks, places and depth are known.

Multi-dSprites in four recipes, Tetrominoes, several items of Fashion-MNIST, and striped
sprites. A scene is a pure function of (recipe, seed, index). docs/scenes.md gives the
sources, and says in what these differ from the published files.
"""

import colorsys
import dataclasses
import zlib
from collections.abc import Callable

import numpy as np
from PIL import Image

from hcm_tf.data.scene import Items, Scene, brightest, layered, seen
from hcm_tf.data.sprites import (
    ANGLES,
    CELL,
    PLACES,
    SCALES,
    SHAPES,
    SIZE,
    TETROMINOES,
    sprite,
    stripes,
    tetromino,
)

# Of each channel, in GENESIS's recipe.
_GENESIS_LEVELS = (0, 63, 127, 191, 255)
# Stripes of sprites smaller than this would hold no whole period.
_STRIPED_SCALES = tuple(scale for scale in SCALES if scale >= 0.7)
_STRIPE_PERIODS = (3.0, 8.0)
# Red, green, blue, cyan, magenta, yellow.
_PIECE_COLOURS = ((1, 0, 0), (0, 1, 0), (0, 0, 1), (0, 1, 1), (1, 0, 1), (1, 1, 0))
_CELLS_ACROSS = 7
# AIR's canvas (Eslami et al. 2016), and how much items shrink.
_CANVAS = 50
_SHRINKING = (1.3, 0.1)
# A pixel belongs to an item that is brighter than this there; edges are faint.
_ITEM_LEVEL = 25


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How scenes of a kind are made.

    Attributes:
        least: objects that are placed, at least; all numbers are equally frequent.
        most: at most.
        paint: draws that many; `fashion_items` takes the items too.
        channels: of the images.
    """

    least: int
    most: int
    paint: Callable[..., Scene]
    channels: int = 3

    @property
    def fewest_seen(self) -> int:
        """Objects that a scene shows, at least: one may hide all others."""
        return self.least if self.paint in (_pieces, _items) else 1


def draw(name: str, index: int, *, seed: int = 0, items: Items | None = None) -> Scene:
    """Draws one scene.

    Objects that are wholly hidden are left out, so that a scene may show fewer than its
    recipe places.

    Args:
        name: one of `RECIPES`.
        index: number of the scene, 0 or more.
        seed: key of the whole set.
        items: of `fashion_items` alone, what it is made of.
    """
    recipe = RECIPES[name]
    random = np.random.default_rng((seed, zlib.crc32(name.encode()), index))
    count = int(random.integers(recipe.least, recipe.most + 1))
    if recipe.paint is _items:
        return _items(random, count, items)
    return recipe.paint(random, count)


def draw_small_tetrominoes(index: int, *, seed: int = 0) -> Scene:
    """Tetrominoes of the published size, 35x35 pixels, to compare scores with.

    Args:
        index: number of the scene, 0 or more.
        seed: key of the whole set.
    """
    random = np.random.default_rng((seed, zlib.crc32(b"small_tetrominoes"), index))
    return _pieces(random, RECIPES["tetrominoes"].most, cell=5, side=35)


def _colored_on_colored(random: np.random.Generator, count: int) -> Scene:
    colours = random.integers(0, 256, (count + 1, 1, 3), np.uint8)
    return _of_sprites(random, colours)


def _colored_on_grayscale(random: np.random.Generator, count: int) -> Scene:
    grey = [int(random.integers(0, 256))] * 3
    hsv = random.uniform(size=(count, 3))
    rgb = [[round(255 * level) for level in colorsys.hsv_to_rgb(*one)] for one in hsv]
    return _of_sprites(random, np.array([grey, *rgb], np.uint8)[:, np.newaxis])


def _binarized(random: np.random.Generator, count: int) -> Scene:
    colours = np.array([0] + [255] * count, np.uint8)
    return _of_sprites(random, colours[:, np.newaxis, np.newaxis])


def _genesis(random: np.random.Generator, count: int) -> Scene:
    levels = np.array(_GENESIS_LEVELS, np.uint8)
    colours = levels[random.integers(0, len(levels), (count + 1, 1, 3))]
    return _of_sprites(random, colours)


def _textured(random: np.random.Generator, count: int) -> Scene:
    colours = random.integers(0, 256, (count + 1, 2, 3), np.uint8)
    patterns = [
        stripes(
            random.uniform(0, np.pi), random.uniform(*_STRIPE_PERIODS), random.uniform()
        )
        for _ in range(count + 1)
    ]
    return _of_sprites(random, colours, patterns, _STRIPED_SCALES)


def _of_sprites(
    random: np.random.Generator,
    colours: np.ndarray,
    patterns: list[np.ndarray] | None = None,
    scales: tuple[float, ...] = SCALES,
) -> Scene:
    """Sprites that may hide each other, the later ones the earlier.

    Args:
        random: where shapes and places come from.
        colours: uint8 `(1 + objects, k, channels)`; the background is the first.
        patterns: for each of these, which of its colours is where, `(64, 64)`.
        scales: to choose from.
    """
    count = len(colours) - 1
    shapes = [SHAPES[number] for number in random.integers(0, len(SHAPES), count)]
    scale = random.choice(scales, count)
    angle = random.choice(ANGLES, count)
    place = random.choice(PLACES, (count, 2))
    masks = [
        sprite(shape, *rest, *centre)
        for shape, *rest, centre in zip(shapes, scale, angle, place, strict=True)
    ]
    labels = layered(masks)
    which = 0 if patterns is None else np.choose(labels, patterns)
    return seen(
        image=colours[labels, which],
        labels=labels,
        masks=masks,
        shapes=shapes,
        positions=place,
        scales=scale,
        angles=angle,
        colours=colours[1:],
        background=colours[0],
    )


def _pieces(
    random: np.random.Generator, count: int, *, cell: int = CELL, side: int = SIZE
) -> Scene:
    """Tetrominoes that do not overlap: all their places are drawn until they do not."""
    names = [list(TETROMINOES)[k] for k in random.integers(0, len(TETROMINOES), count)]
    boxes = np.array([TETROMINOES[name].shape for name in names]) * cell
    colours = np.array(_PIECE_COLOURS, np.uint8)[random.integers(0, 6, count)]
    frame = (side - _CELLS_ACROSS * cell) // 2
    while True:
        corners = frame + random.integers(0, _CELLS_ACROSS * cell - boxes + 1)
        shades = np.stack(
            [
                tetromino(name, *corner, cell=cell, side=side)
                for name, corner in zip(names, corners, strict=True)
            ]
        )
        masks = shades > 0
        if masks.sum(axis=0, dtype=np.uint8).max() <= 1:
            break
    return seen(
        image=np.tensordot(shades, colours, axes=(0, 0)).astype(np.uint8),
        labels=layered(masks),
        masks=masks,
        shapes=names,
        positions=(corners + boxes / 2)[:, ::-1],
        scales=np.ones(count),
        angles=np.zeros(count),
        colours=255 * colours[:, np.newaxis],
        background=np.zeros((1, 3), np.uint8),
    )


def _items(random: np.random.Generator, count: int, items: Items) -> Scene:
    """Pictures that are added up; all are drawn anew if the sum is too bright."""
    while True:
        placed = [_placed(random, items.images) for _ in range(count)]
        layers = np.zeros((count, SIZE, SIZE), np.uint8)
        for layer, (_, pixels, (top, left)) in zip(layers, placed, strict=True):
            layer[top : top + len(pixels), left : left + len(pixels)] = pixels
        total = layers.sum(axis=0, dtype=int)
        if total.max() <= 255:
            break
    masks = layers > _ITEM_LEVEL
    sides = np.array([len(pixels) for _, pixels, _ in placed])
    corners = np.array([corner for *_, corner in placed]).reshape(count, 2)
    return seen(
        image=total.astype(np.uint8)[..., np.newaxis],
        labels=brightest(layers, masks),
        masks=masks,
        shapes=[items.classes[number] for number, *_ in placed],
        positions=(corners + sides[:, np.newaxis] / 2)[:, ::-1],
        scales=sides / items.images.shape[1],
        angles=np.zeros(count),
        # A photograph has no colour of its own.
        colours=np.zeros((count, 0, 1), np.uint8),
        background=np.zeros((1, 1), np.uint8),
    )


def _placed(
    random: np.random.Generator, images: np.ndarray
) -> tuple[int, np.ndarray, np.ndarray]:
    """One item: its number, its pixels, and the row and column of its corner."""
    number = int(random.integers(len(images)))
    side = min(int(images.shape[1] / random.normal(*_SHRINKING)), _CANVAS)
    picture = Image.fromarray(images[number])
    pixels = np.asarray(picture.resize((side, side), Image.Resampling.BILINEAR))
    corner = random.integers(0, _CANVAS - side + 1, 2) + (SIZE - _CANVAS) // 2
    return number, pixels, corner


RECIPES = {
    "colored_on_colored": Recipe(1, 4, _colored_on_colored),
    "colored_on_grayscale": Recipe(2, 5, _colored_on_grayscale),
    "genesis": Recipe(1, 4, _genesis),
    "binarized": Recipe(2, 3, _binarized, channels=1),
    "tetrominoes": Recipe(3, 3, _pieces),
    "fashion_items": Recipe(0, 2, _items, channels=1),
    "textured": Recipe(1, 4, _textured),
}
