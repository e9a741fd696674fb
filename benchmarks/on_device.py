"""TFLite: every export against a plain float32 conversion of the reference path.

    python -m benchmarks.on_device [--run_dir=RUN] [--models=full,quickstart]

One image at a time, in the runtime that devices use. Errors are those of
`export.tflite`, and mean little for the random weights that are used without --run_dir.
A second table says where the time goes: up to each level of the network.
"""

import argparse
import pathlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from benchmarks import measure, plain
from export import conversion, quality
from export.signatures import Signature
from hcm_tf import operations
from hcm_tf.config import ExperimentConfig
from hcm_tf.networks import (
    Generator,
    build_critic,
    build_encoder,
    build_generator,
)
from hcm_tf.prior import Uniform
from hcm_tf.runs import checkpoint
from hcm_tf.runs.checkpoint import Run

# Threads that have slept wake up slowly: a device draws several images in a row.
WARM_UP, IN_A_ROW = 2, 5
PLAIN = "plain float32"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", default="full,quickstart", help="without a run")
    parser.add_argument("--run_dir", type=pathlib.Path)
    parser.add_argument("--precisions", default=",".join(conversion.PRECISIONS))
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--latents", type=int, default=64)
    parser.add_argument("--max_mean_error", type=float, default=1.0)
    options = parser.parse_args()
    options.threads = [int(count) for count in options.threads.split(",")]
    rows, levels = [], []
    for name, run in _runs(options):
        rows += compare(name, run, options)
        levels += by_level(name, run, options)
    times = [f"ms, {count} threads" for count in options.threads]
    ratios = [f"plain / this, {count} threads" for count in options.threads]
    columns = ("model", "form", "MB", "mean error, grey levels", "passes")
    measure.report("on_device", (*columns, *times, *ratios), rows)
    measure.report("on_device, up to a level", ("model", "form", "to", *times), levels)


def _runs(options: argparse.Namespace) -> Iterator[tuple[str, Run]]:
    if options.run_dir:
        run = checkpoint.load(options.run_dir, execution="device")
        yield options.run_dir.name, run
        return
    for name in options.models.split(","):
        config = ExperimentConfig(model=measure.MODELS[name])
        builders = (build_generator, build_encoder, build_critic)
        networks = [
            operations.apply(build(config.model), "device") for build in builders
        ]
        yield name, Run(config, 0, *networks, Uniform(config.model.latent_size))


def compare(name: str, run: Run, options: argparse.Namespace) -> list[tuple[Any, ...]]:
    """A row for each form of a model."""
    judge = quality.Judge(run, options.latents)

    def convert(generator: Generator, precision: str, fidelity: float) -> bytes:
        latent = tf.TensorSpec((1, generator.latent_size), tf.float32, "latent")
        draw = Signature(lambda latent: {"images": generator(latent)}, latent)
        contents = conversion.convert(
            generator, {"generate": draw}, precision, fidelity
        )
        errors[form] = judge.mean_error(contents)
        return contents

    models, errors = {}, {}
    form = PLAIN
    models[form] = convert(_reference(run.generator, run), "float32", 0)
    for precision in options.precisions.split(","):
        for fidelity in conversion.fidelities(
            precision, len(run.generator.level_names)
        ):
            form = precision
            if fidelity:
                dynamic = precision == "int8_dynamic"
                above = f"above {fidelity} selections"
                form += f", {above if dynamic else 'dictionary alone'}"
            models[form] = convert(run.generator, precision, fidelity)
    times = [in_turn(models, count, options.rounds) for count in options.threads]
    return [
        (
            name,
            form,
            len(models[form]) / 1e6,
            errors[form],
            "yes" if errors[form] <= options.max_mean_error else "no",
            *(of_count[form] for of_count in times),
            *(of_count[PLAIN] / of_count[form] for of_count in times),
        )
        for form in models
    ]


def by_level(name: str, run: Run, options: argparse.Namespace) -> list[tuple[Any, ...]]:
    """What it takes to come up to each level's code, plainly and in ours."""
    levels = (*run.generator.level_names, "image")
    rows = []
    for form, generator in {
        PLAIN: _reference(run.generator, run),
        "float32": run.generator,
    }.items():
        latent = tf.TensorSpec((1, generator.latent_size), tf.float32, "latent")
        models = {
            level: conversion.convert(
                generator, {"reach": Signature(_reach(generator, i), latent)}, "float32"
            )
            for i, level in enumerate(levels)
        }
        times = [in_turn(models, count, options.rounds) for count in options.threads]
        rows += [
            (name, form, level, *(of_count[level] for of_count in times))
            for level in levels
        ]
    return rows


def _reach(generator: Generator, level: int) -> Callable[[tf.Tensor], dict]:
    def reach(latent: tf.Tensor) -> dict[str, tf.Tensor]:
        trace = generator.trace(latent)
        return {"code": (*trace.codes, trace.image)[level]}

    return reach


def _reference(generator: Generator, run: Run) -> Generator:
    reference = plain.build_generator(run.config.model)
    plain.copy_weights(generator, reference)
    return reference


def in_turn(models: dict[str, bytes], threads: int, rounds: int) -> dict[str, float]:
    """Milliseconds of each model: the median of short series, one model's at a time."""
    draws = {form: _drawing(model, threads) for form, model in models.items()}
    milliseconds = {form: [] for form in models}
    for _ in range(rounds):
        for form, draw in draws.items():
            for _ in range(WARM_UP):
                draw()
            for _ in range(IN_A_ROW):
                began = time.perf_counter()
                draw()
                milliseconds[form].append(1e3 * (time.perf_counter() - began))
    return {form: float(np.median(values)) for form, values in milliseconds.items()}


def _drawing(model: bytes, threads: int) -> Callable[[], None]:
    interpreter = Interpreter(model_content=model, num_threads=threads)
    interpreter.allocate_tensors()
    (entry,) = interpreter.get_input_details()
    values = np.random.default_rng(0).uniform(-1, 1, entry["shape"])
    interpreter.set_tensor(entry["index"], values.astype(entry["dtype"]))
    return interpreter.invoke


if __name__ == "__main__":
    main()
