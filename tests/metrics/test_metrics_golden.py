"""Parity with published implementations, by golden/make_metrics_golden.py's values."""

import pathlib

import numpy as np
import pytest

from hcm_tf.metrics import frechet, kernel, manifold, similarity
from hcm_tf.metrics import sliced_wasserstein as sliced

# pytorch-msssim makes its window in float32.
SSIM_TOLERANCE = {"ssim": 1e-6, "ssim_torch": 1e-5}


@pytest.fixture(scope="module")
def golden():
    path = pathlib.Path(__file__).parents[1] / "golden" / "metrics.npz"
    with np.load(path) as arrays:
        return {name: arrays[name] for name in arrays.files}


@pytest.fixture(scope="module")
def features(golden):
    return golden["features/reference"], golden["features/samples"]


@pytest.fixture(scope="module")
def images(golden):
    return tuple(
        golden[f"images/{name}"].astype("float32") / 127.5 - 1
        for name in ("one", "other")
    )


@pytest.mark.parametrize("package", ["torch_fidelity", "clean_fid"])
def test_frechet(golden, features, package):
    distance = frechet.frechet_distance(*features)
    assert distance == pytest.approx(golden[f"frechet/{package}"], rel=1e-9)


def test_frechet_of_singular_covariances(golden):
    thin = golden["features/thin_reference"], golden["features/thin_samples"]
    # Theirs takes roots of eigenvalues that are zero but for rounding.
    assert frechet.frechet_distance(*thin) == pytest.approx(
        golden["frechet/thin"], rel=1e-6
    )


@pytest.mark.parametrize("package", ["torch_fidelity", "clean_fid"])
def test_kernel(golden, features, package):
    reference, samples = features
    distance = kernel.squared_discrepancy(reference[: len(samples)], samples)
    assert distance == pytest.approx(golden[f"kernel/{package}"], rel=1e-9)


def test_density_and_coverage(golden, features):
    scores = manifold.manifold_scores(*features, 5, 5)
    np.testing.assert_allclose(
        list(scores.values()), golden["manifold/prdc"], rtol=0, atol=1e-12
    )
    assert list(scores) == ["precision", "recall", "density", "coverage"]


def test_precision_and_recall(golden, features):
    scores = manifold.manifold_scores(*features)
    np.testing.assert_allclose(
        [scores["precision"], scores["recall"]],
        golden["manifold/torch_fidelity"],
        rtol=0,
        atol=1e-7,
    )


def test_psnr(golden, images):
    np.testing.assert_allclose(
        similarity.psnr(*images), golden["similarity/psnr"], rtol=1e-6
    )


@pytest.mark.parametrize("package", ["ssim", "ssim_torch"])
def test_ssim(golden, images, package):
    np.testing.assert_allclose(
        similarity.ssim(*images),
        golden[f"similarity/{package}"],
        rtol=0,
        atol=1e-5,
    )


def test_ssim_of_grey_images(golden, images):
    grey = [array[..., :1] for array in images]
    np.testing.assert_allclose(
        similarity.ssim(*grey),
        golden["similarity/grey_ssim"],
        rtol=0,
        atol=1e-5,
    )


@pytest.mark.parametrize(("side", "step"), [(64, 1), (32, 2)])
def test_ms_ssim(golden, images, side, step):
    small = [array[:, ::step, ::step] for array in images]
    np.testing.assert_allclose(
        similarity.ms_ssim(*small),
        golden[f"similarity/ms_ssim_{side}"],
        rtol=0,
        atol=1e-5,
    )


def test_distance_of_patches(golden):
    sets = [sliced.normalise(golden[f"sliced/{name}"]) for name in ("one", "other")]
    directions = golden["sliced/directions"].astype("float32")
    assert sliced.mean_distance(*sets, directions) == pytest.approx(
        golden["sliced/distance"], rel=1e-5
    )


def test_pyramid(golden, images):
    image = images[0][:1]
    np.testing.assert_allclose(
        sliced.reduce(image)[0], golden["sliced/reduced"], rtol=0, atol=1e-6
    )
    enlarged = sliced.enlarge(image[:, ::2, ::2])[0]
    np.testing.assert_allclose(enlarged, golden["sliced/enlarged"], rtol=0, atol=1e-6)
