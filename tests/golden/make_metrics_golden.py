"""Golden values of metrics from other implementations, written to metrics.npz.

Runs in the environment of requirements-metrics.txt; tests/metrics/test_golden.py
compares our metrics with what it writes. Running it again writes the same bytes.

Features. `features/{reference,samples}` are float32 (90, 12) and (70, 12), a mixture of
three Gaussians and a narrower one without the third; `features/thin_*` are (8, 12),
whose covariances are singular.

* `frechet/{torch_fidelity,clean_fid}`: of their means and covariances, in float64;
  `frechet/thin` is torch-fidelity's of the thin ones.
* `kernel/{torch_fidelity,clean_fid}`: the cubic kernel's unbiased estimate over the
  first 70 of each. clean-fid takes one subset, of all of them.
* `manifold/prdc`: precision, recall, density and coverage, with k = 5.
* `manifold/torch_fidelity`: precision and recall, with k = 3.

Images. `images/{one,other}` are uint8 (3, 64, 64, 3): shapes, and the same with noise,
blur and a cast. `similarity/{psnr,ssim,grey_ssim}` are scikit-image's for each pair on
[0, 255], with the Gaussian window of the publication; `similarity/ssim_torch`,
`similarity/ms_ssim_64` and `_32` (every second pixel) pytorch-msssim's, the latter with
our exponents for three and for two scales.

Patches. `sliced/{one,other}` are float32 (80, 7, 7, 3) of different textures,
`sliced/directions` (147, 16) unit vectors, and `sliced/distance` the mean of SciPy's
`wasserstein_distance` over the directions, after each channel of each set has been
brought to mean 0 and deviation 1. `sliced/{reduced,enlarged}` are SciPy's convolutions
of the first of `images/one`, mirrored at the border, of which every second pixel stays,
and, times four, of every second pixel with zeros between.
"""

import importlib
import pathlib
import sys
from unittest import mock

import numpy as np
import scipy.ndimage
import scipy.stats
import skimage.metrics
import torch

# Their modules import it to read images; the arithmetic never calls it, and its own
# compiled part fits one build of torch only.
sys.modules["torchvision"] = mock.MagicMock()
for _name in ("transforms", "transforms.functional", "models", "io"):
    sys.modules[f"torchvision.{_name}"] = mock.MagicMock()
sys.modules["torchvision.datasets"] = mock.MagicMock(
    CIFAR10=object, STL10=object, CIFAR100=object
)

import cleanfid.fid  # noqa: E402
import prdc  # noqa: E402
import pytorch_msssim  # noqa: E402
from torch_fidelity import metric_fid, metric_kid, metric_prc  # noqa: E402

# The package names a function as it names this module.
msssim = importlib.import_module("pytorch_msssim.ssim")
PATH = pathlib.Path(__file__).with_name("metrics.npz")
EXPONENTS = (0.0448, 0.2856, 0.3001)


def features(rng: np.random.Generator) -> dict[str, np.ndarray]:
    centres = rng.normal(0, 2, (3, 12))
    reference = centres[rng.integers(0, 3, 90)] + rng.normal(size=(90, 12))
    samples = centres[rng.integers(0, 2, 70)] + rng.normal(0, 0.7, (70, 12))
    return {
        "features/reference": reference.astype("float32"),
        "features/samples": samples.astype("float32"),
        "features/thin_reference": rng.normal(size=(8, 12)).astype("float32"),
        "features/thin_samples": rng.normal(0.5, 1.5, (8, 12)).astype("float32"),
    }


def frechet(reference: np.ndarray, samples: np.ndarray) -> float:
    statistics = [
        metric_fid.fid_features_to_statistics(torch.tensor(array, dtype=torch.float64))
        for array in (reference, samples)
    ]
    return metric_fid.fid_statistics_to_metric(*statistics, False)[
        metric_fid.KEY_METRIC_FID
    ]


def distances(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    reference = arrays["features/reference"].astype("float64")
    samples = arrays["features/samples"].astype("float64")
    alike = reference[: len(samples)]
    moments = [
        function(array)
        for array in (reference, samples)
        for function in (lambda x: x.mean(axis=0), lambda x: np.cov(x, rowvar=False))
    ]
    scores = prdc.compute_prdc(reference, samples, nearest_k=5)
    found = {
        "frechet/torch_fidelity": frechet(reference, samples),
        "frechet/clean_fid": cleanfid.fid.frechet_distance(*moments),
        "frechet/thin": frechet(
            arrays["features/thin_reference"], arrays["features/thin_samples"]
        ),
        "kernel/torch_fidelity": metric_kid.kernel_mmd(alike, samples),
        "kernel/clean_fid": cleanfid.fid.kernel_distance(alike, samples, 1),
        "manifold/prdc": [
            scores[name] for name in ("precision", "recall", "density", "coverage")
        ],
        "manifold/torch_fidelity": metric_prc.calculate_precision_recall_full(
            torch.tensor(samples), torch.tensor(reference), 3
        ),
    }
    return {name: np.asarray(value, "float64") for name, value in found.items()}


def pictures(rng: np.random.Generator) -> dict[str, np.ndarray]:
    rows, columns = np.mgrid[:64, :64] / 64
    one = np.stack(
        [
            127 + 60 * np.sin(9 * rows * (i + 1) + channel) + 60 * (columns > rows)
            for i in range(3)
            for channel in range(3)
        ]
    )
    one = np.moveaxis(one.reshape(3, 3, 64, 64), 1, -1)
    other = np.stack(
        [
            one[0] + rng.normal(0, 20, (64, 64, 3)),
            scipy.ndimage.gaussian_filter(one[1], (2, 2, 0)),
            one[2] * 0.8 + (20, 0, -10),
        ]
    )
    return {
        "images/one": np.clip(np.rint(one), 0, 255).astype("uint8"),
        "images/other": np.clip(np.rint(other), 0, 255).astype("uint8"),
    }


def similarity(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    pairs = list(zip(arrays["images/one"], arrays["images/other"], strict=True))
    window = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    tensors = [
        torch.tensor(arrays[name].astype("float64")).permute(0, 3, 1, 2)
        for name in ("images/one", "images/other")
    ]

    def ms_ssim(step: int, scales: int) -> np.ndarray:
        exponents = np.array(EXPONENTS[:scales]) / sum(EXPONENTS[:scales])
        # Its own check of the size is for five scales, whatever the exponents are.
        small = [tensor[:, :, ::step, ::step] for tensor in tensors]
        weights = torch.tensor(exponents)
        window = msssim._fspecial_gauss_1d(11, 1.5).double()
        window = window.repeat([3] + [1] * 3)
        product = 1.0
        for scale, weight in enumerate(weights):
            whole, contrast = msssim._ssim(*small, 255, window)
            last = scale == scales - 1
            product = product * torch.relu(whole if last else contrast) ** weight
            small = [torch.nn.functional.avg_pool2d(image, 2) for image in small]
        return product.mean(dim=1).numpy()

    return {
        "similarity/psnr": np.array(
            [skimage.metrics.peak_signal_noise_ratio(*pair) for pair in pairs]
        ),
        "similarity/ssim": np.array(
            [
                skimage.metrics.structural_similarity(
                    *pair, channel_axis=2, data_range=255, **window
                )
                for pair in pairs
            ]
        ),
        "similarity/grey_ssim": np.array(
            [
                skimage.metrics.structural_similarity(
                    a[..., 0], b[..., 0], data_range=255, **window
                )
                for a, b in pairs
            ]
        ),
        "similarity/ssim_torch": pytorch_msssim.ssim(
            *tensors, data_range=255, size_average=False
        ).numpy(),
        "similarity/ms_ssim_64": ms_ssim(1, 3),
        "similarity/ms_ssim_32": ms_ssim(2, 2),
    }


def sliced(rng: np.random.Generator, image: np.ndarray) -> dict[str, np.ndarray]:
    one = rng.normal(size=(80, 7, 7, 3)) * (1, 2, 3) + 0.5
    other = np.cumsum(rng.normal(size=(80, 7, 7, 3)), axis=1)
    directions = rng.normal(size=(147, 16))
    directions /= np.linalg.norm(directions, axis=0)
    sets = [
        ((array - array.mean(axis=(0, 1, 2))) / array.std(axis=(0, 1, 2))).reshape(
            80, -1
        )
        for array in (one, other)
    ]
    distances = [
        scipy.stats.wasserstein_distance(sets[0] @ direction, sets[1] @ direction)
        for direction in directions.T
    ]
    taps = np.array([1, 4, 6, 4, 1]) / 16
    kernel = np.outer(taps, taps)[..., None]
    blurred = scipy.ndimage.convolve(image, kernel, mode="mirror")
    spread = np.zeros_like(image)
    spread[::2, ::2] = image[::2, ::2]
    enlarged = 4 * scipy.ndimage.convolve(spread, kernel, mode="mirror")
    return {
        "sliced/one": one.astype("float32"),
        "sliced/other": other.astype("float32"),
        "sliced/directions": directions,
        "sliced/distance": np.asarray(np.mean(distances)),
        "sliced/reduced": blurred[::2, ::2].astype("float32"),
        "sliced/enlarged": enlarged.astype("float32"),
    }


def main() -> None:
    arrays = features(np.random.default_rng(0)) | pictures(np.random.default_rng(1))
    image = arrays["images/one"][0] / 127.5 - 1
    arrays |= distances(arrays) | similarity(arrays)
    arrays |= sliced(np.random.default_rng(2), image)
    np.savez_compressed(PATH, **arrays)
    print(f"{PATH.name}: {len(arrays)} arrays, {PATH.stat().st_size} bytes")


if __name__ == "__main__":
    main()
