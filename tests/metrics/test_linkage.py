"""Average linkage against merging pair by pair, and by hand."""

import numpy as np
import pytest

from hcm_tf.metrics.linkage import (
    average_linkage,
    cut,
    distances,
    merge_adjacent,
)


def slowly(between, groups, adjacent=None):
    """Merges the nearest two groups, all means taken anew: partition and heights."""
    parts = [[point] for point in range(len(between))]
    heights = []
    while len(parts) > groups:
        best = None
        for i, one in enumerate(parts):
            for j, other in enumerate(parts[:i]):
                touching = adjacent is None or any(
                    adjacent[a][b] for a in one for b in other
                )
                mean = np.mean([between[a][b] for a in one for b in other])
                if touching and (best is None or mean < best[0]):
                    best = mean, i, j
        if best is None:
            break
        heights.append(best[0])
        parts[best[2]] += parts.pop(best[1])
    return {frozenset(part) for part in parts}, heights


def partition(labels):
    return {frozenset(np.flatnonzero(labels == name)) for name in np.unique(labels)}


def cloud(seed, count):
    return distances(np.random.default_rng(seed).normal(size=(count, 3)))


@pytest.mark.parametrize(("seed", "count"), [(0, 2), (1, 7), (2, 24), (3, 40)])
def test_merges_are_those_of_the_slow_way(seed, count):
    between = cloud(seed, count)
    merges = average_linkage(between)
    _, heights = slowly(between, 1)
    np.testing.assert_allclose(np.sort(merges.height), heights, rtol=1e-12)
    for groups in {1, 2, 5, count}:
        if groups <= count:
            labels = cut(merges, groups)
            assert partition(labels) == slowly(between, groups)[0]
            assert labels[0] == 0
            assert labels.max() + 1 == groups


def test_by_hand():
    # Pairs at 1 and 2, each the nearest; their mean distance is (5 + 7 + 6 + 4) / 4.
    at = np.array([0.0, 1.0, 5.0, 7.0])
    between = np.abs(at[:, None] - at)
    merges = average_linkage(between)
    assert np.sort(merges.height).tolist() == [1.0, 2.0, 5.5]
    assert cut(merges, 3).tolist() == [0, 0, 1, 2]
    assert cut(merges, 2).tolist() == [0, 0, 1, 1]
    assert cut(merges, 1).tolist() == [0, 0, 0, 0]


def test_it_is_neither_single_nor_complete_linkage():
    # From the pair {0, 1}: nearest 1.6, farthest 2.6, mean 2.1; the pair {2, 3}: 1.9.
    at = np.array([0.0, 1.0, 2.6, 4.5])
    merges = average_linkage(np.abs(at[:, None] - at))
    assert cut(merges, 2).tolist() == [0, 0, 1, 1]
    # The pair {2, 3} is at 2.2: nearer than the farthest, not nearer than the mean.
    at = np.array([0.0, 1.0, 2.6, 4.8])
    merges = average_linkage(np.abs(at[:, None] - at))
    assert cut(merges, 2).tolist() == [0, 0, 0, 1]


def test_equal_points_stay_together_and_there_may_be_fewer_groups():
    which = np.array([0, 1, 0, 2, 1, 0, 2])
    between = distances(np.random.default_rng(0).normal(size=(3, 99))[which])
    merges = average_linkage(between)
    assert cut(merges, 3).tolist() == [0, 1, 0, 2, 1, 0, 2]
    assert cut(merges, 6).tolist() == [0, 1, 0, 2, 1, 0, 2]


def test_one_point():
    assert cut(average_linkage(np.zeros((1, 1))), 3).tolist() == [0]


def test_what_is_given_stays_as_it_is():
    between = cloud(0, 9)
    before = between.copy()
    average_linkage(between)
    merge_adjacent(between, np.ones((9, 9), bool), 2)
    np.testing.assert_array_equal(between, before)


@pytest.mark.parametrize("seed", range(4))
def test_adjacent_merges_are_those_of_the_slow_way(seed):
    between = cloud(seed, 12)
    links = np.random.default_rng(seed).uniform(size=(12, 12)) < 0.12
    adjacent = links | links.T
    for groups in (1, 3, 6):
        labels = merge_adjacent(between, adjacent, groups)
        assert partition(labels) == slowly(between, groups, adjacent)[0]


def test_only_neighbours_become_one():
    # A row of four; the outer two are alike, the inner two as well.
    between = np.array([[0, 5, 5, 1], [5, 0, 2, 5], [5, 2, 0, 5], [1, 5, 5, 0]])
    row = np.abs(np.subtract.outer(range(4), range(4))) == 1
    assert merge_adjacent(between, row, 3).tolist() == [0, 1, 1, 2]
    assert merge_adjacent(between, np.ones((4, 4)), 3).tolist() == [0, 1, 2, 0]
    # Two islands never meet.
    islands = np.kron(np.eye(2), np.ones((2, 2)))
    assert merge_adjacent(between, islands, 1).tolist() == [0, 0, 1, 1]


def test_everything_adjacent_is_average_linkage():
    between = cloud(5, 15)
    found = merge_adjacent(between, np.ones((15, 15)), 4)
    np.testing.assert_array_equal(found, cut(average_linkage(between), 4))


def test_distances_are_euclidean():
    points = np.random.default_rng(1).normal(size=(8, 4)) + 100
    slow = np.linalg.norm(points[:, None] - points, axis=2)
    np.testing.assert_allclose(distances(points), slow, atol=1e-5)


def test_equal_points_have_no_distance():
    which = np.tile(np.arange(20), 2)
    between = distances(np.random.default_rng(0).normal(size=(20, 99))[which])
    np.testing.assert_array_equal(between == 0, which[:, None] == which)


def test_what_is_no_table_is_refused():
    for wrong in (np.zeros((2, 3)), np.full((2, 2), np.nan), np.triu(np.ones((3, 3)))):
        with pytest.raises(ValueError, match="symmetric table of finite"):
            average_linkage(wrong)
    with pytest.raises(ValueError, match="`groups` must be at least 1"):
        cut(average_linkage(cloud(0, 3)), 0)
    with pytest.raises(ValueError, match="`adjacent` must be"):
        merge_adjacent(cloud(0, 3), np.ones((2, 2)), 1)
