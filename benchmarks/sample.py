"""Sampling: ours against the reference path and eager PyTorch.

    python -m benchmarks.sample [--models=full,quickstart] [--batches=1,4,16,64,256]

Where JAX sees the GPU and TensorFlow does not: KERAS_BACKEND=jax before the command;
TensorFlow need not be there.
"""

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks import measure, plain
from hcm_tf.config import ModelConfig
from hcm_tf.networks import Generator, build_generator

try:
    import torch

    from benchmarks import torch_port
except ImportError:
    torch = None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", default="full,quickstart")
    parser.add_argument("--batches", default="1,4,16,64,256")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--torch", action=argparse.BooleanOptionalAction, default=True)
    options = parser.parse_args()
    rows = [
        compare(name, int(batch), options.rounds, options.torch)
        for name in options.models.split(",")
        for batch in options.batches.split(",")
    ]
    measure.report(
        "sample",
        (
            "model",
            "batch",
            "ms/image",
            "quartiles",
            "reference / ours",
            "PyTorch / ours",
            "CPU time, reference / ours",
            "CPU time, PyTorch / ours",
            "fraction of matrix product",
            "GFLOP/s of that",
        ),
        rows,
    )


def compare(name: str, batch: int, rounds: int, with_torch: bool) -> tuple[Any, ...]:
    """One row of the table."""
    config = measure.MODELS[name]
    fast = build_generator(config)
    reference = plain.build_generator(config)
    plain.copy_weights(fast, reference)
    latent = np.random.default_rng(0).uniform(-1, 1, (batch, config.latent_size))
    latent = latent.astype("float32")
    product, operations = measure.matrix_product()
    runs = {
        "ours": sampler(fast, latent),
        "reference": sampler(reference, latent),
        "product": product,
    }
    if with_torch and torch is not None:
        runs["torch"] = torch_sampler(fast, config, latent)
    times = measure.interleave(runs, rounds=rounds)
    ours, peak = times["ours"], operations / times["product"]["ms"]
    others = [times["reference"], times.get("torch")]
    return (
        name,
        batch,
        ours["ms"] / batch,
        "{:.3g} to {:.3g}".format(*(value / batch for value in ours["quartiles"])),
        *(other and other["ms"] / ours["ms"] for other in others),
        *(other and other["cpu_ms"] / ours["cpu_ms"] for other in others),
        2 * measure.useful_macs(config) * batch / ours["ms"] / peak,
        peak / 1e6,
    )


def sampler(generator: Generator, latent: np.ndarray) -> Callable[[], Any]:
    """A function that draws the images and waits for them."""
    return measure.compiled(generator, latent)


def torch_sampler(generator: Generator, config: ModelConfig, latent: np.ndarray) -> Any:
    """The same of the port, with the same weights."""
    port = torch_port.TorchGenerator(torch_port.weights_of(generator), config)
    tensor = torch.from_numpy(latent)

    def draw() -> Any:
        with torch.inference_mode():
            return port(tensor).numpy()

    return draw


if __name__ == "__main__":
    main()
