"""The directory of a run: whose it is, and what it was run with."""

import json
import os
import pathlib
import platform
import subprocess
import sys
from importlib import metadata

from hcm_tf.checkpoint import CONFIG_FILE, latest, read_config
from hcm_tf.config import ExperimentConfig, differences
from hcm_tf.errors import UserError

PACKAGES = ("tensorflow", "keras", "numpy", "tensorflow-datasets", "tensorboard")


def check(config: ExperimentConfig, workdir: pathlib.Path) -> None:
    """Makes the directory, or finds that it can go on.

    Raises:
        UserError: it holds another run, or cannot be written.
        OSError: it cannot be made.
    """
    if (workdir / CONFIG_FILE).exists():
        changed = differences(read_config(workdir), config)
        if changed:
            raise UserError(
                f"{workdir} holds a run of another configuration "
                f"({'; '.join(changed)}). Choose another --workdir, or give the same "
                "values."
            )
    elif latest(workdir) is not None:
        raise UserError(
            f"{workdir} has checkpoints but no {CONFIG_FILE}. Choose another --workdir."
        )
    workdir.mkdir(parents=True, exist_ok=True)
    if not os.access(workdir, os.W_OK | os.X_OK):
        raise UserError(f"{workdir} cannot be written. Choose another --workdir.")


def write_config(
    config: ExperimentConfig, workdir: pathlib.Path, replicas: int
) -> None:
    """Writes `config.json`: the configuration, and what it was run with."""
    provenance = {
        "python": platform.python_version(),
        "packages": {name: metadata.version(name) for name in PACKAGES},
        "replicas": replicas,
        "git_revision": _git_revision(),
        "command": sys.argv,
    }
    path = workdir / CONFIG_FILE
    partial = path.with_name(path.name + ".partial")
    text = json.dumps({**config.to_json(), "provenance": provenance}, indent=2)
    partial.write_text(text + "\n")
    partial.replace(path)


def _git_revision() -> str | None:
    root = pathlib.Path(__file__).parents[1]
    try:
        described = subprocess.run(
            ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40"],
            capture_output=True,
            text=True,
            timeout=10,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return described.stdout.strip() or None
