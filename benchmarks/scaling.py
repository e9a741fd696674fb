"""How the cost grows: batch, image size, attributes, replicas.

python -m benchmarks.scaling [--base_channels=16]
"""

import argparse
import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks import measure, sample, train
from hcm_tf.config import ExperimentConfig, ModelConfig
from hcm_tf.networks import build_generator
from hcm_tf.runs import building, devices


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base_channels", type=int, default=16)
    parser.add_argument("--replicas", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    model = ModelConfig(base_channels=options.base_channels)
    # First: logical devices are made before anything touches the machine.
    alone, shared = replicas(model, options.replicas)
    rows = []
    for what, variations in {
        "batch": {batch: (model, batch) for batch in (5, 10, 20, 40)},
        "image size": {
            size: (dataclasses.replace(model, image_size=size), 10)
            for size in (32, 64, 128)
        },
        "attributes": {
            count: (dataclasses.replace(model, attributes=count), 10)
            for count in (50, 200, 800)
        },
    }.items():
        for value, (varied, batch) in variations.items():
            rows.append((what, value, *costs(varied, batch, options.rounds)))
    times = measure.interleave({"1": alone, "n": shared}, rounds=options.rounds)
    for count, name in ((1, "1"), (options.replicas, "n")):
        rows.append(("replicas", count, None, times[name]["ms"] / 20))
    columns = ("varied", "to", "sampling, ms/image", "training step, ms/image")
    measure.report("scaling", columns, rows, base_channels=options.base_channels)


def costs(model: ModelConfig, batch: int, rounds: int) -> tuple[float, float]:
    """Milliseconds for an image, of sampling and of a training step."""
    latent = np.random.default_rng(0).uniform(-1, 1, (batch, model.latent_size))
    step = train.stepper(train.configuration(model, batch), _images(model, batch))
    runs = {
        "sample": sample.sampler(build_generator(model), latent.astype("float32")),
        "train": step,
    }
    times = measure.interleave(runs, rounds=rounds)
    return times["sample"]["ms"] / batch, times["train"]["ms"] / batch


def replicas(model: ModelConfig, count: int) -> tuple[Callable, Callable]:
    """Steps of batch 20 on one device, and shared by several."""
    several = _distributed(train.configuration(model, 20, replicas=count))
    return _distributed(train.configuration(model, 20, replicas=1)), several


def _distributed(config: ExperimentConfig) -> Callable[[], Any]:
    strategy = devices.make_strategy(config)
    with strategy.scope():
        trainer = building.build_trainer(config, strategy.num_replicas_in_sync)
    images = _images(config.model, config.train.batch_size)
    batches = tf.data.Dataset.from_tensors({"image": images}).repeat()
    iterator = iter(strategy.experimental_distribute_dataset(batches))

    @tf.function(autograph=False)
    def step() -> tf.Tensor:
        metrics = strategy.run(trainer.train_step, (next(iterator),))
        return strategy.experimental_local_results(metrics["generator_loss"])[0]

    return lambda: float(step())


def _images(model: ModelConfig, batch: int) -> np.ndarray:
    shape = (batch, model.image_size, model.image_size, model.image_channels)
    return np.random.default_rng(0).uniform(-1, 1, shape).astype("float32")


if __name__ == "__main__":
    main()
