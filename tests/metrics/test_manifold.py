import numpy as np
import pytest

from hcm_tf.metrics import manifold, neighbours


def slow(reference, samples, k, density_k):
    def radius(points, index, rank):
        gaps = [np.linalg.norm(points[index] - p) for p in np.delete(points, index, 0)]
        return sorted(gaps)[rank - 1]

    def gap(i, j):
        return np.linalg.norm(reference[i] - samples[j])

    n, m = range(len(reference)), range(len(samples))
    wide = [radius(reference, i, k) for i in n]
    own = [radius(reference, i, density_k) for i in n]
    theirs = [radius(samples, j, k) for j in m]
    return {
        "precision": np.mean([any(gap(i, j) <= wide[i] for i in n) for j in m]),
        "recall": np.mean([any(gap(i, j) <= theirs[j] for j in m) for i in n]),
        "density": np.mean([sum(gap(i, j) < own[i] for i in n) for j in m]) / density_k,
        "coverage": np.mean([min(gap(i, j) for j in m) < own[i] for i in n]),
    }


def test_against_plain_loops(monkeypatch):
    random = np.random.default_rng(0)
    reference = random.normal(size=(23, 3))
    samples = random.normal(1.5, 0.9, (17, 3))
    expected = slow(reference, samples, 2, 4)
    assert 0 < expected["recall"] < expected["precision"] < 1
    assert manifold.manifold_scores(reference, samples, 2, 4) == pytest.approx(expected)
    monkeypatch.setattr(neighbours, "BLOCK", 60)
    assert manifold.manifold_scores(reference, samples, 2, 4) == pytest.approx(expected)


def test_on_a_line_by_hand():
    """Reference 0, 1, 2, 10; k = 1: balls of radius 1, 1, 1 and 8."""
    reference = np.array([[0.0], [1.0], [2.0], [10.0]])
    samples = np.array([[0.5], [5.0], [30.0], [30.5]])
    assert manifold.manifold_scores(reference, samples, 1, 1) == {
        "precision": 0.5,  # 0.5, and 5 in the outlier's ball
        "recall": 0.75,  # radius 4.5 around 0.5 and around 5: 0, 1, 2
        "density": 0.75,  # 0.5 in two balls, 5 in one
        "coverage": 0.75,  # 0 and 1 by 0.5, 10 by 5
    }


def test_far_from_the_origin_nothing_cancels():
    random = np.random.default_rng(1)
    reference, samples = random.normal(size=(2, 40, 5))
    near = manifold.manifold_scores(reference, samples)
    assert manifold.manifold_scores(reference + 1e5, samples + 1e5) == near


def test_too_few_points_are_refused():
    with pytest.raises(ValueError, match="rank must be from 1 to 3"):
        manifold.manifold_scores(np.eye(4), np.eye(4))


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8"])
def test_nearest_against_sorting(monkeypatch, dtype):
    monkeypatch.setattr(neighbours, "GATHERED", 100)
    random = np.random.default_rng(2)
    queries, points = (random.uniform(0, 255, (n, 6)).astype(dtype) for n in (15, 40))
    gaps = np.linalg.norm(
        queries[:, None].astype("float64") - points.astype("float64"), axis=2
    )
    distances, indices = neighbours.nearest(queries, points, 4)
    order = np.argsort(gaps, axis=1, kind="stable")[:, :4]
    np.testing.assert_array_equal(indices, order)
    np.testing.assert_allclose(
        distances, np.take_along_axis(gaps, order, 1), rtol=1e-12
    )


def test_nearest_tells_copies_from_neighbours_that_float32_cannot():
    points = 1000 + np.arange(20)[:, None] * 1e-6 * np.ones(3)
    distances, indices = neighbours.nearest(points[5:6], points, 2)
    assert distances[0, 0] == 0
    assert indices[0, 0] == 5


def test_radii_leave_the_point_itself_out_but_not_its_copy():
    first, second = neighbours.radii(np.array([[0.0], [0.0], [3.0]]), 1, 2)
    np.testing.assert_allclose(first, [0, 0, 3])
    np.testing.assert_allclose(second, [3, 3, 3])
