"""Decoded and resized images on disk, so that a second run starts in seconds."""

import hashlib
import json
import os
import pathlib
import re
import tempfile
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np
from absl import logging

from hcm_tf.config import DataConfig
from hcm_tf.data.image_set import ImageSet

_VERSION = 1  # To be raised when the same key would give other images.
_DIRECTORY = "hcm_tf_cache"

Pair = tuple[ImageSet, ImageSet]


def data_directory(config: DataConfig) -> pathlib.Path:
    """Where prepared data sets are: `data_dir`, or TensorFlow Datasets' own."""
    default = os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
    return pathlib.Path(config.data_dir or default).expanduser()


def cached(config: DataConfig, key: dict[str, Any], make: Callable[[], Pair]) -> Pair:
    """The training and held-out images from the cache, or made and then cached.

    Args:
        config: gives the directory and the name.
        key: everything that the images depend on, as JSON values.
        make: reads the images from their source.
    """
    text = json.dumps({"version": _VERSION, **key}, sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()[:20]
    name = re.sub(r"[^A-Za-z0-9]+", "_", config.dataset)[-40:]
    path = data_directory(config) / _DIRECTORY / f"{name}-{digest}.npz"
    try:
        return _read(path)
    except FileNotFoundError:
        pass
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        logging.warning("The cache %s is not readable, and is rebuilt: %s", path, error)
    pair = make()
    try:
        _write(path, pair)
    except OSError as error:
        logging.warning("The images are not cached in %s: %s", path.parent, error)
    return pair


def _write(path: pathlib.Path, pair: Pair) -> None:
    arrays = {}
    for split, images in zip(("train", "held_out"), pair, strict=True):
        arrays[f"{split}/images"] = images.images
        for kind, label in images.labels.items():
            arrays[f"{split}/labels/{kind}"] = label
    about = {"name": pair[0].name, "label_names": pair[0].label_names}
    arrays["about"] = np.frombuffer(json.dumps(about).encode(), np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            np.savez(file, **arrays)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def _read(path: pathlib.Path) -> Pair:
    with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        about = json.loads(arrays["about"].tobytes())
        train, held_out = (
            ImageSet(
                images=arrays[f"{split}/images"],
                labels={
                    kind: arrays[f"{split}/labels/{kind}"]
                    for kind in about["label_names"]
                },
                label_names=about["label_names"],
                name=about["name"],
            )
            for split in ("train", "held_out")
        )
    return train, held_out
