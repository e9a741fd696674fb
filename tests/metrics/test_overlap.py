import numpy as np
import pytest

from hcm_tf.metrics import overlap


def test_area_under_curve_counts_pairs():
    random = np.random.default_rng(0)
    maps = random.integers(0, 5, (3, 40)).astype(float)
    masks = random.random((2, 40)) < 0.3
    result = overlap.area_under_curve(maps, masks)
    for map_, row in zip(maps, result, strict=True):
        for mask, area in zip(masks, row, strict=True):
            difference = np.subtract.outer(map_[mask], map_[~mask])
            expected = np.mean((difference > 0) + 0.5 * (difference == 0))
            assert area == pytest.approx(expected, abs=1e-12)


def test_area_under_curve_of_perfect_useless_and_opposite_maps():
    mask = np.arange(10) < 3
    maps = np.stack([mask, np.ones(10), ~mask]).astype(float)
    areas = overlap.area_under_curve(maps, mask[None])[:, 0]
    assert areas.tolist() == [1.0, 0.5, 0.0]
    with pytest.raises(ValueError, match="inside and outside"):
        overlap.area_under_curve(maps, np.zeros((1, 10), bool))


def test_intersection_over_union():
    masks = np.array([[1, 1, 1, 0, 0], [0, 0, 0, 0, 0]], bool)
    regions = np.array([[1, 1, 1, 0, 0], [0, 1, 1, 1, 0], [0, 0, 0, 0, 0]], bool)
    expected = [[1.0, 0.0], [0.5, 0.0], [0.0, 0.0]]
    result = overlap.intersection_over_union(regions, masks)
    np.testing.assert_allclose(result, expected, atol=1e-12)


def test_leakage():
    changes = np.array([[1.0, -2.0, 0.0], [0.0, 0.0, 0.0], [3.0, 0.0, 0.0]])
    masks = np.array([[1, 0, 0], [1, 0, 0], [1, 1, 0]], bool)
    np.testing.assert_allclose(overlap.leakage(changes, masks), [0.8, 0.0, 0.0])


def test_shifted_maps_keep_their_values():
    random = np.random.default_rng(0)
    maps = random.normal(size=(5, 6, 7))
    moved = overlap.shifted(maps, random)
    assert not np.array_equal(moved, maps)
    np.testing.assert_array_equal(
        np.sort(moved.reshape(5, -1)), np.sort(maps.reshape(5, -1))
    )
