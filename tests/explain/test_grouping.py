"""Segments of parts whose pictures are drawn by hand."""

import numpy as np
import pytest

from hcm_tf.explain import grouping
from hcm_tf.metrics.linkage import cut


def halves():
    """Four locations side by side, two of which draw one red and two one blue thing."""
    pictures = np.zeros((4, 8, 16, 3))
    for location in range(4):
        left = slice(max(4 * location - 1, 0), 4 * location + 5)
        pictures[location, :, left, 0 if location < 2 else 2] = 0.5
        pictures[location, :, 4 * location : 4 * location + 4] *= 4
    return pictures


def test_a_pixel_belongs_to_the_location_that_changes_it_most():
    expected = np.broadcast_to(np.repeat(np.arange(4), 4), (8, 16))
    np.testing.assert_array_equal(grouping.by_location(halves()), expected)
    # Of either sign, and over all channels: 3 and 4 are longer than one of 4.9.
    pictures = np.zeros((2, 1, 1, 2))
    pictures[0, 0, 0] = 4.9, 0
    pictures[1, 0, 0] = -3, 4
    assert grouping.by_location(pictures).tolist() == [[1]]
    assert grouping.strengths(pictures).ravel().tolist() == [4.9, 5.0]


def test_soft_masks_are_parts_of_one():
    masks = grouping.soft_masks(halves())
    np.testing.assert_allclose(masks.sum(axis=0), 1)
    assert masks[0, 0, 0] == 1
    assert masks[0, 0, 4] == pytest.approx(0.5 / 2.5)
    np.testing.assert_array_equal(grouping.soft_masks(np.zeros((2, 3, 3, 1))), 0)


def test_locations_of_one_colour_are_merged():
    found = grouping.by_merged_location(halves(), 2)
    expected = np.broadcast_to(np.repeat([0, 1], 8), (8, 16))
    np.testing.assert_array_equal(found, expected)
    assert len(np.unique(grouping.by_merged_location(halves(), 3))) == 3
    assert len(np.unique(grouping.by_merged_location(halves(), 9))) == 4


def test_locations_that_do_not_touch_are_not_merged():
    # Red, blue, red: the reds overlap, but everywhere weaker than the blue between.
    pictures = np.zeros((3, 4, 12, 3))
    pictures[0, :, :8, 0] = pictures[2, :, 4:, 0] = 1
    pictures[1, :, 4:8, 2] = 5
    assert grouping.unlikeness(pictures)[0, 2] == 0
    found = grouping.by_merged_location(pictures, 2)
    assert len({found[0, 0], found[0, 11]}) == 2
    assert len(np.unique(found)) == 2


def test_a_location_that_owns_no_pixel_is_no_segment():
    pictures = np.concatenate([halves(), 0.1 * halves()[:1]])
    np.testing.assert_array_equal(
        grouping.by_merged_location(pictures, 2),
        grouping.by_merged_location(halves(), 2),
    )


def test_unlikeness_is_of_the_overlap_alone():
    random = np.random.default_rng(0)
    pictures = random.normal(size=(5, 6, 6, 3))
    pictures *= (random.uniform(size=(5, 6, 6)) < 0.5)[..., np.newaxis]
    pictures[3] = 2 * pictures[2]
    pictures[4] = 0
    found = grouping.unlikeness(pictures)
    for i, one in enumerate(pictures[:4]):
        for j, other in enumerate(pictures[:4]):
            both = one.any(axis=2) & other.any(axis=2)
            a, b = one[both].ravel(), other[both].ravel()
            cosine = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
            assert found[i, j] == pytest.approx(1 - cosine, abs=1e-12)
    assert found[4].tolist() == [1, 1, 1, 1, 0]
    np.testing.assert_array_equal(found, found.T)


def test_corners_do_not_touch():
    labels = np.array([[0, 0, 1], [2, 2, 1], [0, 2, 3]])
    pairs = {(0, 1), (0, 2), (1, 2), (1, 3), (2, 3)}
    found = grouping.touching(labels, 5)
    assert set(map(tuple, np.argwhere(np.triu(found)).tolist())) == pairs
    np.testing.assert_array_equal(found, found.T)


def test_pixels_of_the_same_units_are_one_segment_whatever_their_strength():
    random = np.random.default_rng(1)
    truth = np.zeros((8, 8), int)
    truth[1:4, 2:7] = 1
    truth[5:, :3] = 2
    mixtures = random.uniform(size=(3, 20))
    features = mixtures[truth] * random.uniform(0.1, 9, (8, 8, 1))
    features += 1e-3 * random.uniform(size=features.shape)
    merges = grouping.pixel_merges(features, normalised=True)
    np.testing.assert_array_equal(grouping.pixel_segments(merges, 3, 8), truth)
    by_strength = grouping.pixel_merges(features, normalised=False)
    assert (grouping.pixel_segments(by_strength, 3, 8) != truth).any()


def test_pixels_that_nothing_draws_are_alike():
    features = np.zeros((2, 2, 3))
    features[0] = 1, 2, 3
    merges = grouping.pixel_merges(features, normalised=True)
    assert cut(merges, 2).tolist() == [0, 0, 1, 1]


def test_shares_are_blind_to_colour_and_to_what_works_against_it():
    contributions = np.zeros((1, 3, 2, 3))
    contributions[0, 0] = (0, 0, 3), (0, 0, 1)
    contributions[0, 1] = (-6, 0, 0), (2, 5, -5)
    found = grouping.shares(contributions)
    # Where the sum is (-4, 5, -5), of squared length 66: 24 / 66, and 42 / 66.
    expected = [[[0.75, 0.25], [24 / 66, 42 / 66], [0, 0]]]
    np.testing.assert_allclose(found, expected)
    against = np.array([[[[2.0, 0, 0], [-1, 0, 0]]]])
    np.testing.assert_allclose(grouping.shares(against), [[[2, 0]]])


def test_maps_are_enlarged_and_thinned_to_the_nearest():
    labels = np.arange(4).reshape(2, 2)
    larger = np.kron(labels, np.ones((3, 3), int))
    np.testing.assert_array_equal(grouping.enlarged(labels, 6), larger)
    np.testing.assert_array_equal(grouping.enlarged(larger, 2), labels)
    masks = np.stack([labels, labels + 1])
    assert grouping.enlarged(masks, 6).shape == (2, 6, 6)
