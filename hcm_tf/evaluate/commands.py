"""What `python -m hcm_tf.evaluate` does: measures runs, writes files, says a table."""

import contextlib
import dataclasses
import json
import math
import pathlib
import platform
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import metadata
from typing import Any

import numpy as np
from tqdm import tqdm

from hcm_tf import features, files
from hcm_tf.config import DataConfig
from hcm_tf.data import load_parts
from hcm_tf.errors import UserError
from hcm_tf.evaluate import (
    faces,
    gather,
    meaning,
    page,
    rates,
    reals,
    reconstruction,
    samples,
    table,
)
from hcm_tf.evaluate.gather import Gathered
from hcm_tf.evaluate.page import Picture
from hcm_tf.evaluate.reals import Reals
from hcm_tf.evaluate.sparsity import Usage
from hcm_tf.features import Extractor
from hcm_tf.images import to_uint8
from hcm_tf.metrics.sliced_wasserstein import SMALLEST_LEVEL, Patches
from hcm_tf.runs import checkpoint
from hcm_tf.runs.checkpoint import Run
from hcm_tf.version import __version__

JSON_FILE = "evaluation.json"
PAGE_FILE = "evaluation.html"
PACKAGES = ("tensorflow", "keras", "numpy", "pillow")
SHOWN = 64
SHOWN_PAIRS = 16


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """What to measure, and of how many images.

    Attributes:
        dataset: instead of the run's own; "" keeps that.
        data_dir: likewise.
        count: samples, reference images and images of the floor.
        seed: the first sample's, and that of every random choice.
        extractors: names; empty chooses by the data.
        labels: file of the classifier that `labels` reads.
        inception: file of the graph that `inception` reads.
        refine: held-out images whose latents are refined.
        faces: test faces that units are matched on, half to choose; 0: none.
        batch: images at a time; it changes no number but by rounding.
    """

    dataset: str = ""
    data_dir: str = ""
    count: int = 5000
    seed: int = 0
    extractors: tuple[str, ...] = ()
    labels: str = ""
    inception: str = ""
    refine: int = 16
    faces: int = meaning.FACES
    batch: int = gather.BATCH


@dataclasses.dataclass(frozen=True)
class World:
    """The real images of an evaluation, gone through once for all runs.

    Attributes:
        data: where they come from.
        reals: how they are divided.
        extractors: by name.
        training: features of all training images in `reals.order`; patches of the
            reference, which is the first `reals.count` of them.
        floor: as many other images.
        held_out: images that training never saw; where faces can be drawn, the floor.
    """

    data: DataConfig
    reals: Reals
    extractors: Mapping[str, Extractor]
    training: Gathered
    floor: Gathered
    held_out: Gathered


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
    names = _names(paths)
    worlds: dict[Any, World] = {}
    results, pictures = {}, {}
    for name, path in zip(names, paths, strict=True):
        began = time.perf_counter()
        run = checkpoint.load(path)
        data = _data(run, options)
        key = data, run.config.model.image_size, run.config.model.image_channels
        if key not in worlds:
            worlds[key] = _world(run, data, options)
        found, pictures[name] = measure(run, worlds[key], options)
        found["provenance"] |= {"run": name, "seconds": time.perf_counter() - began}
        results[name] = _finite(found)
        files.write(path / JSON_FILE, json.dumps(results[name], indent=1) + "\n")
    target = pathlib.Path(out) if out else paths[0] / PAGE_FILE
    files.write(target, page.page(results, pictures))
    written = ", ".join(str(path / JSON_FILE) for path in paths)
    return f"{table.markdown(results)}\n{written}; {target}: open it in a browser."


def measure(
    run: Run, world: World, options: Options
) -> tuple[dict[str, Any], list[Picture]]:
    """All measurements of one run, as JSON values, and the pictures behind them."""
    count, seed = world.reals.count, options.seed
    usage = Usage(run.generator.levels)
    with _bar("Drawing samples", count) as advance:
        drawn = gather.gather(
            gather.samples(run, count, seed, batch=options.batch, watch=usage.watch),
            world.extractors,
            patches=Patches(seed),
            advance=advance,
        )
    found = {
        "format": 1,
        "provenance": _provenance(run, world, options),
        "samples": _distances(world, drawn, seed),
    }
    shown = [Picture("Samples", "Of the first seeds.", drawn.first[:SHOWN])]
    found["faces"], more = _faces(world, drawn)
    shown += more
    found["reconstruction"], more = _reconstruction(run, world, options)
    shown += more
    found["sparsity"] = usage.summary()
    training = world.reals.training.images[world.reals.order[: rates.TRAINING]]
    held_out = world.reals.held_out.images[: rates.HELD_OUT]
    with _bar("Coding", len(run.generator.levels)) as advance:
        found["rate_distortion"] = rates.measure(
            run, training, held_out, batch=options.batch, seed=seed, advance=advance
        )
    if options.faces and world.reals.fresh:
        found["meaning"] = _meaning(run, world, options)
    return found, shown


def _meaning(run: Run, world: World, options: Options) -> dict[str, Any]:
    pixels, masks = load_parts(world.data)
    count = min(options.faces, len(pixels))
    classifier = next(
        (
            extractor
            for extractor in world.extractors.values()
            if faces.usable(extractor, world.reals.training.label_names)
        ),
        None,
    )
    with _bar("Matching units", count * len(run.generator.levels)) as advance:
        levels = meaning.measure(
            run,
            pixels[:count],
            {part: mask[:count] for part, mask in masks.items()},
            classifier,
            seed=options.seed,
            batch=options.batch,
            advance=advance,
        )
    return {"count": count, "chosen_on": count // 2, "levels": levels}


def _distances(world: World, drawn: Gathered, seed: int) -> dict[str, Any]:
    reference = world.training.head(world.reals.count)
    found: dict[str, Any] = {"count": drawn.count, "features": {}}
    sets = reference, world.floor, drawn
    with _bar("Comparing samples", len(world.extractors) + 1) as advance:
        found["sliced_wasserstein"] = samples.sliced_wasserstein(*sets, seed)
        advance(1)
        for name, extractor in world.extractors.items():
            found["features"][name] = {
                "sees": extractor.sees,
                "size": extractor.size,
                "distances": samples.distances(*sets, name, seed),
            }
            advance(1)
    return found


def _faces(world: World, drawn: Gathered) -> tuple[dict[str, Any], list[Picture]]:
    """Memorisation in the first features and in pixels; labels where there are any."""
    training = world.reals.training
    name = next(iter(world.extractors))
    copied, found = faces.copies(
        *(each.features[name] for each in (drawn, world.training, world.held_out))
    )
    in_pixels, _ = faces.copies(
        _rows(drawn.first), _rows(training.images), _rows(world.held_out.first)
    )
    measured: dict[str, Any] = {
        "memorisation": {f"features {name}": copied, "pixels": in_pixels}
    }
    nearest = [index for index in found.order if index < len(drawn.first)][:SHOWN_PAIRS]
    numbers = world.reals.order[found.indices[nearest]]
    rows = [drawn.first[nearest], *(training.images[column] for column in numbers.T)]
    pictures = [
        Picture(
            "Nearest training images",
            f"First row: of the first {len(drawn.first)} samples, those that are "
            f"nearest to a training image in the features {name}. Below each its "
            "nearest training images.",
            np.concatenate(rows),
            columns=len(nearest),
        )
    ]
    for name, extractor in world.extractors.items():
        if faces.usable(extractor, training.label_names):
            measured["classifier"] = name
            measured |= faces.composed(
                extractor,
                drawn.features[name],
                world.held_out.features[name],
                training.labels,
            )
            pictures += _by_confidence(extractor, drawn, name)
            break
    return measured, pictures


def _by_confidence(extractor: Extractor, drawn: Gathered, name: str) -> list[Picture]:
    sure = faces.confidences(extractor, drawn.features[name][: len(drawn.first)])
    order = np.argsort(-sure, kind="stable")
    half = SHOWN // 2
    return [
        Picture(
            f"{which} sure samples",
            f"By the confidence of {name}, among the first {len(drawn.first)}.",
            drawn.first[chosen],
        )
        for which, chosen in (("Most", order[:half]), ("Least", order[::-1][:half]))
    ]


def _reconstruction(
    run: Run, world: World, options: Options
) -> tuple[dict[str, Any], list[Picture]]:
    held_out = world.reals.held_out
    with _bar("Reconstructing", len(held_out)) as advance:
        redrawn = reconstruction.redraw(
            run, held_out.images, options.refine, batch=options.batch, advance=advance
        )
    found = reconstruction.measure(redrawn, options.seed)
    for extractor in world.extractors.values():
        if faces.usable(extractor, held_out.label_names):
            sets = {"real": redrawn.images, "encoded": redrawn.encoded}
            if len(redrawn.refined):
                sets["refined"] = redrawn.refined
            found["labels_kept"] = faces.accuracy_kept(extractor, sets, held_out.labels)
            break
    errors = np.mean(np.square(redrawn.encoded - redrawn.images), axis=(1, 2, 3))
    order = np.argsort(errors, kind="stable")
    encoded = to_uint8(redrawn.encoded)
    pictures = [
        Picture(
            title,
            "First row: held-out images. Below each what is drawn from its encoding.",
            np.concatenate([held_out.images[chosen], encoded[chosen]]),
            columns=len(chosen),
        )
        for title, chosen in (
            ("Reconstructions", np.arange(len(errors))[:SHOWN_PAIRS]),
            ("Best reconstructions", order[:SHOWN_PAIRS]),
            ("Worst reconstructions", order[::-1][:SHOWN_PAIRS]),
        )
    ]
    refined = min(len(redrawn.refined), SHOWN_PAIRS)
    if refined:
        pictures.append(
            Picture(
                "Refined",
                "Held-out images, encoded, and with refined latents.",
                np.concatenate(
                    [
                        held_out.images[:refined],
                        encoded[:refined],
                        to_uint8(redrawn.refined[:refined]),
                    ]
                ),
                columns=refined,
            )
        )
    return found, pictures


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
    with _bar("Measuring training images", len(training)) as advance:
        seen = gather.gather(
            (training.images[some] for some in gather.in_batches(divided.order, batch)),
            extractors,
            patches=Patches(options.seed),
            patch_count=divided.count,
            advance=advance,
        )
    with _bar("Measuring the floor", divided.count) as advance:
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


def _data(run: Run, options: Options) -> DataConfig:
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
        "command": sys.argv,
    }


def _names(paths: Sequence[pathlib.Path]) -> list[str]:
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


def _rows(images: np.ndarray) -> np.ndarray:
    return images.reshape(len(images), -1)


@contextlib.contextmanager
def _bar(what: str, total: int) -> Iterator[Callable[[int], object]]:
    """A progress bar on a terminal; it leaves nothing behind."""
    with tqdm(total=total, desc=what, disable=None, leave=False) as bar:
        yield bar.update
