"""The training step: ours against the plain step and eager PyTorch.

    python -m benchmarks.train [--models=full,quickstart] [--batches=16]

The plain step computes the reference path and shares nothing between its two updates.
"""

import argparse
import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks import measure, plain_trainer
from hcm_tf.config import ExperimentConfig, ModelConfig, TrainConfig
from hcm_tf.runs import building

try:
    import torch

    from benchmarks import torch_port
except ImportError:
    torch = None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", default="full,quickstart")
    parser.add_argument("--batches", default="10,16")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--torch", action=argparse.BooleanOptionalAction, default=True)
    options = parser.parse_args()
    rows = [
        compare(name, int(batch), options.rounds, options.torch)
        for name in options.models.split(",")
        for batch in options.batches.split(",")
    ]
    measure.report(
        "train",
        (
            "model",
            "batch",
            "ms/image",
            "quartiles",
            "plain / ours",
            "PyTorch / ours",
            "ours / ours in bfloat16",
            "CPU time, plain / ours",
            "CPU time, PyTorch / ours",
            "CPU time, ours / bfloat16",
        ),
        rows,
    )


def compare(name: str, batch: int, rounds: int, with_torch: bool) -> tuple[Any, ...]:
    """One row of the table."""
    model = measure.MODELS[name]
    shape = (batch, model.image_size, model.image_size, model.image_channels)
    images = np.random.default_rng(0).uniform(-1, 1, shape).astype("float32")
    runs = {
        "ours": stepper(configuration(model, batch), images),
        "plain": stepper(configuration(model, batch, execution="reference"), images),
        "bfloat16": stepper(configuration(model, batch, precision="bfloat16"), images),
    }
    if with_torch and torch is not None:
        runs["torch"] = torch_stepper(configuration(model, batch), images)
    times = measure.interleave(runs, rounds=rounds)
    ours, half = times["ours"], times["bfloat16"]
    others = [times["plain"], times.get("torch")]
    return (
        name,
        batch,
        ours["ms"] / batch,
        "{:.3g} to {:.3g}".format(*(value / batch for value in ours["quartiles"])),
        *(other and other["ms"] / ours["ms"] for other in others),
        ours["ms"] / half["ms"],
        *(other and other["cpu_ms"] / ours["cpu_ms"] for other in others),
        ours["cpu_ms"] / half["cpu_ms"],
    )


def configuration(model: ModelConfig, batch: int, **train: Any) -> ExperimentConfig:
    """An experiment of that model, whose groups fit any batch."""
    group = next(size for size in range(min(10, batch), 0, -1) if batch % size == 0)
    model = dataclasses.replace(model, stddev_group_size=group)
    return ExperimentConfig(model=model, train=TrainConfig(batch_size=batch, **train))


def stepper(config: ExperimentConfig, images: np.ndarray) -> Callable[[], float]:
    """A function that takes one step and waits for it."""
    plainly = config.train.execution == "reference"
    trainer = (
        plain_trainer.build_trainer(config)
        if plainly
        else building.build_trainer(config, replicas=1)
    )
    step = tf.function(trainer.train_step, autograph=False)
    images = tf.constant(images)
    return lambda: float(step({"image": images})["generator_loss"])


def torch_stepper(config: ExperimentConfig, images: np.ndarray) -> Callable[[], float]:
    """The same of the port, from the same initial weights."""
    ours = building.build_trainer(config, replicas=1)
    generator, encoder, critic = (
        kind(torch_port.weights_of(network), config.model)
        for kind, network in (
            (torch_port.TorchGenerator, ours.generator),
            (torch_port.TorchEncoder, ours.encoder),
            (torch_port.TorchCritic, ours.critic),
        )
    )
    step = torch_port.training_step(generator, encoder, critic)
    # A view of the same memory: channels_last.
    real = torch.from_numpy(images).permute(0, 3, 1, 2)
    return lambda: step(real)


if __name__ == "__main__":
    main()
