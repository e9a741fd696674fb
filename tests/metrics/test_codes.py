import numpy as np
import pytest

from hcm_tf.metrics.codes import CodeStatistics


def gather(codes, batch):
    statistics = CodeStatistics()
    for start in range(0, len(codes), batch):
        statistics.update(codes[start : start + batch])
    return statistics


def test_against_direct_counting():
    random = np.random.default_rng(0)
    active = random.random((50, 3, 4)) < random.random((3, 4)) / 2
    active[:, 0, 0] = False
    codes = np.where(active, random.normal(size=active.shape), 0)
    for statistics in (gather(codes, 50), gather(active, 7)):
        assert statistics.examples == 50
        np.testing.assert_allclose(statistics.usage, active.mean(axis=0))
        assert statistics.fraction_kept == pytest.approx(active.mean())
        never = 1 - active.any(axis=0).mean()
        assert statistics.never_active == pytest.approx(never)
        p = active.sum(axis=0).ravel() / active.sum()
        entropy = -sum(x * np.log2(x) for x in p if x) / np.log2(12)
        assert statistics.usage_entropy == pytest.approx(entropy)
    assert never > 0
    assert set(statistics.summary()) == {
        "fraction_kept",
        "never_active",
        "usage_entropy",
    }


def test_entropy_in_closed_form():
    assert gather(np.eye(8), 3).usage_entropy == pytest.approx(1)
    assert gather(np.eye(8)[:2], 1).usage_entropy == pytest.approx(1 / 3)
    assert gather(np.eye(8)[:1], 1).usage_entropy == 0
    assert gather(np.zeros((2, 8)), 1).usage_entropy == 0
    assert gather(np.ones((2, 1)), 1).usage_entropy == 1


def test_what_is_refused():
    with pytest.raises(ValueError, match="at least one batch"):
        CodeStatistics().summary()
    statistics = gather(np.eye(3), 3)
    with pytest.raises(ValueError, match="those before"):
        statistics.update(np.eye(4))
    with pytest.raises(ValueError, match="batch"):
        statistics.update(np.zeros((0, 3)))
