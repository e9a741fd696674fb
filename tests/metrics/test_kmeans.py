"""K-means against the best of all partitions, and against a slow loop."""

import itertools

import numpy as np
import pytest

from hcm_tf.metrics.kmeans import ROUNDS, first_centres, kmeans, lloyd


def cost_of(points, labels):
    return sum(
        float(np.sum((points[labels == one] - points[labels == one].mean(0)) ** 2))
        for one in set(labels.tolist())
    )


def slow_lloyd(points, centres):
    """The same, a point at a time; for starts that leave no centre empty."""
    labels = None
    for _ in range(ROUNDS + 1):
        found = [
            min(range(len(centres)), key=lambda k: float(np.sum((p - centres[k]) ** 2)))
            for p in points
        ]
        if found == labels:
            break
        labels = found
        centres = [
            np.mean([p for p, one in zip(points, labels, strict=True) if one == k], 0)
            for k in range(len(centres))
        ]
    return np.array(labels), np.array(centres)


@pytest.mark.parametrize("clusters", [1, 2, 3])
def test_finds_the_best_of_all_partitions(clusters):
    points = np.random.default_rng(clusters).normal(size=(8, 2))
    best = min(
        cost_of(points, np.array(labels))
        for labels in itertools.product(range(clusters), repeat=8)
    )
    found = kmeans(points, clusters, seed=0, restarts=40)
    assert found.cost == pytest.approx(best, rel=1e-12)
    assert cost_of(points, found.labels) == pytest.approx(best, rel=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_lloyd_is_the_slow_loop(seed):
    random = np.random.default_rng(seed)
    points = random.normal(size=(60, 3))
    start = points[random.choice(60, 4, replace=False)]
    labels, centres = slow_lloyd(points, start)
    found = lloyd(points, start)
    np.testing.assert_array_equal(found.labels, labels)
    np.testing.assert_allclose(found.centres, centres, rtol=1e-12, atol=1e-12)
    assert found.cost == pytest.approx(cost_of(points, labels), rel=1e-12)


def test_separate_groups_are_found():
    random = np.random.default_rng(0)
    truth = np.repeat(np.arange(5), 40)
    points = 100 * np.eye(5)[truth] + random.normal(size=(200, 5))
    labels = kmeans(points, 5, seed=1, restarts=5).labels
    assert len(set(zip(truth.tolist(), labels.tolist(), strict=True))) == 5


def test_more_restarts_never_cost_more_and_some_help():
    points = np.random.default_rng(3).uniform(size=(300, 2))
    costs = [kmeans(points, 9, seed=4, restarts=r).cost for r in (1, 2, 4, 8, 16)]
    assert costs == sorted(costs, reverse=True)
    assert costs[-1] < costs[0]


def test_a_seed_is_a_result():
    points = np.random.default_rng(5).uniform(size=(100, 2))
    one, same, other = (kmeans(points, 7, seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one.labels, same.labels)
    assert one.cost == same.cost
    assert one.cost != other.cost


def test_a_centre_without_points_goes_to_the_farthest():
    points = np.array([[0.0], [1.0], [10.0], [11.0], [50.0]])
    found = lloyd(points, np.array([[5.0], [1000.0], [2000.0]]))
    assert found.labels[0] == found.labels[1]
    assert found.labels[2] == found.labels[3]
    assert len(set(found.labels.tolist())) == 3
    assert found.cost == pytest.approx(1.0)


def test_fewer_different_points_than_clusters():
    points = np.repeat([[0.0, 0.0], [3.0, 4.0]], [5, 2], axis=0)
    found = kmeans(points, 4, seed=0)
    assert found.cost == 0
    assert len(set(found.labels[:5])) == len(set(found.labels[5:])) == 1
    assert found.labels[0] != found.labels[-1]
    assert found.centres.shape == (4, 2)
    assert np.isfinite(found.centres).all()


def test_first_centres_are_different_points_as_often_as_their_distance_says():
    points = np.array([[0.0], [1.0], [3.0]])
    starts = [
        tuple(first_centres(points, 2, np.random.default_rng(s))[:, 0].tolist())
        for s in range(3000)
    ]
    assert all(first != second for first, second in starts)
    # From 0 the squared distances are 1 and 9: the farther is taken nine times in ten.
    after_zero = [second for first, second in starts if first == 0.0]
    assert len(after_zero) == pytest.approx(1000, abs=4 * np.sqrt(3000 * 2 / 9))
    share = np.mean(np.equal(after_zero, 3.0))
    assert share == pytest.approx(0.9, abs=4 * np.sqrt(0.09 / len(after_zero)))


def test_integers_are_points_too():
    found = kmeans(np.array([[0], [2], [255]], np.uint8), 2, seed=0, restarts=3)
    assert found.cost == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("points", "clusters", "restarts"),
    [
        (np.zeros((0, 2)), 2, 1),
        (np.zeros(4), 2, 1),
        (np.full((4, 2), np.nan), 2, 1),
        (np.zeros((4, 2)), 0, 1),
        (np.zeros((4, 2)), 2, 0),
    ],
)
def test_what_cannot_be_clustered_is_refused(points, clusters, restarts):
    with pytest.raises(ValueError, match="Received"):
        kmeans(points, clusters, restarts=restarts)
