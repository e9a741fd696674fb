"""Does a run draw the classes that it is asked for?

Two classifiers of one kind, one of real training images and one of samples, are each
tested on the other sort. Samples whose class the first sees are of that class; samples
that teach the second to read real images have the variety of real ones, too
(classification accuracy score, Ravuri and Vinyals 2019). Writes classes.json into the
run's directory.
"""

import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hcm_tf import files, labels
from hcm_tf.config import Label
from hcm_tf.data import ImageSet
from hcm_tf.errors import UserError
from hcm_tf.evaluate.commands import names_of
from hcm_tf.evaluate.progress import bar
from hcm_tf.evaluate.splits import real_images
from hcm_tf.features import training as classifiers
from hcm_tf.features.classifier import Classifier
from hcm_tf.images import to_float, to_uint8
from hcm_tf.prior import draw
from hcm_tf.runs import checkpoint
from hcm_tf.runs.checkpoint import Run

FILE = "classes.json"


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
        test: other real images; those with a label of -1, which their data set keeps
            secret, do not count for it.
        count: samples, and real images, that a classifier learns from; at most all of
            `training`.
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
        told = expected[name] >= 0
        true = expected[name][told]
        counts = np.bincount(true, minlength=len(label.classes))
        found[name] = {
            "real_on_real": float(np.mean(by_real[name][told] == true)),
            "real_on_samples": float(np.mean(right)),
            "samples_on_real": float(np.mean(by_samples[name][told] == true)),
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


def evaluate(
    run_dirs: Sequence[str], *, data_dir: str, count: int, epochs: int, seed: int
) -> str:
    """Measures runs, and writes a classes.json for each; returns the tables.

    Args:
        run_dirs: of runs with labels.
        data_dir: where prepared data sets are; "": where the runs found them.
        count, epochs, seed: as of `measure`; fewer where there are fewer real images.

    Raises:
        UserError: a run without labels, data that cannot be read or that keep the
            labels secret, or too few images.
    """
    if count < classifiers.BATCH:
        raise UserError(
            f"--count must be at least {classifiers.BATCH}, or a classifier learns "
            f"nothing. Received: {count}"
        )
    paths = [pathlib.Path(run_dir) for run_dir in run_dirs]
    # A wrong name among several must not show after minutes of measuring the others.
    for path in paths:
        if not checkpoint.read_config(path).model.given:
            raise UserError(
                f"{path} was trained without labels. Train with --conditional."
            )
    tables = []
    for name, path in zip(names_of(paths), paths, strict=True):
        run = checkpoint.load(path)
        training, test = real_images(run, data_dir)
        _check(run, training, test)
        some = min(count, len(training))
        found = measure(run, training, test, count=some, epochs=epochs, seed=seed)
        about = {"step": run.step, "count": some, "images": len(test)}
        about |= {"epochs": epochs, "seed": seed}
        text = json.dumps({**about, "labels": found}, indent=1) + "\n"
        files.write(path / FILE, text)
        tables.append(
            f"{name}: learnt from {some} real images, and from {some} samples; "
            f"{len(test)} other real images to test on\n\n{table(found)}"
        )
    return "\n\n".join(tables)


def _check(run: Run, training: ImageSet, test: ImageSet) -> None:
    if len(training) < classifiers.BATCH:
        raise UserError(
            f"{training.name} has {len(training)} training images, and a classifier "
            f"needs {classifiers.BATCH}: add images."
        )
    for label in run.config.model.given:
        # TensorFlow Datasets gives -1 where a split keeps its labels secret.
        if not np.any(np.asarray(test.labels[label.name]) >= 0):
            raise UserError(
                f"{test.name} keeps the label {label.name} of its test images secret: "
                "choose a run on data that tell it."
            )
