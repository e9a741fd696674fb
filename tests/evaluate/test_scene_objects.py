"""Objects found and their shapes, on scenes made by hand and on those of recipes."""

import numpy as np
import pytest

from hcm_tf.data import scenes
from hcm_tf.data.sprites import sprite, tetromino
from hcm_tf.evaluate import scene_objects, scene_shapes
from hcm_tf.features import damage
from hcm_tf.images import to_float


def squares(*colours, size=64):
    """Squares of 12 pixels in a row, on the first of the colours, in [-1, 1]."""
    background, *others = colours
    image = np.full((size, size, len(background)), background, "float32")
    for number, colour in enumerate(others):
        left = 4 + 15 * number
        image[20:32, left : left + 12] = colour
    return image


RED, GREEN, BLUE, GREY = (
    (0.8, -0.7, -0.7),
    (-0.7, 0.5, -0.6),
    (-0.8, -0.8, 0.6),
    (0,) * 3,
)


@pytest.mark.parametrize("blurred", [False, True])
def test_distinct_colours_are_objects(blurred):
    images = np.stack([squares(GREY, RED, GREEN, BLUE), squares(GREY, RED, GREEN, RED)])
    images = damage.blur(images, 0.8) if blurred else images
    found = [scene_objects.of_colours(image) for image in images]
    # Two objects of one colour are one.
    assert [len(one) for one in found] == [3, 2]
    areas = sorted(int(mask.sum()) for mask in found[0])
    assert all(abs(area - 144) <= (26 if blurred else 0) for area in areas)
    assert not found[0].any(axis=0)[:10].any()
    assert found[0].sum(axis=0).max() == 1


def test_an_image_of_one_colour_has_no_object():
    assert scene_objects.of_colours(squares(GREY)).shape == (0, 64, 64)
    assert scene_objects.of_hues(squares((-1, -1, -1))).shape == (0, 64, 64)
    # Pure noise has no flat pixel, and so no colour at all.
    noise = np.random.default_rng(0).uniform(-1, 1, (64, 64, 3))
    assert len(scene_objects.of_colours(noise)) == 0


def test_pieces_that_touch_are_told_apart_by_hue():
    shade = tetromino("O0", 16, 16) / 255
    other = tetromino("O0", 16, 32) / 255
    image = 2 * np.stack([shade, other, 0 * shade], axis=2) - 1
    found = scene_objects.of_hues(image)
    expected = [shade > 0, other > 0]
    assert len(found) == 2
    assert all(any(np.array_equal(one, mask) for mask in found) for one in expected)
    both = (shade + other > 0)[..., np.newaxis]
    assert len(scene_objects.bright(2.0 * both - 1)) == 1


@pytest.mark.parametrize(
    ("recipe", "least"),
    [("tetrominoes", 0.9), ("genesis", 0.8), ("colored_on_colored", 0.8)],
)
def test_counts_of_real_scenes_are_mostly_right(recipe, least):
    _, find = scene_objects.finder(recipe)
    drawn = [scenes.draw(recipe, 60_000 + number) for number in range(25)]
    right = [len(find(to_float(one.image))) == one.count for one in drawn]
    assert np.mean(right) >= least


def test_every_recipe_has_its_way():
    names = {recipe: scene_objects.finder(recipe) for recipe in scenes.RECIPES}
    assert names.pop("textured") is None
    assert {recipe: name for recipe, (name, _) in names.items()} == {
        "colored_on_colored": "distinct colours",
        "colored_on_grayscale": "distinct colours",
        "genesis": "distinct colours",
        "binarized": "bright spots",
        "fashion_items": "bright spots",
        "tetrominoes": "spots of one hue",
    }
    shapes = {recipe: scene_shapes.measure(recipe) for recipe in scenes.RECIPES}
    assert shapes["textured"] is None
    assert shapes["fashion_items"] == (scene_shapes.FILL, scene_shapes.fill)


def test_an_image_of_another_size_is_looked_at_by_its_nearest_pixels():
    image = np.arange(32 * 32 * 3).reshape(32, 32, 3)
    expected = image.repeat(2, axis=0).repeat(2, axis=1)
    np.testing.assert_array_equal(scene_objects.resized(image), expected)
    np.testing.assert_array_equal(scene_objects.resized(expected, 32), image)


def test_a_sprite_anywhere_fits_its_template():
    _, fits = scene_shapes.measure("binarized")
    # Places a whole number of pixels from the middle, and angles of the templates.
    for shape, scale, turn in (
        ("heart", 0.8, 7),
        ("square", 1.0, 3),
        ("ellipse", 0.5, 0),
    ):
        mask = sprite(shape, scale, turn * np.pi / 20, 19, 41)
        assert fits(mask) == 1
    between = fits(sprite("heart", 0.8, 0.1, 19.4, 41.7))
    assert 0.85 < between < 1
    # Twice as long as it is wide, of which the largest square is half.
    ring = sprite("square", 1.0, 0, 32, 32) & ~sprite("square", 0.7, 0, 32, 32)
    assert fits(ring) < 0.6
    assert fits(np.zeros((64, 64), bool)) == 0
    assert fits(np.ones((64, 64), bool)) < 0.1


def test_every_piece_fits_its_template():
    _, fits = scene_shapes.measure("tetrominoes")
    for name in ("I0", "T1", "L3"):
        assert fits(tetromino(name, 5, 20) > 0) == 1
    assert fits(sprite("square", 1.0, 0, 32, 32)) < 0.9


def test_fill_is_of_the_box():
    mask = np.zeros((10, 10), bool)
    mask[2:5, 3:7] = True
    assert scene_shapes.fill(mask) == 1
    mask[2, 3] = False
    assert scene_shapes.fill(mask) == 11 / 12
    assert scene_shapes.fill(np.zeros((10, 10), bool)) == 0
