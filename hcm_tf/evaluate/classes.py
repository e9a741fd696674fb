"""Does a run draw the classes that it is asked for?

Two classifiers of one kind, one of real training images and one of samples, are each
tested on the other sort. Samples whose class the first sees are of that class; samples
that teach the second to read real images have the variety of real ones, too
(classification accuracy score, Ravuri and Vinyals 2019). Writes classes.json into the
run's directory.
"""

import dataclasses
import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hcm_tf import data, files, labels
from hcm_tf.config import Label
from hcm_tf.data import ImageSet
from hcm_tf.errors import UserError
from hcm_tf.evaluate.progress import bar
from hcm_tf.features import training as classifiers
from hcm_tf.features.classifier import Classifier
from hcm_tf.images import to_float, to_uint8
from hcm_tf.prior import draw
from hcm_tf.runs import checkpoint
from hcm_tf.runs.checkpoint import Run

FILE = "classes.json"
HELD_OUT = 100_000  # Real test images: all that the data set has, or a part of it.


def measure(
    run: Run,
    training: ImageSet,
    test: ImageSet,
    *,
    count: int,
    epochs: int,
    seed: int = 0,
) -> dict[str, dict[str, Any]]:
    """Accuracies of every label of a run.

    Args:
        run: a run with labels.
        training: real images.
        test: other real images.
        count: samples, and real images, that a classifier learns from.
        epochs: passes over them.
        seed: of the first sample, and of the classifiers.

    Returns:
        For each label, fractions: `real_on_real`, `real_on_samples`, `samples_on_real`
        (which classifier, on what); `most_frequent`, what the class with most test
        images alone would give; and `of_class`, the second for each class.
    """
    known = run.config.model.given
    pixels, numbers = sampled(run, count, seed)
    samples = {label.name: numbers[:, i] for i, label in enumerate(known)}
    heads = {label.name: label.classes for label in known}
    real = {name: np.asarray(training.labels[name])[:count] for name in heads}
    expected = {name: np.asarray(test.labels[name]) for name in heads}
    learnt = {}
    for kind, images, classes in (
        ("real", np.asarray(training.images[:count]), real),
        ("samples", pixels, samples),
    ):
        steps = epochs * (len(images) // classifiers.BATCH)
        with bar(f"Learning from {kind}", steps) as advance:
            learnt[kind] = classifiers.trained_weights(
                *(images, classes, heads),
                epochs=epochs,
                seed=seed,
                report=lambda step, steps, loss, advance=advance: advance(1),
            )
    seen = read(learnt["real"], known, pixels)
    by_real = read(learnt["real"], known, test.images)
    by_samples = read(learnt["samples"], known, test.images)
    found = {}
    for label in known:
        name = label.name
        right = seen[name] == samples[name]
        counts = np.bincount(expected[name], minlength=len(label.classes))
        found[name] = {
            "real_on_real": float(np.mean(by_real[name] == expected[name])),
            "real_on_samples": float(np.mean(right)),
            "samples_on_real": float(np.mean(by_samples[name] == expected[name])),
            "most_frequent": float(counts.max() / counts.sum()),
            "of_class": {
                one: float(np.mean(right[samples[name] == number]))
                for number, one in enumerate(label.classes)
                if np.any(samples[name] == number)
            },
        }
    return found


def sampled(run: Run, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Samples with the classes that they were asked for.

    Returns:
        uint8 `(count, size, size, channels)` and int64 `(count, given labels)`.
    """
    batch, drawn, numbers = 50, [], []
    with bar("Sampling", count) as advance:
        for first in range(0, count, batch):
            latents = draw(run.prior, seed + first, min(batch, count - first))
            drawn.append(to_uint8(run.draw(latents)))
            numbers.append(labels.behind(run.config.model.labels, latents))
            advance(len(latents))
    numbers = np.concatenate(numbers)[:, : len(run.config.model.given)]
    return np.concatenate(drawn), numbers


def read(
    weights: Mapping[str, np.ndarray], known: Sequence[Label], images: np.ndarray
) -> dict[str, np.ndarray]:
    """The class of each image by a classifier's weights, for each label: int64 `(n,)`.

    Args:
        weights: of `features.training.trained_weights`.
        known: the labels, of which each has a head.
        images: uint8 `(n, side, side, channels)`.
    """
    heads = {label.name: label.classes for label in known}
    about = {"name": "classes", "side": images.shape[1], "channels": images.shape[3]}
    made = Classifier(weights, heads, about)
    features = made.features(to_float(np.asarray(images)))
    return {
        name: np.argmax(values, axis=1)
        for name, values in made.log_probabilities(features).items()
    }


def real_images(run: Run, data_dir: str) -> tuple[ImageSet, ImageSet]:
    """Images to learn from, and as many to test on as the data set has for it.

    Args:
        run: names the data set.
        data_dir: where prepared data sets are; "": where the run found them.

    Raises:
        UserError: they cannot be read.
    """
    config, model = run.config.data, run.config.model
    config = dataclasses.replace(
        config, held_out=HELD_OUT, data_dir=data_dir or config.data_dir
    )
    return data.load(config, model.image_size, model.image_channels)


def table(found: dict[str, dict[str, Any]]) -> str:
    """The accuracies as Markdown."""
    lines = [
        "| label | real classifier on real | real classifier on samples | "
        "samples' classifier on real | most frequent class |",
        "|---|---|---|---|---|",
    ]
    names = ("real_on_real", "real_on_samples", "samples_on_real", "most_frequent")
    lines += [
        f"| {label} | " + " | ".join(f"{values[name]:.3f}" for name in names) + " |"
        for label, values in found.items()
    ]
    worst = [
        f"{label}: least often what was asked for: "
        + ", ".join(
            f"{one} ({value:.2f})"
            for one, value in sorted(values["of_class"].items(), key=lambda x: x[1])[:3]
        )
        for label, values in found.items()
    ]
    return "\n".join([*lines, "", *worst])


def evaluate(run_dir: str, *, data_dir: str, count: int, epochs: int, seed: int) -> str:
    """Measures a run directory and writes classes.json there; returns the table.

    Args:
        run_dir: of a run with labels.
        data_dir: where prepared data sets are; "": where the run found them.
        count, epochs, seed: as of `measure`.

    Raises:
        UserError: a run without labels, or data that cannot be read.
    """
    run = checkpoint.load(run_dir)
    if not run.config.model.given:
        raise UserError(
            f"{run_dir} was trained without labels. Train with --conditional."
        )
    training, test = real_images(run, data_dir)
    found = measure(run, training, test, count=count, epochs=epochs, seed=seed)
    about = {"step": run.step, "count": count, "epochs": epochs, "seed": seed}
    text = json.dumps({**about, "labels": found}, indent=1) + "\n"
    files.write(pathlib.Path(run_dir) / FILE, text)
    return table(found)
