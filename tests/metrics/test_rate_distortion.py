import io
import itertools
import math

import numpy as np
import pytest
from PIL import Image

from hcm_tf.metrics import rate_distortion as rates


@pytest.fixture(scope="module")
def images():
    rows, columns = np.mgrid[:32, :32] / 32
    random = np.random.default_rng(0)
    weights = random.normal(0, 0.3, (40, 4, 3))
    waves = np.stack(
        [np.sin(7 * rows), np.cos(5 * columns), rows * columns, np.sign(rows - columns)]
    )
    clean = np.einsum("nkc,khw->nhwc", weights, waves)
    return np.clip(clean + random.normal(0, 0.05, clean.shape), -1, 1).astype("float32")


def test_positions_enumerated_by_counting_codes():
    """Of 6 competitors, 2 active: the bits of naming one of the codes there are."""
    codes = [c for c in itertools.product([0, 1], repeat=6) if sum(c) == 2]
    active = np.array(codes[:1] * 3, bool).reshape(1, 3, 6)
    expected = 3 * math.log2(len(codes))
    assert rates.enumerated_bits(active, k_varies=False) == pytest.approx([expected])
    assert rates.enumerated_bits(active) == pytest.approx([expected + 3 * math.log2(7)])


def test_positions_by_usage_in_closed_form():
    usage = np.array([0.5, 0.25, 0.125])
    active = np.array([[0, 0, 1], [1, 1, 0]], bool)
    expected = [1 - math.log2(0.75) + 3, 1 + 2 - math.log2(0.875)]
    np.testing.assert_allclose(rates.usage_bits(active, usage), expected)


def test_mean_bits_by_usage_come_to_the_entropy():
    random = np.random.default_rng(1)
    p = random.uniform(0.02, 0.5, (4, 5))
    active = random.random((20000, 4, 5)) < p
    entropy = -np.sum(p * np.log2(p) + (1 - p) * np.log2(1 - p))
    usage = rates.smoothed_usage(active.sum(axis=0), len(active))
    mean = rates.usage_bits(active, usage).mean()
    assert mean == pytest.approx(entropy, rel=0.01)
    never = rates.smoothed_usage(np.array([0, 3]), 3)
    np.testing.assert_allclose(never, [0.125, 0.875])


def test_value_bits_and_quantisation():
    active = np.array([[[1, 0], [1, 1]]], bool)
    assert rates.value_bits(active, 6) == [18]
    values = np.array([-9.0, 0.0, 0.3, 0.99, 1.0, 5.0])
    np.testing.assert_allclose(
        rates.quantise(values, 2, 0.0, 1.0), [0.125, 0.125, 0.375, 0.875, 0.875, 0.875]
    )
    np.testing.assert_array_equal(rates.quantise(values, 3, 2.0, 2.0), 2)
    noise = np.random.default_rng(2).uniform(0, 1, 100000)
    error = np.mean((rates.quantise(noise, 4, 0.0, 1.0) - noise) ** 2)
    assert error == pytest.approx(2**-8 / 12, rel=0.02)


@pytest.mark.parametrize("curve", [rates.jpeg_curve, rates.webp_curve])
@pytest.mark.parametrize("channels", [1, 3])
def test_files_cost_more_the_better_they_are(images, curve, channels):
    points = curve(images[:4, ..., :channels], (5, 50, 95))
    assert [point.setting for point in points] == [5, 50, 95]
    for worse, better in itertools.pairwise(points):
        assert worse.bits < better.bits
        assert worse.payload_bits < better.payload_bits
        assert worse.error > better.error
    assert all(0 < point.payload_bits < point.bits for point in points)
    assert 1e-5 < points[-1].error < 2e-2


def test_jpeg_payload_is_the_scan(images):
    """Restart markers and escaped bytes belong to it, tables do not."""
    pixels = ((images[0] + 1) * 127.5).astype("uint8")
    for settings in ({}, {"progressive": True}, {"restart_marker_blocks": 1}):
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "JPEG", quality=95, **settings)
        data = file.getvalue()
        headers = len(data) - rates.jpeg_payload(data)
        bloated = io.BytesIO()
        comment = b"x" * 1000
        Image.fromarray(pixels).save(
            bloated, "JPEG", quality=95, comment=comment, **settings
        )
        assert rates.jpeg_payload(bloated.getvalue()) == rates.jpeg_payload(data)
        assert 300 < headers < 1200


def test_webp_with_transparency_is_not_plain():
    file = io.BytesIO()
    Image.new("RGBA", (8, 8), (1, 2, 3, 4)).save(file, "WEBP")
    with pytest.raises(ValueError, match="plain lossy WebP"):
        rates.webp_payload(file.getvalue())


def test_components_against_the_singular_values(images):
    training = images[:30].reshape(30, -1).astype("float64")
    centred = training - training.mean(axis=0)
    _, values, directions = np.linalg.svd(centred, full_matrices=False)
    found = rates.PrincipalComponents(images[:30], 8)
    np.testing.assert_allclose(found.variances, values[:8] ** 2 / 29, rtol=1e-6)
    cosines = np.abs(np.sum(found.directions.T * directions[:8], axis=1))
    np.testing.assert_allclose(cosines, 1, atol=1e-5)


def test_curve_of_components_against_rebuilt_images(images):
    found = rates.PrincipalComponents(images[:30], 6)
    fresh = images[30:]
    points = found.curve(fresh, (1, 3, 6), 5)
    for point, m in zip(points, (1, 3, 6), strict=True):
        kept = rates.quantise(found.coefficients(fresh), 5, found.low, found.high)
        rebuilt = found.mean + kept[:, :m] @ found.directions[:, :m].T
        error = np.mean((rebuilt - fresh.reshape(10, -1)) ** 2)
        assert point.error == pytest.approx(error, rel=1e-9)
        assert (point.setting, point.bits, point.payload_bits) == (m, 5 * m, 5 * m)
    exact = found.curve(images[:30], (6,), 24)[0].error
    left = found.variances.sum() * 29 / images[:30].size
    whole = np.var(images[:30], axis=0).mean()
    assert exact == pytest.approx(whole - left, rel=1e-4)


def test_what_is_refused(images):
    with pytest.raises(ValueError, match="from 1 to 29"):
        rates.PrincipalComponents(images[:30], 30)
    with pytest.raises(ValueError, match="`bits`"):
        rates.quantise(np.zeros(2), 0, 0.0, 1.0)
    with pytest.raises(ValueError, match="`high`"):
        rates.quantise(np.zeros(2), 1, 1.0, 0.0)
    with pytest.raises(ValueError, match="`usage`"):
        rates.usage_bits(np.ones((2, 3)), np.ones(3))
    with pytest.raises(ValueError, match="`examples`"):
        rates.smoothed_usage(np.array([4]), 3)
    with pytest.raises(ValueError, match="quality"):
        rates.jpeg_curve(images[:1], (0,))
    with pytest.raises(ValueError, match="groups"):
        rates.enumerated_bits(np.ones((2, 3)))
