"""All measurements of one run against the real images."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from hcm_tf.config import DataConfig
from hcm_tf.data import load_parts
from hcm_tf.evaluate import (
    faces,
    gather,
    meaning,
    placing,
    rates,
    reconstruction,
    samples,
)
from hcm_tf.evaluate.gather import Gathered
from hcm_tf.evaluate.page import Picture
from hcm_tf.evaluate.progress import bar
from hcm_tf.evaluate.reals import Reals
from hcm_tf.evaluate.sparsity import Usage
from hcm_tf.features import Extractor
from hcm_tf.images import to_uint8
from hcm_tf.metrics.sliced_wasserstein import Patches
from hcm_tf.runs.checkpoint import Run

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


def measure(
    run: Run, world: World, options: Options
) -> tuple[dict[str, Any], list[Picture]]:
    """All measurements of one run, as JSON values, and the pictures behind them."""
    count, seed = world.reals.count, options.seed
    usage = Usage(run.generator.levels)
    with bar("Drawing samples", count) as advance:
        drawn = gather.gather(
            gather.samples(run, count, seed, batch=options.batch, watch=usage.watch),
            world.extractors,
            patches=Patches(seed),
            advance=advance,
        )
    found: dict[str, Any] = {"samples": _distances(world, drawn, seed)}
    shown = [Picture("Samples", "Of the first seeds.", drawn.first[:SHOWN])]
    found["faces"], more = _faces(world, drawn)
    shown += more
    found["reconstruction"], more = _reconstruction(run, world, options)
    shown += more
    found["sparsity"] = usage.summary()
    training = world.reals.training.images[world.reals.order[: rates.TRAINING]]
    held_out = world.reals.held_out.images[: rates.HELD_OUT]
    with bar("Coding", len(run.generator.levels)) as advance:
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
    with bar("Matching units", count * len(run.generator.levels)) as advance:
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
    with bar("Comparing samples", len(world.extractors) + 1) as advance:
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
    with bar("Reconstructing", len(held_out)) as advance:
        redrawn = reconstruction.redraw(
            run, held_out.images, options.refine, batch=options.batch, advance=advance
        )
    found = reconstruction.measure(redrawn, options.seed)
    if run.generator.placing is not None:
        found["placing"] = placing.measure(
            run, redrawn.images, redrawn.latents, batch=options.batch
        )
    for extractor in world.extractors.values():
        if faces.usable(extractor, held_out.label_names):
            sets = {"real": redrawn.images, "encoded": redrawn.encoded}
            if len(redrawn.refined):
                sets["refined"] = redrawn.refined
            kept = faces.accuracy_kept(extractor, sets, held_out.labels)
            found |= {"labels_kept": kept} if kept else {}
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


def _rows(images: np.ndarray) -> np.ndarray:
    return images.reshape(len(images), -1)
