"""Colours of segments, and which scenes are shown."""

import numpy as np

from hcm_tf.config import DataConfig
from hcm_tf.data import load_scenes
from hcm_tf.evaluate.segment_pictures import (
    PALETTE,
    best_median_worst,
    coloured,
    comparison,
    sheet,
)


def test_segments_have_the_colours_of_what_they_match():
    truth = np.zeros((6, 6), int)
    truth[1:3, 1:3], truth[4:, 2:] = 1, 2
    np.testing.assert_array_equal(coloured(truth, truth), PALETTE[truth])
    renamed = np.array([7, 0, 3])[truth]
    np.testing.assert_array_equal(coloured(truth, renamed), PALETTE[truth])


def test_segments_without_a_match_have_colours_of_their_own():
    truth = np.zeros((4, 4), int)
    truth[:, 2:] = 1
    quarters = np.kron([[0, 1], [2, 3]], np.ones((2, 2), int))
    found = coloured(truth, quarters)
    colours = {tuple(pixel) for pixel in found.reshape(-1, 3).tolist()}
    assert len(colours) == 4
    assert len(colours & set(map(tuple, PALETTE[:2].tolist()))) == 2
    one = coloured(truth, np.zeros((4, 4), int))
    assert len(np.unique(one.reshape(-1, 3), axis=0)) == 1


def test_a_sheet_has_its_pictures_in_rows():
    grey = np.full((4, 4, 1), 9, np.uint8)
    red = np.tile(np.array([200, 0, 0], np.uint8), (4, 4, 1))
    pixels = sheet([[grey, red], [red, grey], [red, red]])
    assert pixels.shape == (3 * 6 - 2, 2 * 6 - 2, 3)
    assert pixels[0, 0].tolist() == [9, 9, 9]
    assert pixels[6, 0].tolist() == [200, 0, 0]


def test_the_best_the_median_and_the_worst_are_by_value():
    values = np.array([0.5, np.nan, 0.9, 0.1, 0.3, 0.7])
    assert best_median_worst(values, 1).tolist() == [2, 0, 3]
    many = np.arange(100.0)
    expected = [99, 98, 97, 51, 50, 49, 2, 1, 0]
    assert best_median_worst(many).tolist() == expected
    assert best_median_worst(np.array([0.2])).tolist() == [0, 0, 0]
    assert set(best_median_worst(np.full(2, np.nan))) <= {0, 1}


def test_scenes_are_compared_from_the_best_to_the_worst():
    scenes = load_scenes(DataConfig(dataset="scenes/binarized"), 3)
    drawn = np.full((3, 32, 32, 1), 128, np.uint8)
    found = np.stack([scene.labels for scene in scenes])
    pixels = comparison(scenes, drawn, [found, 0 * found], np.array([0.2, 0.9, 0.5]))
    side = 64 + 2
    assert pixels.shape == (3 * side - 2, 5 * side - 2, 3)
    for row, number in enumerate((1, 2, 0)):
        shown = [pixels[row * side :, column * side :][:64, :64] for column in range(5)]
        assert (shown[0] == scenes[number].image).all()
        assert (shown[1] == 128).all()
        np.testing.assert_array_equal(shown[2], PALETTE[scenes[number].labels])
        np.testing.assert_array_equal(shown[3], shown[2])
        assert (shown[4] == 0).all()
