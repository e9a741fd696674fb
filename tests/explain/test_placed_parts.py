"""Segments of parts that are placed by hand."""

import numpy as np
import pytest

from hcm_tf.explain import placed_parts
from hcm_tf.operations import placing
from hcm_tf.operations.placing import Placing

# At home a location's middle tap alone reaches the 2 x 2 pixels of its cell, by 1.
MIDDLE = 4


def empty(locations=16):
    return Placing(
        position=np.zeros((1, locations, 2), "float32"),
        scale=np.ones((1, locations), "float32"),
        presence=np.ones((1, locations), "float32"),
        depth=np.zeros((1, locations), "float32"),
        opacity=np.zeros((1, locations, 9), "float32"),
        stretch=np.zeros((1, locations, 2), "float32"),
    )


def part(placed, location, *, opacity=1.0, position=(0, 0), presence=1.0, depth=0.0):
    placed.opacity[0, location, MIDDLE] = opacity
    placed.position[0, location] = position
    placed.presence[0, location] = presence
    placed.depth[0, location] = depth


def scattered():
    """One part at home, one moved down a cell, and three that are not there."""
    placed = empty()
    part(placed, 0)
    part(placed, 10, position=(1, 0))
    part(placed, 3, presence=0.4, opacity=2.5)
    part(placed, 12, opacity=0.15)
    part(placed, 15, opacity=-1)
    return placed


def ramp(first, size=64):
    """How much a pixel is within two of eight, by hand: bilinear between centres."""
    values = np.zeros(size)
    for pixel in range(size):
        place = min(max((pixel + 0.5) / 8 - 0.5, 0), 7)
        lower = int(place)
        for near, weight in ((lower, 1 - place + lower), (lower + 1, place - lower)):
            values[pixel] += weight * (first <= near < first + 2)
    return values


def test_parts_cover_what_they_show_and_the_background_the_rest():
    found = placed_parts.masks(scattered(), 64)
    expected = np.zeros((17, 64, 64))
    expected[1] = np.outer(ramp(0), ramp(0))
    expected[11] = np.outer(ramp(5), ramp(4))
    expected[0] = 1 - expected[1] - expected[11]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_pixel_is_of_the_part_that_shows_more_of_it_than_the_background():
    found = placed_parts.labels(scattered(), 64)
    expected = np.zeros((64, 64), int)
    expected[np.outer(ramp(0), ramp(0)) > 0.5] = 1
    expected[np.outer(ramp(5), ramp(4)) > 0.5] = 11
    np.testing.assert_array_equal(found, expected)
    # All of the cells but their rounded corners.
    assert (found[:14, :14] == 1).all()
    assert (found[43:53, 34:46] == 11).all()
    assert set(np.unique(found)) == {0, 1, 11}


def test_parts_are_counted_that_are_there_and_cover_something():
    assert np.flatnonzero(placed_parts.present(scattered())).tolist() == [0, 10]
    # A cell is a sixteenth of the image: 0.15 of it is less than a hundredth.
    placed = empty()
    part(placed, 12, opacity=0.17)
    assert np.flatnonzero(placed_parts.present(placed)).tolist() == [12]
    part(placed, 12, presence=0.51)
    part(placed, 13, presence=0.5)
    assert np.flatnonzero(placed_parts.present(placed)).tolist() == [12]
    assert not placed_parts.present(empty()).any()


def test_a_part_that_is_not_there_leaves_its_pixels_to_the_background():
    """Also where it hides one that is there."""
    placed = empty()
    part(placed, 5)
    part(placed, 6, position=(0, -1), presence=0.5, opacity=2, depth=9)
    found = placed_parts.labels(placed, 8)
    expected = np.zeros((8, 8), int)
    expected[2:4, 2] = 6
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("front", [5, 6])
def test_where_parts_meet_the_one_in_front_is_seen(front):
    placed = empty()
    part(placed, 5, position=(0, 1), depth=float(front == 5))
    part(placed, 6, depth=float(front == 6))
    found = placed_parts.labels(placed, 8)
    expected = np.zeros((8, 8), int)
    expected[2:4, 3], expected[2:4, 5] = 6, 7
    expected[2:4, 4] = 1 + front
    np.testing.assert_array_equal(found, expected)


def test_a_hidden_part_is_not_counted():
    placed = empty()
    part(placed, 5, position=(0, 1))
    part(placed, 6, position=(0, -1))
    assert np.flatnonzero(placed_parts.present(placed)).tolist() == [5, 6]
    placed.depth[0, 6] = 9
    assert np.flatnonzero(placed_parts.present(placed)).tolist() == [6]


def test_what_begins_as_the_grid_is_all_background():
    placed = placing.read(np.zeros((1, 4, 4, placing.NUMBERS), "float32"))
    assert not placed_parts.labels(placed, 32).any()
    np.testing.assert_array_equal(placed_parts.masks(placed, 32)[0], 1)


def test_masks_sum_to_1_whatever_hides_what():
    random = np.random.default_rng(0)
    for scale in (0.3, 1, 3):
        numbers = random.normal(size=(1, 4, 4, placing.NUMBERS), scale=scale)
        placed = placing.read(numbers.astype("float32"))
        whole = np.sum(placing.masks(placed), axis=2)
        assert whole.mean() > 0.05
        assert whole.max() <= 1 + 1e-5
        found = placed_parts.masks(placed, 32)
        assert found.min() >= 0
        np.testing.assert_allclose(found.sum(axis=0), 1, atol=1e-5)
