"""The directory of a run: whose it is, and what it was run with."""

import contextlib
import json
import os
import pathlib
import platform
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from typing import Any

import tensorflow as tf

from hcm_tf import files
from hcm_tf.config import ExperimentConfig, differences
from hcm_tf.errors import UserError
from hcm_tf.runs import weights
from hcm_tf.runs.checkpoint import CONFIG_FILE, DIRECTORY, read_config, saved_steps

METRICS_FILE = "metrics.jsonl"
PACKAGES = ("tensorflow", "keras", "numpy", "tensorflow-datasets", "tensorboard")


@contextlib.contextmanager
def writing(workdir: pathlib.Path) -> Iterator[None]:
    """Whatever fails inside is blamed on the run directory, in one line.

    Raises:
        UserError: a file cannot be made or written.
    """
    try:
        yield
    except (OSError, tf.errors.OpError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(
            f"{workdir}: {reason}. What was saved before is intact: mend the cause and "
            "start the same command again."
        ) from error


def records(log: pathlib.Path) -> list[dict[str, Any]]:
    """What a run logged; a line that it was stopped in the middle of does not count."""
    found = []
    # A power cut leaves bytes of any kind.
    text = log.read_text(errors="replace") if log.exists() else ""
    for line in text.splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return [record for record in found if isinstance(record, dict)]


def make(workdir: pathlib.Path) -> None:
    """Makes the directory, or finds that it can be written.

    Raises:
        UserError: it cannot.
    """
    with writing(workdir):
        workdir.mkdir(parents=True, exist_ok=True)
    if not os.access(workdir, os.W_OK | os.X_OK):
        raise UserError(f"{workdir} cannot be written. Choose another --workdir.")


def check(config: ExperimentConfig, workdir: pathlib.Path) -> bool:
    """Finds out whether a run begins in the directory, or goes on.

    A run begins only where there is nothing to lose. Before a run's configuration
    stands what it begins with, a checkpoint of step 0, which may be written again.

    Returns:
        Whether it holds a run that is to go on.

    Raises:
        UserError: it holds another run, or what is left of one.
    """
    steps = saved_steps(workdir)
    if (workdir / CONFIG_FILE).exists():
        changed = differences(read_config(workdir), config)
        if changed:
            raise UserError(
                f"{workdir} holds a run of another configuration "
                f"({'; '.join(changed)}). Choose another --workdir, or give the same "
                "values."
            )
        if not steps and (workdir / weights.FILE).exists():
            raise UserError(
                f"{workdir} is a published model, which has no optimizers to go on "
                f"with. Give --init_from={workdir} and another --workdir."
            )
        if not steps:
            raise UserError(
                f"{workdir} has a {CONFIG_FILE} but no checkpoint to go on from. Bring "
                f"{DIRECTORY}/ back from a copy, or begin anew with another --workdir."
            )
        return True
    log = workdir / METRICS_FILE
    for found, what in (
        (any(steps), "checkpoints"),
        (any((workdir / DIRECTORY).glob("*.damaged*")), "damaged checkpoints"),
        (log.exists() and log.stat().st_size > 0, f"a {METRICS_FILE}"),
    ):
        if found:
            raise UserError(
                f"{workdir} has {what} but no {CONFIG_FILE}. Bring that back from a "
                "copy, or choose another --workdir."
            )
    return False


def origin(workdir: pathlib.Path) -> dict[str, Any] | None:
    """What `--init_from` gave a run: `run_dir` and `step`; None if nothing did."""
    return provenance(workdir).get("init_from")


def check_data(workdir: pathlib.Path, data: dict[str, Any]) -> None:
    """Compares what a run is to go on with to what it was trained on.

    Args:
        data: as of `write_config`.

    Raises:
        UserError: they differ. A run of a version that did not record it never does.
    """
    before = provenance(workdir).get("data", data)
    if before != data:
        then = before.get("images") if isinstance(before, dict) else "unknown"
        raise UserError(
            f"the images are not those that {workdir} was trained on "
            f"({then} then, {data['images']} now, or other pixels). Bring "
            f"those back, or begin with its networks: --init_from={workdir} and "
            "another --workdir."
        )


def check_labels(workdir: pathlib.Path, config: ExperimentConfig) -> None:
    """Compares the labels of the data to those that a run was trained with.

    Raises:
        UserError: they differ.
    """
    before = read_config(workdir).model.labels
    if before != config.model.labels:
        then = "; ".join(f"{one.name}: {', '.join(one.classes)}" for one in before)
        raise UserError(
            f"the labels are not those that {workdir} was trained with ({then}). Bring "
            "those back, or choose another --workdir."
        )


def provenance(workdir: pathlib.Path) -> dict[str, Any]:
    """What a run was made with; nothing, where a stranger's file says nonsense."""
    saved = json.loads((workdir / CONFIG_FILE).read_text()).get("provenance")
    return saved if isinstance(saved, dict) else {}


def write_config(
    config: ExperimentConfig,
    workdir: pathlib.Path,
    replicas: int,
    *,
    origin: dict[str, Any] | None = None,
    data: dict[str, Any] | None = None,
) -> None:
    """Writes `config.json`: the configuration, and what it was run with.

    Args:
        config: what is trained.
        workdir: directory of the run.
        replicas: devices that it is trained on.
        origin: what it began with, see `origin`.
        data: how many `images` it is trained on, and their `sha256`.
    """
    made_with = {
        "python": platform.python_version(),
        "packages": {name: metadata.version(name) for name in PACKAGES},
        "replicas": replicas,
        "git_revision": _git_revision(),
        "command": sys.argv,
    }
    if origin:
        made_with["init_from"] = origin
    if data:
        made_with["data"] = data
    text = json.dumps({**config.to_json(), "provenance": made_with}, indent=2)
    files.write(workdir / CONFIG_FILE, text + "\n")


def _git_revision() -> str | None:
    root = pathlib.Path(__file__).parents[2]
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
