"""Runs that are judged by true scenes: which may be, and the files that they get."""

import json
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from hcm_tf import files
from hcm_tf.config import DataConfig
from hcm_tf.data import scene_source
from hcm_tf.errors import UserError
from hcm_tf.images import write_png
from hcm_tf.runs import checkpoint

SCALE = 2  # Of the pictures.


def recipe(data: DataConfig) -> str:
    """The name of the scenes that a configuration names."""
    return data.dataset.partition("/")[2]


def paths_of(
    run_dirs: Sequence[str], dataset: str, flag: str, what: str
) -> list[pathlib.Path]:
    """The runs' directories, if the objects of what they are judged by are known.

    Args:
        run_dirs: what `train_main.py --workdir` wrote, each.
        dataset: what all are judged by; "" is each run's own.
        flag: that asks for it, to be named.
        what: that would happen on which data set, {}, to be said.

    Raises:
        UserError: a run on something else than scenes, or one that cannot be read.
    """
    paths = [pathlib.Path(run_dir) for run_dir in run_dirs]
    for path in paths:
        # Whatever they are judged by: a wrong name must not show after minutes.
        own = checkpoint.read_config(path).data.dataset
        name = dataset or own
        if not scene_source.is_scenes(name):
            raise UserError(
                f"{path} would be {what.format(name)} are not known: {flag} needs a "
                "run on scenes/NAME, or --dataset=scenes/NAME."
            )
    return paths


def write(
    path: pathlib.Path, name: str, found: dict[str, Any], pixels: np.ndarray
) -> str:
    """Writes what was found of a run into its directory; returns what to tell.

    Args:
        path: the directory.
        name: of both files.
        found: JSON values; `seconds` is how long it took.
        pixels: of the picture, uint8 `(height, width, channels)`.
    """
    values, picture = path / f"{name}.json", path / f"{name}.png"
    files.write(values, json.dumps(found, indent=1) + "\n")
    write_png(picture, pixels, SCALE)
    return f"{values}, {picture}: {found['seconds']:.0f} seconds"
