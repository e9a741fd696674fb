"""Segmentations without training, on images whose segments are known by hand."""

import numpy as np
import pytest

from hcm_tf.metrics.kmeans import kmeans
from hcm_tf.metrics.segmenters import (
    chroma,
    clusters_of_foreground,
    clusters_of_pixels,
    connected_components,
    tiles,
)


def same_partition(one, other):
    pairs = set(zip(one.ravel().tolist(), other.ravel().tolist(), strict=True))
    return len(pairs) == len(np.unique(one)) == len(np.unique(other))


def flooded(image):
    """Components by flooding, pixel by pixel."""
    height, width = image.shape[:2]
    labels = np.full((height, width), -1)
    for row, column in np.ndindex(height, width):
        if labels[row, column] >= 0:
            continue
        todo = [(row, column)]
        number = labels.max() + 1
        while todo:
            r, c = todo.pop()
            if labels[r, c] >= 0:
                continue
            labels[r, c] = number
            for y, x in ((r + 1, c), (r - 1, c), (r, c + 1), (r, c - 1)):
                inside = 0 <= y < height and 0 <= x < width
                if inside and (image[y, x] == image[r, c]).all():
                    todo.append((y, x))
    return labels


@pytest.mark.parametrize(("colours", "seed"), [(2, 0), (2, 1), (3, 2), (9, 3)])
def test_components_are_those_of_flooding(colours, seed):
    image = np.random.default_rng(seed).integers(0, colours, (20, 17, 1))
    assert same_partition(connected_components(image), flooded(image))


def test_a_component_may_wind():
    image = np.zeros((9, 9, 1), int)
    image[1::2] = 1
    image[1, 8] = image[5, 8] = 0
    image[3, 0] = image[7, 0] = 0
    labels = connected_components(image)
    assert len(np.unique(labels[image[..., 0] == 0])) == 1
    assert len(np.unique(labels)) == 5
    assert same_partition(labels, flooded(image))


def test_one_channel_is_enough_to_differ_and_corners_do_not_touch():
    image = np.zeros((2, 2, 3))
    image[0, 0, 2] = image[1, 1, 2] = 0.5
    assert len(np.unique(connected_components(image))) == 4


def test_flat_colours_are_found():
    truth = np.repeat(np.arange(4), 16).reshape(8, 8)
    colours = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0.5, 1]])
    assert same_partition(clusters_of_pixels(colours[truth], 4), truth)


def test_places_cut_what_colours_do_not():
    image = np.full((8, 16, 3), 0.25)
    halves = np.arange(16) // 8 + np.zeros((8, 1), int)
    by_place = clusters_of_pixels(image, 2, colour=0.0, place=1.0)
    # x spans as much as y, whatever the sides: the halves are not the only optimum.
    assert sorted(np.unique(by_place, return_counts=True)[1].tolist()) == [64, 64]
    image[:, 8:] = 1
    both = clusters_of_pixels(image, 2, place=0.1)
    assert same_partition(both, halves)
    assert not clusters_of_pixels(np.zeros((4, 4, 1)), 3).any()


def test_features_are_weighed_colours_and_places():
    image = np.random.default_rng(0).uniform(size=(6, 9, 3))
    features = [
        [*(0.7 * image[row, column]), 0.4 * (row + 0.5) / 6, 0.4 * (column + 0.5) / 9]
        for row, column in np.ndindex(6, 9)
    ]
    expected = kmeans(np.array(features), 4, seed=3).labels.reshape(6, 9)
    found = clusters_of_pixels(image, 4, 3, colour=0.7, place=0.4)
    np.testing.assert_array_equal(found, expected)


def test_a_seed_is_a_segmentation():
    image = np.random.default_rng(0).uniform(size=(16, 16, 3))
    one, same, other = (clusters_of_pixels(image, 5, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert not same_partition(one, other)


def test_the_foreground_is_cut_and_the_rest_is_one():
    image = np.zeros((12, 12, 1))
    image[1:4, 1:4] = image[8:11, 8:11] = 1
    labels = clusters_of_foreground(image, 2)
    expected = np.zeros((12, 12), int)
    expected[1:4, 1:4], expected[8:11, 8:11] = 1, 2
    assert same_partition(labels, expected)
    assert not clusters_of_foreground(image * 0.4, 2).any()
    assert same_partition(
        clusters_of_foreground(image * 0.4, 2, threshold=0.3), expected
    )


def test_chroma_has_no_brightness():
    image = np.array([[[0.2, 0.4, 0.0], [0.5, 1.0, 0.0], [0.0, 0.0, 0.0]]])
    expected = [[[0.5, 1.0, 0.0], [0.5, 1.0, 0.0], [0.0, 0.0, 0.0]]]
    np.testing.assert_allclose(chroma(image), expected, rtol=1e-12)


def test_tiles_are_equal_and_do_not_look():
    labels = tiles(np.zeros((64, 64, 3)))
    assert np.bincount(labels.ravel()).tolist() == [256] * 16
    assert (labels[16:32, 32:48] == 6).all()
    assert not tiles(np.zeros((64, 64, 1)), across=1).any()
    # Of sides that 4 does not divide, each pixel has one all the same.
    assert np.bincount(tiles(np.zeros((35, 35, 3))).ravel()).min() >= 64
