"""Whether discovered classes are those that people see.

A run with --discovered_classes reads a class from any image. On images that it was not
trained on, those classes are compared with labels that it was never told; beside them
k-means, with as many clusters, on pixels, on their principal components, and on the
run's own latents. Writes discovered.json into the run's directory.
"""

import json
import pathlib
from collections.abc import Callable, Sequence

import numpy as np

from hcm_tf import files, labels
from hcm_tf.data import ImageSet
from hcm_tf.errors import UserError
from hcm_tf.evaluate.commands import names_of
from hcm_tf.evaluate.progress import bar
from hcm_tf.evaluate.splits import real_images
from hcm_tf.images import to_float
from hcm_tf.metrics.clustering import (
    adjusted_rand_index,
    matched_accuracy,
    normalised_mutual_information,
)
from hcm_tf.metrics.kmeans import kmeans, nearest
from hcm_tf.networks import Encoder
from hcm_tf.runs import checkpoint
from hcm_tf.runs.checkpoint import Run

FILE = "discovered.json"
COMPONENTS = 50
RESTARTS = 10
BATCH = 100
SCORES = {
    "adjusted Rand index": adjusted_rand_index,
    "normalised mutual information": normalised_mutual_information,
    "accuracy, best matching": matched_accuracy,
}


def measure(
    run: Run, training: ImageSet, test: ImageSet, *, count: int, seed: int = 0
) -> dict[str, dict[str, dict[str, float]]]:
    """Scores of SCORES, for each label of the data and each way to find classes.

    Args:
        run: a run with discovered classes.
        training: images that k-means learns its centres from, without labels.
        test: other images, with labels; those with a label of -1, which their data set
            keeps secret, do not count for it, nor does a label that no image has.
        count: training images for k-means, at most.
        seed: of its centres.
    """
    number = run.config.model.discovered_classes
    known, others = np.asarray(test.images), np.asarray(training.images[:count])
    latents, classes = read(run.encoder, known)
    own, _ = read(run.encoder, others)
    pixels, flat = (to_float(x).reshape(len(x), -1) for x in (others, known))
    project = principal(pixels, COMPONENTS)
    found = {"discovered": classes}
    for name, learn, apply in (
        ("k-means, pixels", pixels, flat),
        ("k-means, principal components", project(pixels), project(flat)),
        ("k-means, latents", own, latents),
    ):
        clusters = kmeans(learn, number, seed, restarts=RESTARTS)
        found[name] = nearest(apply, clusters.centres)
    told = {label: np.asarray(test.labels[label]) >= 0 for label in test.label_names}
    return {
        label: {
            way: {
                score: compare(np.asarray(test.labels[label])[some], clusters[some])
                for score, compare in SCORES.items()
            }
            for way, clusters in found.items()
        }
        for label, some in told.items()
        if some.any()
    }


def read(encoder: Encoder, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Latents of images, with what their classes have in common, and those classes.

    Args:
        encoder: reads discovered classes behind all others.
        images: uint8 `(n, size, size, channels)`.

    Returns:
        float32 `(n, latent_size)`, tanh of what the encoder says before it takes the
        classes' means away; int64 `(n,)`.
    """
    latents, classes = [], []
    with bar("Reading images", len(images)) as advance:
        for start in range(0, len(images), BATCH):
            some = to_float(images[start : start + BATCH])
            unbounded, scores = encoder.read(some)
            latents.append(np.tanh(unbounded))
            classes.append(np.argmax(scores[-1], axis=1))
            advance(len(some))
    return np.concatenate(latents), np.concatenate(classes)


def principal(points: np.ndarray, count: int) -> Callable[[np.ndarray], np.ndarray]:
    """What projects points on the principal components of others.

    Args:
        points: `(n, d)`, of which the components are.
        count: components, at most; the largest first.
    """
    mean = points.mean(axis=0, dtype="float64")
    centred = points - mean
    if len(points) > points.shape[1]:
        _, vectors = np.linalg.eigh(centred.T @ centred)
        vectors = vectors[:, ::-1][:, :count]
    else:  # The other matrix would not fit: photographs have thousands of values.
        _, own = np.linalg.eigh(centred @ centred.T)
        vectors = centred.T @ own[:, ::-1][:, : min(count, len(points) - 1)]
        vectors /= np.maximum(np.linalg.norm(vectors, axis=0), 1e-12)
    return lambda some: (some - mean) @ vectors


def table(found: dict[str, dict[str, dict[str, float]]]) -> str:
    """The scores as Markdown."""
    lines = [
        f"| label | classes by | {' | '.join(SCORES)} |",
        "|---" * (len(SCORES) + 2) + "|",
    ]
    lines += [
        f"| {label} | {way} | "
        + " | ".join(f"{scores[name]:.3f}" for name in SCORES)
        + " |"
        for label, ways in found.items()
        for way, scores in ways.items()
    ]
    return "\n".join(lines)


def evaluate(run_dirs: Sequence[str], *, data_dir: str, count: int, seed: int) -> str:
    """Measures runs, and writes a discovered.json for each; returns the tables.

    Args:
        run_dirs: of runs with discovered classes.
        data_dir: where prepared data sets are; "": where the runs found them.
        count, seed: as of `measure`.

    Raises:
        UserError: a run without discovered classes, or data that cannot be read or
            that tell no labels.
    """
    paths = [pathlib.Path(run_dir) for run_dir in run_dirs]
    # A wrong name among several must not show after minutes of measuring the others.
    for path in paths:
        if not checkpoint.read_config(path).model.discovered_classes:
            raise UserError(
                f"{path} was trained without discovered classes. Train with "
                "--discovered_classes=N."
            )
    tables = []
    for name, path in zip(names_of(paths), paths, strict=True):
        run = checkpoint.load(path)
        training, test = real_images(run, data_dir)
        # TensorFlow Datasets gives -1 where a split keeps its labels secret.
        if not any(np.any(np.asarray(one) >= 0) for one in test.labels.values()):
            raise UserError(
                f"{test.name} has no labels to compare {labels.DISCOVERED} classes "
                "with, or keeps those of its test images secret. "
                f"`python -m hcm_tf.sample --each={labels.DISCOVERED}` shows them."
            )
        found = measure(run, training, test, count=count, seed=seed)
        about = {"step": run.step, "count": count, "seed": seed, "images": len(test)}
        text = json.dumps({**about, "labels": found}, indent=1) + "\n"
        files.write(path / FILE, text)
        tables.append(f"{name}, {len(test)} images\n\n{table(found)}")
    return "\n\n".join(tables)
