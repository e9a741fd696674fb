"""Agreement of clusters and classes, against pairs and permutations counted by hand."""

import itertools
import math

import numpy as np
import pytest

from hcm_tf.metrics.clustering import (
    adjusted_rand_index,
    matched_accuracy,
    normalised_mutual_information,
)

SCORES = (adjusted_rand_index, normalised_mutual_information, matched_accuracy)


def rand_by_hand(classes, clusters):
    """Counts every pair of things."""
    pairs = list(itertools.combinations(range(len(classes)), 2))
    one = sum(classes[i] == classes[j] for i, j in pairs)
    other = sum(clusters[i] == clusters[j] for i, j in pairs)
    both = sum(
        classes[i] == classes[j] and clusters[i] == clusters[j] for i, j in pairs
    )
    expected = one * other / len(pairs)
    return (both - expected) / ((one + other) / 2 - expected)


def information_by_hand(classes, clusters):
    count, total = len(classes), 0.0

    def share(names, name):
        return sum(one == name for one in names) / count

    both = list(zip(classes, clusters, strict=True))
    for a, b in set(both):
        joint = share(both, (a, b))
        total += joint * math.log(joint / (share(classes, a) * share(clusters, b)))
    entropies = [
        -sum(share(names, one) * math.log(share(names, one)) for one in set(names))
        for names in (classes, clusters)
    ]
    return total / (sum(entropies) / 2)


def accuracy_by_hand(classes, clusters, groups):
    return max(
        np.mean(np.array(order)[clusters] == classes)
        for order in itertools.permutations(range(groups))
    )


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("agreement", [0.0, 0.6])
def test_scores_are_those_of_pairs_and_permutations(seed, agreement):
    random = np.random.default_rng(seed)
    classes = random.integers(0, 5, 60)
    clusters = np.where(
        random.random(60) < agreement, (classes + 2) % 5, random.integers(0, 4, 60)
    )
    lists = classes.tolist(), clusters.tolist()
    assert adjusted_rand_index(classes, clusters) == pytest.approx(
        rand_by_hand(*lists), abs=1e-12
    )
    assert normalised_mutual_information(classes, clusters) == pytest.approx(
        information_by_hand(*lists), abs=1e-12
    )
    assert matched_accuracy(classes, clusters) == pytest.approx(
        accuracy_by_hand(*lists, 5), abs=1e-12
    )


@pytest.mark.parametrize("score", SCORES)
def test_names_of_clusters_do_not_count(score):
    classes = np.random.default_rng(0).integers(0, 7, 100)
    order = np.random.default_rng(1).permutation(7)
    assert score(classes, 10 * order[classes] - 3) == pytest.approx(1.0, abs=1e-12)


def test_what_is_known_of_simple_cases():
    one, all_apart = np.zeros(4, int), np.arange(4)
    halves = np.array([0, 0, 1, 1])
    assert adjusted_rand_index(one, one) == 1.0
    assert adjusted_rand_index(all_apart, all_apart) == 1.0
    assert normalised_mutual_information(one, one) == 1.0
    for score in (adjusted_rand_index, normalised_mutual_information):
        assert score(halves, one) == pytest.approx(0.0, abs=1e-12)
    assert adjusted_rand_index(halves, np.array([0, 1, 0, 1])) == pytest.approx(-0.5)
    assert matched_accuracy(halves, one) == 0.5
    # More clusters than classes: those that have no class of their own are wrong.
    assert matched_accuracy(halves, all_apart) == 0.5


def test_independent_partitions_have_an_index_of_about_zero():
    random = np.random.default_rng(0)
    found = [
        adjusted_rand_index(random.integers(0, 10, 500), random.integers(0, 3, 500))
        for _ in range(50)
    ]
    assert abs(np.mean(found)) < 3 * np.std(found) / math.sqrt(50)


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize(
    ("classes", "clusters", "told"),
    [
        ([0, 1], [0], "of one length"),
        ([], [], "n at least 1"),
        ([0.5, 1.0], [0, 1], "must be integers"),
        ([[0], [1]], [0, 1], "must be integers"),
    ],
)
def test_what_is_no_partition_is_refused(score, classes, clusters, told):
    with pytest.raises(ValueError, match=told):
        score(np.array(classes), np.array(clusters))
