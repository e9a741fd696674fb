"""Shapes against the areas and boxes of the official dSprites, and by symmetry."""

import numpy as np
import pytest

from hcm_tf.data.sprites import (
    ANGLES,
    PLACES,
    SCALES,
    SHAPES,
    SIZE,
    TETROMINOES,
    bevel,
    sprite,
    stripes,
    tetromino,
)

# Counted in the official frames, upright, by scale.
OFFICIAL_AREAS = {
    "square": [100, 144, 196, 256, 324, 400],
    "ellipse": [76, 104, 144, 184, 228, 288],
    "heart": [58, 84, 108, 140, 182, 222],
}
# Ours by no more than this, in pixels.
ALLOWED = {"square": 0, "ellipse": 4, "heart": 8}
OFFICIAL_ELLIPSES = [(12, 8), (16, 8), (18, 10), (20, 12), (22, 12), (26, 14)]


def box(mask):
    """Width and height."""
    rows, columns = np.nonzero(mask)
    return int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1


@pytest.mark.parametrize("shape", SHAPES)
def test_areas_are_the_official_ones(shape):
    areas = [sprite(shape, scale, 0, 16, 16).sum() for scale in SCALES]
    np.testing.assert_allclose(
        areas, OFFICIAL_AREAS[shape], rtol=0, atol=ALLOWED[shape]
    )


@pytest.mark.parametrize(
    ("shape", "area"),
    [
        ("square", 19.2**2),
        ("ellipse", np.pi * 12.75 * 7.25),
        ("heart", 11.2**2 * (1 + np.pi / 4)),
    ],
)
def test_turned_shapes_have_the_area_of_their_formula(shape, area):
    """Where pixels do not line up with edges, they count an area without bias."""
    random = np.random.default_rng(0)
    for scale in (0.6, 1.0):
        counts = [
            sprite(shape, scale, random.uniform(0, 7), *random.uniform(30, 34, 2)).sum()
            for _ in range(400)
        ]
        assert np.mean(counts) == pytest.approx(area * scale**2, rel=0.01)


def test_boxes_are_the_official_ones():
    squares = [box(sprite("square", scale, 0, 16, 16)) for scale in SCALES]
    assert squares == [(side, side) for side in (10, 12, 14, 16, 18, 20)]
    ellipses = [box(sprite("ellipse", scale, 0, 16, 16)) for scale in SCALES]
    differ = np.subtract(ellipses, OFFICIAL_ELLIPSES)
    # At one scale the official ellipse is two rows lower.
    assert np.abs(differ).sum() == 2
    assert np.abs(differ).max() == 2


@pytest.mark.parametrize("shape", SHAPES)
def test_no_shape_leaves_the_frame(shape):
    inside = slice(1, -1)
    for angle in ANGLES:
        for x, y in ((PLACES[0], PLACES[0]), (PLACES[-1], PLACES[0])):
            mask = sprite(shape, 1.0, angle, x, y)
            assert mask.sum() == mask[inside, inside].sum() > 0


@pytest.mark.parametrize("shape", SHAPES)
def test_a_shape_moves_with_its_centre(shape):
    near = sprite(shape, 0.8, 0.3, 20.25, 22.5)
    far = sprite(shape, 0.8, 0.3, 31.25, 39.5)
    np.testing.assert_array_equal(np.roll(near, (17, 11), (0, 1)), far)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_quarter_turn_is_clockwise(shape):
    upright = sprite(shape, 0.9, 0.2, 32, 32)
    turned = sprite(shape, 0.9, 0.2 + np.pi / 2, 32, 32)
    np.testing.assert_array_equal(np.rot90(upright, -1), turned)


def test_shapes_are_what_their_names_say():
    square, ellipse, heart = (sprite(shape, 1.0, 0, 32, 32) for shape in SHAPES)
    np.testing.assert_array_equal(square, square.T)
    assert square[22:42, 22:42].all()
    assert ellipse[32, 20]
    assert not ellipse[20, 32]
    np.testing.assert_array_equal(heart, heart[:, ::-1])
    rows = heart.sum(axis=1)
    top, bottom = np.flatnonzero(rows)[[0, -1]]
    assert not heart[top, 31:33].any()  # The dent between the lobes.
    assert heart[bottom, 31:33].all()  # The tip.
    assert np.argmax(rows) < (top + bottom) / 2


def test_an_unknown_shape_is_refused():
    with pytest.raises(ValueError, match="triangle"):
        sprite("triangle", 1.0, 0, 32, 32)


def test_stripes_repeat_after_a_period():
    upright = stripes(0.0, 8.0, 0.0)
    expected = np.tile(np.repeat([0, 1], 4), 8)
    np.testing.assert_array_equal(upright, np.tile(expected, (SIZE, 1)))
    np.testing.assert_array_equal(stripes(np.pi / 2, 8.0, 0.0), upright.T)
    np.testing.assert_array_equal(stripes(0.0, 8.0, 0.5), 1 - upright)
    slanted = stripes(0.7, 5.3, 0.1)
    assert slanted.mean() == pytest.approx(0.5, abs=0.03)


def test_there_are_19_tetrominoes():
    assert len(TETROMINOES) == 19
    shapes = {(one.shape, one.tobytes()) for one in TETROMINOES.values()}
    assert len(shapes) == 19
    for cells in TETROMINOES.values():
        assert cells.sum() == 4
        assert cells.any(axis=0).all()
        assert cells.any(axis=1).all()
        places = {tuple(place) for place in np.argwhere(cells)}
        reached = {min(places)}
        for _ in range(4):
            reached |= {
                (row + down, column + right)
                for row, column in reached
                for down, right in ((0, 1), (1, 0), (0, -1), (-1, 0))
                if (row + down, column + right) in places
            }
        assert reached == places


def test_a_piece_is_its_cells_of_eight_bevelled_pixels():
    shade = tetromino("L0", 7, 20)
    cells = [(0, 2), (1, 0), (1, 1), (1, 2)]
    expected = np.zeros((SIZE, SIZE), np.uint8)
    for row, column in cells:
        for i in range(8):
            for j in range(8):
                expected[7 + 8 * row + i, 20 + 8 * column + j] = bevel()[i, j]
    np.testing.assert_array_equal(shade, expected)
    small = tetromino("L0", 3, 10, cell=5, side=35)
    assert small.shape == (35, 35)
    np.testing.assert_array_equal(small[3:8, 20:25], bevel(5))
    assert small.astype(bool).sum() == 100


def test_the_bevel_is_light_above_and_dark_below():
    assert bevel(5).tolist() == [
        [191, 255, 255, 255, 223],
        [127, 159, 159, 159, 191],
        [127, 159, 159, 159, 191],
        [127, 159, 159, 159, 191],
        [128, 66, 66, 66, 127],
    ]
    large = bevel()
    assert large.shape == (8, 8)
    assert large[0].tolist() == [191, 191, 255, 255, 255, 255, 223, 223]
    assert large[4].tolist() == [127, 127, 159, 159, 159, 159, 191, 191]
    assert large[-1].tolist() == [128, 128, 66, 66, 66, 66, 127, 127]
