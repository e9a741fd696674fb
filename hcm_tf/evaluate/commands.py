"""`python -m hcm_tf.evaluate`: reads the real images, writes files, says a table."""

import dataclasses
import json
import math
import pathlib
import platform
import sys
import time
from collections.abc import Sequence
from importlib import metadata
from typing import Any

import numpy as np

from hcm_tf import features, files
from hcm_tf.config import DataConfig
from hcm_tf.errors import UserError
from hcm_tf.evaluate import gather, page, reals, table
from hcm_tf.evaluate.measurement import Options, World, measure
from hcm_tf.evaluate.progress import bar
from hcm_tf.features import Extractor
from hcm_tf.metrics.sliced_wasserstein import SMALLEST_LEVEL, Patches
from hcm_tf.runs import checkpoint
from hcm_tf.runs.checkpoint import Run
from hcm_tf.version import __version__

JSON_FILE = "evaluation.json"
PAGE_FILE = "evaluation.html"
PACKAGES = ("tensorflow", "keras", "numpy", "pillow")


def evaluate(run_dirs: Sequence[str], options: Options, out: str = "") -> str:
    """Measures runs, and writes their files; returns what to tell the user.

    Args:
        run_dirs: what `train_main.py --workdir` wrote, each.
        options: see there.
        out: the page; "" is `evaluation.html` in the first run.

    Raises:
        UserError: something that the user can mend, in one line. The files of runs
            that were measured before it stay.
    """
    paths = [pathlib.Path(run_dir) for run_dir in run_dirs]
    # A wrong name among several must not show after minutes of measuring the others.
    for path in paths:
        checkpoint.read_config(path)
    names = names_of(paths)
    worlds: dict[Any, World] = {}
    results, pictures = {}, {}
    for name, path in zip(names, paths, strict=True):
        began = time.perf_counter()
        run = checkpoint.load(path)
        data = data_of(run, options)
        key = data, run.config.model.image_size, run.config.model.image_channels
        if key not in worlds:
            worlds[key] = _world(run, data, options)
        found, pictures[name] = measure(run, worlds[key], options)
        made = _provenance(run, worlds[key], options)
        made |= {"run": name, "seconds": time.perf_counter() - began}
        results[name] = _finite({"format": 1, "provenance": made, **found})
        files.write(path / JSON_FILE, json.dumps(results[name], indent=1) + "\n")
    target = pathlib.Path(out) if out else paths[0] / PAGE_FILE
    files.write(target, page.page(results, pictures))
    written = ", ".join(str(path / JSON_FILE) for path in paths)
    return f"{table.markdown(results)}\n{written}; {target}: open it in a browser."


def _world(run: Run, data: DataConfig, options: Options) -> World:
    model = run.config.model
    if model.image_size < SMALLEST_LEVEL:
        raise UserError(
            f"An evaluation needs images of at least {SMALLEST_LEVEL} pixels, and this "
            f"run draws {model.image_size}."
        )
    extractors = _extractors(data, run, options)
    divided = reals.read(data, model, options.count, options.seed)
    batch = options.batch
    training = divided.training
    with bar("Measuring training images", len(training)) as advance:
        seen = gather.gather(
            (training.images[some] for some in gather.in_batches(divided.order, batch)),
            extractors,
            patches=Patches(options.seed),
            patch_count=divided.count,
            advance=advance,
        )
    with bar("Measuring the floor", divided.count) as advance:
        floor = gather.gather(
            divided.floor(batch),
            extractors,
            patches=Patches(options.seed),
            advance=advance,
        )
    if divided.fresh:
        held_out = floor
    else:
        images = divided.held_out.images
        held_out = gather.gather(gather.in_batches(images, batch), extractors)
    return World(data, divided, extractors, seen, floor, held_out)


def _extractors(data: DataConfig, run: Run, options: Options) -> dict[str, Extractor]:
    """Those that were asked for; else what a file is given for, `parts` or `random`."""
    names = list(dict.fromkeys(options.extractors))
    paths = {"labels": options.labels, "inception": options.inception}
    if not names:
        names = [name for name, path in paths.items() if path]
    if not names:
        avatars = reals.is_fresh(data, run.config.model)
        names = ["parts" if avatars else "random"]
    channels = run.config.model.image_channels
    return {
        name: features.load(name, channels=channels, path=paths.get(name, ""))
        for name in names
    }


def data_of(run: Run, options: Options) -> DataConfig:
    """The run's own data, but for what the options name."""
    changed = {
        name: value
        for name, value in (
            ("dataset", options.dataset),
            ("data_dir", options.data_dir),
        )
        if value
    }
    return dataclasses.replace(run.config.data, **changed)


def _provenance(run: Run, world: World, options: Options) -> dict[str, Any]:
    reals = world.reals
    return {
        "step": run.step,
        "seed": options.seed,
        "dataset": reals.training.name,
        "extractors": list(world.extractors),
        "count": reals.count,
        "asked": options.count,
        "training_images": len(reals.training),
        "held_out_images": len(reals.held_out),
        "rule": reals.rule,
        "interval": "95 %, from random halves; of means, by the bootstrap",
        "hcm_tf": __version__,
        "python": platform.python_version(),
        "packages": {name: metadata.version(name) for name in PACKAGES},
        # Not the first, which is a path of this machine.
        "command": ["hcm_tf.evaluate", *sys.argv[1:]],
    }


def names_of(paths: Sequence[pathlib.Path]) -> list[str]:
    """Short names that differ: the directory's, or the whole path."""
    short = [path.resolve().name for path in paths]
    if len({path.resolve() for path in paths}) < len(paths):
        raise UserError("the same --run_dir is given twice.")
    return short if len(set(short)) == len(short) else [str(path) for path in paths]


def _finite(value: Any) -> Any:
    """JSON has no NaN and no infinity: null."""
    if isinstance(value, dict):
        return {str(key): _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    return value.item() if isinstance(value, np.generic) else value
