"""The classifier of one recipe's scenes: made once, and kept with the prepared data."""

import dataclasses
import hashlib
import json
import pathlib
import re
from collections.abc import Callable
from typing import Any

from absl import logging

from hcm_tf.config import DataConfig
from hcm_tf.data.cache import data_directory
from hcm_tf.errors import UserError
from hcm_tf.features import classifier, sources, training
from hcm_tf.features.classifier import Classifier

# The first training scenes; what features are compared on lies behind them.
LEARNT = 24_000
HELD_OUT = 320
_VERSION = 1  # To be raised when the same key would give another classifier.
_DIRECTORY = "hcm_tf_classifiers"
_SEES = (
    "how many objects of {dataset} there are, and heavy damage; mild blur, noise and "
    "shifts, which it was trained to overlook, count for little, and what differs "
    "between scenes of one count for next to nothing."
)


def counting(
    data: DataConfig,
    side: int,
    channels: int,
    *,
    epochs: int,
    count: int,
    seed: int = 0,
    advance: Callable[[int, int, float], object] = lambda step, steps, loss: None,
) -> Classifier:
    """A classifier that counts the objects of scenes, from its file if there is one.

    Training and calibration are those of `python -m hcm_tf.features.train`.

    Args:
        data: names the scenes, and the directory of prepared data.
        side: of the images; a power of two from 8 to 128.
        channels: of the images.
        epochs: passes over the scenes.
        count: the first training scenes, at least 100.
        seed: of weights, order and damage.
        advance: called after every step with its number, their count, and the loss.

    Raises:
        UserError: all scenes have as many objects, or they cannot be drawn.
    """
    about: dict[str, Any] = {
        "name": "labels",
        "sees": _SEES.format(dataset=data.dataset),
        "dataset": data.dataset,
        "epochs": epochs,
        "seed": seed,
        "side": side,
        "channels": channels,
    }
    path = _path(data, {**about, "count": count})
    if path.exists():
        return classifier.load(path)
    config = dataclasses.replace(data, max_images=count, held_out=HELD_OUT)
    labelled = sources.data_set(config, side, channels)
    heads = {head: tuple(names) for head, names in labelled.train.label_names.items()}
    weights = training.trained_weights(
        labelled.train.images,
        labelled.train.labels,
        heads,
        epochs=epochs,
        seed=seed,
        report=advance,
    )
    about["images"] = labelled.where
    made = training.calibrate(weights, heads, about, labelled.held_out)
    try:
        classifier.save(made, path)
    except UserError as error:
        logging.warning("The classifier is not kept: %s", error)
    return made


def _path(data: DataConfig, key: dict[str, Any]) -> pathlib.Path:
    key = {**key, "version": _VERSION, "manual_dir": data.manual_dir}
    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:20]
    name = re.sub(r"[^A-Za-z0-9]+", "_", data.dataset)[-40:]
    return data_directory(data) / _DIRECTORY / f"{name}-{digest}.npz"
