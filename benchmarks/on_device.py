"""TFLite: every export against a plain float32 conversion of the reference path.

    python -m benchmarks.on_device [--run_dir=RUN] [--models=full,quickstart]

One image at a time, in the runtime that devices use. Errors are those of `export.tflite`
and mean little for the random weights that are used without --run_dir.
"""

import argparse
import dataclasses
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from benchmarks import measure, plain, sample
from export import quality, tflite
from export.signatures import Signature
from hcm_tf import checkpoint
from hcm_tf.checkpoint import Run
from hcm_tf.config import ExperimentConfig
from hcm_tf.networks import build_critic, build_encoder, build_generator


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", default="full,quickstart", help="without a run")
    parser.add_argument("--run_dir", type=pathlib.Path)
    parser.add_argument("--precisions", default=",".join(tflite.PRECISIONS))
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--latents", type=int, default=64)
    parser.add_argument("--max_mean_error", type=float, default=1.0)
    options = parser.parse_args()
    if options.run_dir:
        runs = {
            options.run_dir.name: checkpoint.load(options.run_dir, execution="device")
        }
    else:
        runs = {name: random_run(name) for name in options.models.split(",")}
    threads = [int(count) for count in options.threads.split(",")]
    rows = [row for name, run in runs.items() for row in compare(name, run, options)]
    measure.report(
        "on_device",
        (
            "model",
            "form",
            "MB",
            "mean error, grey levels",
            "passes",
            *(f"ms, {count} threads" for count in threads),
            *(f"plain / this, {count} threads" for count in threads),
        ),
        rows,
    )


def random_run(name: str) -> Run:
    """The networks of a configuration before any training."""
    config = ExperimentConfig(model=measure.MODELS[name])
    generator, encoder, critic = (
        build(config.model, execution="device")
        for build in (build_generator, build_encoder, build_critic)
    )
    return Run(
        config=config, step=0, generator=generator, encoder=encoder, critic=critic
    )


def compare(
    name: str, run: Run, options: argparse.Namespace
) -> list[tuple[Any, ...]]:
    """A row for each form of a model."""
    reference = plain.build_generator(run.config.model)
    plain.copy_weights(run.generator, reference)
    models = {"plain float32": tflite.convert(reference, _draw(reference), "float32")}
    judge = quality.Judge(run, options.latents)
    errors = {"plain float32": _error(judge, models["plain float32"])}
    for precision in options.precisions.split(","):
        for fidelity in tflite.FIDELITIES[precision]:
            contents = tflite.convert(
                run.generator, _draw(run.generator), precision, fidelity
            )
            models[precision], errors[precision] = contents, _error(judge, contents)
            if errors[precision] <= options.max_mean_error:
                break
    counts = [int(count) for count in options.threads.split(",")]
    times = []
    for count in counts:
        runs = {form: _invoker(model, count) for form, model in models.items()}
        times.append(measure.interleave(runs, rounds=options.rounds))
    return [
        (
            name,
            form,
            len(models[form]) / 1e6,
            errors[form],
            "yes" if errors[form] <= options.max_mean_error else "no",
            *(time[form]["ms"] for time in times),
            *(time["plain float32"]["ms"] / time[form]["ms"] for time in times),
        )
        for form in models
    ]
