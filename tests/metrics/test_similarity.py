import numpy as np
import pytest
import tensorflow as tf

from hcm_tf.metrics import similarity


def test_constant_images_in_closed_form():
    """No contrast: SSIM is its luminance term, on [0, 1]."""
    one = np.full((1, 32, 32, 3), -0.5, "float32")
    other = np.full((1, 32, 32, 3), 0.5, "float32")
    luminance = (2 * 0.25 * 0.75 + 1e-4) / (0.25**2 + 0.75**2 + 1e-4)
    np.testing.assert_allclose(similarity.squared_error(one, other), 1)
    np.testing.assert_allclose(similarity.psnr(one, other), 10 * np.log10(4))
    np.testing.assert_allclose(similarity.ssim(one, other), luminance, rtol=1e-9)
    weight = similarity.scale_exponents(32)[-1]
    np.testing.assert_allclose(
        similarity.ms_ssim(one, other), luminance**weight, rtol=1e-9
    )


def test_equal_images():
    images = np.random.default_rng(0).uniform(-1, 1, (2, 64, 64, 1)).astype("float32")
    assert np.isinf(similarity.psnr(images, images)).all()
    for measure in (similarity.ssim, similarity.ms_ssim):
        np.testing.assert_allclose(measure(images, images), 1, rtol=0, atol=1e-12)


def test_batches_change_nothing(monkeypatch):
    random = np.random.default_rng(1)
    one, noise = random.uniform(-1, 1, (2, 5, 16, 16, 3)).astype("float32")
    other = 0.7 * one + 0.3 * noise
    whole = similarity.ssim(one, other)
    assert whole.shape == (5,)
    np.testing.assert_allclose(similarity.ms_ssim(one, other), whole, rtol=1e-9)
    monkeypatch.setattr(similarity, "BATCH", 2)
    np.testing.assert_allclose(similarity.ssim(one, other), whole, rtol=1e-9)


def test_against_tensorflow():
    """Which works in float32; noise has variance enough for it."""
    random = np.random.default_rng(2)
    one, noise = random.uniform(-1, 1, (2, 3, 64, 48, 3)).astype("float32")
    other = 0.7 * one + 0.3 * noise
    tensors = [tf.constant((array + 1) / 2) for array in (one, other)]
    expected = tf.image.ssim(*tensors, 1.0)
    np.testing.assert_allclose(similarity.ssim(one, other), expected, atol=1e-5)
    exponents = similarity.scale_exponents(48)
    expected = tf.image.ssim_multiscale(*tensors, 1.0, exponents)
    np.testing.assert_allclose(similarity.ms_ssim(one, other), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("side", "scales"),
    [(11, 1), (21, 1), (22, 2), (32, 2), (64, 3), (128, 4), (256, 5)],
)
def test_scales_leave_the_window_its_pixels(side, scales):
    exponents = similarity.scale_exponents(side)
    assert len(exponents) == scales
    assert sum(exponents) == pytest.approx(1)
    published = similarity.EXPONENTS[:scales]
    np.testing.assert_allclose(np.divide(exponents, published), 1 / sum(published))


def test_what_is_refused():
    images = np.zeros((1, 8, 8, 1), "float32")
    with pytest.raises(ValueError, match="at least 11 pixels"):
        similarity.ssim(images, images)
    with pytest.raises(ValueError, match="one shape"):
        similarity.psnr(images, images[:, 1:])
    with pytest.raises(ValueError, match="in \\[-1, 1\\]"):
        similarity.psnr(images + np.nan, images)
