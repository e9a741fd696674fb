"""Scores of segmentations against slow loops over pixels, and by hand."""

import itertools
import math

import numpy as np
import pytest

from hcm_tf.metrics.segmentation import (
    best_overlap,
    faults,
    foreground_rand_index,
    matched_overlap,
    segmentation_covering,
)

HALVES = np.repeat([[0, 0, 1, 1, 2, 2]], 4, axis=0)  # Eight pixels each.
ONE = np.zeros_like(HALVES)


def slow_rand_index(truth, found):
    """By the definition on pairs of pixels, each looked at."""
    pixels = [
        (a, b)
        for a, b in zip(truth.ravel().tolist(), found.ravel().tolist(), strict=True)
        if a != 0
    ]
    both = in_truth = in_found = every = 0
    for (a, b), (c, d) in itertools.combinations(pixels, 2):
        both += a == c and b == d
        in_truth += a == c
        in_found += b == d
        every += 1
    expected = in_truth * in_found / every
    return (both - expected) / ((in_truth + in_found) / 2 - expected)


def slow_overlap(one, other):
    both = either = 0
    for a, b in zip(one.ravel().tolist(), other.ravel().tolist(), strict=True):
        both += a and b
        either += a or b
    return both / either if either else 0.0


def slow_overlaps(truth, found, background):
    names = [one for one in sorted(set(truth.ravel().tolist())) if one or background]
    others = sorted(set(found.ravel().tolist()))
    return [[slow_overlap(truth == a, found == b) for b in others] for a in names]


def slow_covering(truth, found, background):
    rows = slow_overlaps(truth, found, background)
    return sum(max(row) for row in rows) / len(rows)


def slow_matched(truth, found, background):
    rows = slow_overlaps(truth, found, background)
    width = max(len(rows), len(rows[0]))
    rows = [row + [0.0] * (width - len(row)) for row in rows]
    return max(
        sum(row[column] for row, column in zip(rows, columns, strict=True)) / len(rows)
        for columns in itertools.permutations(range(width), len(rows))
    )


def slow_best(truth, masks, threshold, least):
    found = []
    for name in sorted(set(truth.ravel().tolist())):
        true = truth == name
        if true.sum() > least:
            found.append(max(slow_overlap(true, mask > threshold) for mask in masks))
    return sum(found) / len(found)


def pairs_of_maps():
    random = np.random.default_rng(0)
    for true, predicted in itertools.product((2, 3, 5), (1, 2, 5)):
        truth = random.integers(0, true, (8, 9))
        noisy = np.where(random.uniform(size=(8, 9)) < 0.6, truth, 7)
        yield truth, random.integers(0, predicted, (8, 9)) * 3 - 4
        yield truth, noisy


@pytest.mark.parametrize(("truth", "found"), list(pairs_of_maps()))
def test_scores_are_the_slow_ones(truth, found):
    def same(value, expected):
        assert value == pytest.approx(expected, rel=1e-12, abs=1e-12)

    # One object, found as one: 0 / 0 in the definition.
    if len(set(truth.ravel()) - {0}) > 1 or len(set(found[truth > 0])) > 1:
        same(foreground_rand_index(truth, found), slow_rand_index(truth, found))
    for background in (False, True):
        scores = {"background": background}
        same(
            segmentation_covering(truth, found, **scores),
            slow_covering(truth, found, background),
        )
        same(
            matched_overlap(truth, found, **scores),
            slow_matched(truth, found, background),
        )


@pytest.mark.parametrize("seed", range(6))
def test_the_best_overlap_is_the_slow_one(seed):
    random = np.random.default_rng(seed)
    truth = random.integers(0, 4, (7, 8)) * random.integers(0, 2, (7, 8))
    truth[0, :3] = 9  # A segment that is too small to count.
    masks = random.uniform(0, 0.08, (5, 7, 8))
    expected = slow_best(truth, masks, 0.04, 4)
    assert best_overlap(truth, masks) == pytest.approx(expected, rel=1e-12)
    other = best_overlap(truth, masks, threshold=0.06, least=2)
    expected = slow_best(truth, masks, 0.06, 2)
    assert other == pytest.approx(expected, rel=1e-12)
    assert other != best_overlap(truth, masks)


def test_the_truth_scores_one_under_any_names():
    found = np.array([5, -2, 17])[HALVES]
    assert foreground_rand_index(HALVES, found) == 1
    for background in (False, True):
        assert segmentation_covering(HALVES, found, background=background) == 1
        assert matched_overlap(HALVES, found, background=background) == 1
    assert best_overlap(HALVES, np.eye(3)[HALVES].transpose(2, 0, 1)) == 1


def test_one_segment_by_hand():
    # Two objects of 8 pixels found as one: nothing better than chance.
    assert foreground_rand_index(HALVES, ONE) == 0
    assert segmentation_covering(HALVES, ONE) == pytest.approx(8 / 24)
    assert segmentation_covering(HALVES, ONE, background=True) == pytest.approx(1 / 3)
    # Only one of the three may have it.
    assert matched_overlap(HALVES, ONE) == pytest.approx(1 / 9)
    assert matched_overlap(HALVES, ONE, background=False) == pytest.approx(1 / 6)


def test_one_object_found_as_one_is_right():
    truth = (HALVES == 1).astype(int)
    assert foreground_rand_index(truth, ONE) == 1
    assert foreground_rand_index(truth, truth) == 1
    # And cut in two it is worth nothing.
    assert foreground_rand_index(truth, np.arange(24).reshape(4, 6) // 12) == 0


def test_one_object_of_one_pixel():
    truth = np.zeros((3, 3), int)
    truth[1, 1] = 1
    assert foreground_rand_index(truth, np.arange(9).reshape(3, 3)) == 1


def test_every_pixel_by_itself_is_as_good_as_chance():
    assert foreground_rand_index(HALVES, np.arange(24).reshape(4, 6)) == 0


def test_a_known_value():
    # Hubert and Arabie's table: 2 of 3 and 3 of 3 pixels together.
    truth = np.array([1, 1, 1, 2, 2, 2])
    found = np.array([1, 1, 2, 2, 2, 2])
    # Pairs: together in both 4, in truth 6, in found 7, of 15.
    expected = (4 - 6 * 7 / 15) / (6.5 - 6 * 7 / 15)
    assert foreground_rand_index(truth, found) == pytest.approx(expected, rel=1e-12)


def test_without_an_object_there_is_no_score_of_objects():
    assert math.isnan(foreground_rand_index(ONE, HALVES))
    assert math.isnan(segmentation_covering(ONE, HALVES))
    assert math.isnan(matched_overlap(ONE, HALVES, background=False))
    assert segmentation_covering(ONE, HALVES, background=True) == pytest.approx(1 / 3)
    assert math.isnan(best_overlap(np.zeros((2, 2), int), np.ones((1, 2, 2))))


def test_a_hidden_object_has_no_pixels_and_does_not_count():
    truth = np.where(HALVES == 2, 4, HALVES)  # Objects 2 and 3 are hidden.
    assert foreground_rand_index(truth, HALVES) == 1
    assert segmentation_covering(truth, HALVES) == 1
    assert matched_overlap(truth, HALVES) == 1


def test_the_background_is_ignored_by_the_rand_index_alone():
    found = HALVES.copy()
    found[:, 0] = 2  # Half of the background goes to an object.
    assert foreground_rand_index(HALVES, found) == 1
    assert segmentation_covering(HALVES, found) == pytest.approx((1 + 8 / 12) / 2)
    with_it = (1 + 8 / 12 + 4 / 8) / 3
    assert segmentation_covering(HALVES, found, background=True) == pytest.approx(
        with_it
    )


def test_tiles_fool_the_rand_index_but_not_the_covering():
    """Why both are printed: tiles that never saw the image."""
    truth = np.zeros((16, 16), int)
    truth[3:7, 1:7] = 1
    truth[9:13, 9:15] = 2
    rows, columns = np.mgrid[:16, :16] // 8
    tiles = rows * 2 + columns
    assert foreground_rand_index(truth, tiles) == 1
    assert segmentation_covering(truth, tiles) == pytest.approx(24 / 64)


def test_objects_are_split_merged_or_missed():
    """Six objects of 5 x 8 pixels, and one too small to judge."""
    truth = np.zeros((30, 30), int)
    for number in range(6):
        row, column = divmod(number, 3)
        truth[10 * row : 10 * row + 5, 10 * column : 10 * column + 8] = number + 1
    truth[25, :19] = 7
    assert faults(truth, truth) == dict(objects=6, split=0, merged=0, missed=0)
    found = truth.copy()
    found[:5, :2] = 8  # A quarter of the first: no more, so it is whole.
    found[:5, 10:13] = 8  # Three eighths of the second.
    found[:5, 20:24] = 0  # Half of the third: not missed.
    found[10:15, :5] = (
        0  # Five eighths of the fourth: missed, though the rest is whole.
    )
    found[found == 6] = 5  # The sixth is the fifth's.
    assert faults(truth, found) == dict(objects=6, split=1, merged=2, missed=1)
    found[10:15, 20:23] = 9  # It is split as well, and still is mostly the fifth's.
    assert faults(truth, found) == dict(objects=6, split=2, merged=2, missed=1)
    assert faults(0 * truth, truth) == dict(objects=0, split=0, merged=0, missed=0)
    assert faults(truth, 0 * truth)["missed"] == 6


@pytest.mark.parametrize(
    "score", [foreground_rand_index, segmentation_covering, matched_overlap, faults]
)
def test_other_arrays_are_refused(score):
    for found in (ONE[:2], ONE.astype(float)):
        with pytest.raises(ValueError, match="integers of one shape"):
            score(HALVES, found)


def test_masks_of_another_shape_are_refused():
    with pytest.raises(ValueError, match="of its shape"):
        best_overlap(HALVES, np.ones((2, 3, 3)))
