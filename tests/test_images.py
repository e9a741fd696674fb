"""Grids and PNG files."""

import numpy as np
import pytest
from PIL import Image

from hcm_tf import images


def test_grid_places_images_row_by_row_and_fills_with_white():
    values = np.stack([np.full((2, 3, 1), value) for value in (-1.0, 0.0, 1.0)])
    grid = images.grid(values, columns=2)
    assert grid.shape == (4, 6, 1)
    assert grid.dtype == np.uint8
    np.testing.assert_array_equal(grid[:2, :3], 0)
    np.testing.assert_array_equal(grid[:2, 3:], 128)
    np.testing.assert_array_equal(grid[2:, :3], 255)
    np.testing.assert_array_equal(grid[2:, 3:], 255)


@pytest.mark.parametrize(("count", "side"), [(1, 1), (4, 2), (5, 3), (64, 8)])
def test_grid_is_as_square_as_can_be(count, side):
    assert images.grid(np.zeros((count, 4, 4, 3))).shape[1] == 4 * side


@pytest.mark.parametrize("channels", [1, 3])
def test_png_holds_the_pixels_enlarged(tmp_path, channels):
    pixels = np.random.default_rng(0).integers(0, 255, (3, 5, channels)).astype("uint8")
    path = tmp_path / "made" / "a.png"
    images.write_png(path, pixels, scale=2)
    with Image.open(path) as picture:
        read = np.asarray(picture).reshape(6, 10, channels)
    np.testing.assert_array_equal(read, pixels.repeat(2, axis=0).repeat(2, axis=1))
    assert [child.name for child in path.parent.iterdir()] == ["a.png"]


def test_gaps_lie_between_the_images():
    squares = np.arange(3, dtype="uint8")[:, None, None, None].repeat(2, 1)
    squares = squares.repeat(2, 2)
    sheet = images.grid(squares, columns=2, gap=1)
    assert sheet.shape == (5, 5, 1)
    assert sheet[0, 0] == 0
    assert sheet[0, 3] == 1
    assert sheet[3, 0] == 2
    assert sheet[2, 2] == sheet[4, 4] == 255
