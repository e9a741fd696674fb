"""Bits and errors of a tiny run's codes, against direct computation."""

import math

import numpy as np
import pytest

from hcm_tf.evaluate import rates
from hcm_tf.explain.refine import encode
from hcm_tf.images import to_float
from hcm_tf.metrics.rate_distortion import RatePoint
from hcm_tf.runs import checkpoint


@pytest.fixture(scope="module")
def images():
    random = np.random.default_rng(0)
    return random.integers(0, 256, (30, 32, 32, 3), dtype="uint8")


@pytest.fixture(scope="module")
def run(tiny_run):
    return checkpoint.load(tiny_run)


@pytest.fixture(scope="module")
def measured(run, images):
    return rates.measure(run, images[:24], images[24:], batch=4)


def seen_of(codes, batch=3):
    seen = rates.Seen(codes.shape[1:])
    for start in range(0, len(codes), batch):
        seen.update(codes[start : start + batch])
    return seen


def test_what_training_tells_does_not_depend_on_the_batches():
    random = np.random.default_rng(0)
    codes = random.normal(size=(8, 4, 4, 5)).astype("float32")
    codes *= random.random(codes.shape) < 0.3
    codes[..., 4] = 0
    seen = seen_of(codes)
    assert seen.count == 8
    np.testing.assert_array_equal(seen.active, np.count_nonzero(codes, axis=0))
    for channel in range(4):
        active = codes[..., channel][codes[..., channel] != 0]
        assert (seen.low[channel], seen.high[channel]) == (active.min(), active.max())
    assert (seen.low[4], seen.high[4]) == (np.inf, -np.inf)
    assert not rates.rounded(np.ones_like(codes), seen, 4)[..., 4].any()


def test_many_bits_cost_no_error(run, images):
    """A code rounded to 24 bits, drawn again, is the encoder's own picture."""
    code = np.asarray(
        run.generator.trace(encode(run.encoder, to_float(images))).codes[1]
    )
    kept = rates.rounded(code, seen_of(code), 24)
    np.testing.assert_array_equal(kept != 0, code != 0)
    np.testing.assert_allclose(kept, code, atol=1e-5 * np.abs(code).max())


def test_more_bits_come_nearer_to_the_encoder(run, images, measured):
    held_out = to_float(images[24:])
    latents = encode(run.encoder, held_out)
    exact = np.asarray(run.generator(latents))
    codes = [np.asarray(code) for code in run.generator.trace(latents).codes]
    error = np.mean(np.square(exact - held_out))
    for index, points in enumerate(measured["levels"].values()):
        bits = [point["bits"] for point in points]
        assert bits == sorted(bits)
        assert points[-1]["error"] == pytest.approx(error, rel=1e-3)
        gaps = []
        for value_bits in (2, 4, 24):
            kept = rates.rounded(codes[index], seen_of(codes[index]), value_bits)
            gaps.append(np.abs(rates.redrawn(run, index, kept, 4) - exact).mean())
        assert gaps[0] > gaps[1] > gaps[2]
        assert gaps[2] < 1e-4


def test_bits_are_those_of_values_and_positions(run, images, measured):
    latents = encode(run.encoder, to_float(images[24:]))
    codes = run.generator.trace(latents).codes
    for level, code in zip(run.generator.levels, codes, strict=True):
        active = np.asarray(code) != 0
        ways = {"enumerated": enumerated(active, level.placed)}
        for point in measured["levels"][level.name]:
            values = point["value_bits"] * active.sum() / len(active)
            rest = point["bits"] - point["position_bits"]
            assert rest == pytest.approx(values, rel=1e-9)
            assert point["position_bits"] <= ways["enumerated"] * (1 + 1e-9)
            if point["positions_by"] == "enumerated":
                assert point["position_bits"] == pytest.approx(ways["enumerated"])


def enumerated(active, placed):
    """Mean bits of positions, group by group."""
    bits = 0.0
    for one in active:
        groups = (
            one.reshape(-1, one.shape[2]) if placed else one.reshape(-1, one.shape[2]).T
        )
        for group in groups:
            ways = math.comb(len(group), int(group.sum()))
            bits += math.log2(ways) + math.log2(len(group) + 1)
    return bits / len(active)


def test_error_of_a_curve_between_its_points():
    curve = [RatePoint(1, 900, 100, 0.4), RatePoint(2, 1200, 400, 0.1)]
    assert rates.error_at(curve, 200) == pytest.approx(0.2)
    assert rates.error_at(curve, 100) == pytest.approx(0.4)
    assert rates.error_at(curve, 99) is None
    assert rates.error_at(curve, 401) is None
