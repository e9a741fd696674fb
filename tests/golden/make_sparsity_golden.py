"""Golden values of projections from other implementations, written to sparsity.npz.

Runs in the environment of requirements-sparsity.txt; tests/sparsity/test_simplex.py
compares our projections with what it writes. Running it again writes the same bytes.

For the scales 0.1, 1 and 10, `scores_<scale>` is float64 (9, 23), drawn from
N(0, scale^2), and `cotangent` (9, 23) is drawn from N(0, 1).

* `{sparsemax,entmax15}_<scale>`: the package entmax's, by sorting, and
  `..._gradient_<scale>` the gradient of sum(values * cotangent) by its autograd.
* `capped_<k>_<scale>` for k of 1, 5 and 22: clip(z - t, 0, 1) with the t that SciPy's
  `brentq` finds for a sum of k.
"""

import pathlib

import entmax
import numpy as np
import scipy.optimize
import torch

SHAPE = (9, 23)


def capped(z: np.ndarray, k: int) -> np.ndarray:
    def excess(t: float) -> float:
        return np.clip(z - t, 0, 1).sum() - k

    t = scipy.optimize.brentq(excess, z.min() - 1, z.max(), xtol=1e-15, rtol=1e-15)
    return np.clip(z - t, 0, 1)


def main() -> None:
    rng = np.random.default_rng(0)
    arrays = {"cotangent": rng.normal(size=SHAPE)}
    for scale in (0.1, 1, 10):
        scores = rng.normal(scale=scale, size=SHAPE)
        arrays[f"scores_{scale}"] = scores
        for name in ("sparsemax", "entmax15"):
            z = torch.tensor(scores, requires_grad=True)
            values = getattr(entmax, name)(z, dim=-1)
            values.backward(torch.tensor(arrays["cotangent"]))
            arrays[f"{name}_{scale}"] = values.detach().numpy()
            arrays[f"{name}_gradient_{scale}"] = z.grad.numpy()
        for k in (1, 5, 22):
            arrays[f"capped_{k}_{scale}"] = np.stack([capped(z, k) for z in scores])
    path = pathlib.Path(__file__).with_name("sparsity.npz")
    np.savez_compressed(path, **arrays)


if __name__ == "__main__":
    main()
