"""Checkpoints of a run, and the trained networks read back from them.

A published run has no checkpoints, but `weights.npz` (`runs/weights.py`).
"""

import dataclasses
import pathlib
import re
import shutil
import sys
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from hcm_tf import config as configuration
from hcm_tf import files, labels, operations
from hcm_tf.config import ExperimentConfig, Label
from hcm_tf.errors import UserError
from hcm_tf.networks import (
    Critic,
    Encoder,
    Generator,
    build_critic,
    build_encoder,
    build_generator,
)
from hcm_tf.prior import Posterior, Prior, Uniform, draw, frozen, labelled
from hcm_tf.runs import weights
from hcm_tf.runs.workers import ALONE, Workers

CONFIG_FILE = "config.json"
DIRECTORY = "checkpoints"
KEPT = 2
BATCH = 64  # Images that are drawn at a time.
_FILE = re.compile(r"ckpt-(\d+)\.(index|data-\d{5}-of-\d{5})")
_STATE_FILE = "checkpoint"  # TensorFlow's name of the list of what it keeps.


@dataclasses.dataclass(frozen=True)
class Run:
    """What a run directory holds, ready to use.

    Attributes:
        config: the configuration it was trained with.
        step: training steps completed.
        generator: with the averaged weights if the run keeps any.
        encoder: finds the latent of an image.
        critic: scores images.
        prior: the distribution of the latents that samples are drawn from.
    """

    config: ExperimentConfig
    step: int
    generator: Generator
    encoder: Encoder
    critic: Critic
    prior: Prior

    def choose(self, classes: Sequence[str]) -> "Run":
        """The same run, of which every sample has these classes.

        Args:
            classes: each a class, or label=class; see `labels.parse`.

        Raises:
            UserError: it knows no such class.
        """
        chosen = labels.parse(self.config.model.labels, classes)
        if not chosen:
            return self
        return dataclasses.replace(self, prior=self.prior.choose(chosen))

    def label(self, name: str) -> Label:
        """The label of a name.

        Raises:
            UserError: the run has none of that name.
        """
        known = self.config.model.labels
        for label in known:
            if label.name == name:
                return label
        names = ", ".join(label.name for label in known) or "none at all"
        raise UserError(f"this run has no label {name!r}: it has {names}.")

    def sample(
        self, count: int, *, seed: int = 0, truncation: float = 1.0
    ) -> np.ndarray:
        """Draws the pictures of the seeds `seed`, `seed` + 1, ...

        Args:
            count: how many, at least 1.
            seed: the first.
            truncation: from 0 to 1; less is nearer to the mean latent: fewer surprises.

        Returns:
            float32 `(count, size, size, channels)`, in [-1, 1].
        """
        return self.draw(draw(self.prior, seed, count, truncation))

    def draw(self, latents: np.ndarray) -> np.ndarray:
        """Draws latents `(n, latent_size)`, n at least 1: images as of `sample`."""
        return np.concatenate(
            [
                np.asarray(self.generator(latents[start : start + BATCH]))
                for start in range(0, len(latents), BATCH)
            ]
        )


def manager(
    run_dir: str | pathlib.Path, checkpoint: tf.train.Checkpoint
) -> tf.train.CheckpointManager:
    """The keeper of a run's checkpoints: the newest KEPT of them, numbered by step.

    TensorFlow believes its own list of them, refuses to start where that is damaged,
    and loses sight of checkpoints that are not on it: so the list is written anew. What
    a kill in the middle of a save has left is removed; whoever saves holds the lock.
    """
    directory = pathlib.Path(run_dir) / DIRECTORY
    for unfinished in directory.glob("ckpt-*_temp"):
        shutil.rmtree(unfinished)
    _list_what_is_there(directory)
    return tf.train.CheckpointManager(checkpoint, str(directory), max_to_keep=KEPT)


def saved_steps(run_dir: str | pathlib.Path) -> list[int]:
    """Steps of the checkpoints that lie in a run directory, newest first.

    One of which only a part is left counts as well; one set aside does not.
    """
    directory = pathlib.Path(run_dir) / DIRECTORY
    if not directory.is_dir():
        return []
    found = (_FILE.fullmatch(path.name) for path in directory.iterdir())
    return sorted({int(match[1]) for match in found if match}, reverse=True)


def latest(run_dir: str | pathlib.Path) -> tuple[str, int] | None:
    """Path prefix and step of a run's newest checkpoint; None if there is none."""
    steps = saved_steps(run_dir)
    return (_prefix(run_dir, steps[0]), steps[0]) if steps else None


def load(
    run_dir: str | pathlib.Path, *, execution: str = "fast", dtype: str = "float32"
) -> Run:
    """Reads the networks of a run directory; changes nothing in it.

    Where the newest checkpoint is damaged, the newest that is not is read, which a line
    on stderr says.

    Args:
        run_dir: what `train_main.py --workdir` wrote.
        execution: how the networks compute, a name of `operations.EXECUTIONS`.
        dtype: of computation; variables are stored in float32.

    Raises:
        UserError: not a run directory, no checkpoint that can be read, or one that does
            not fit.
    """
    run_dir = pathlib.Path(run_dir)
    config = read_config(run_dir)
    networks = _networks(config, execution, dtype)
    published = run_dir / weights.FILE
    if published.exists() and not saved_steps(run_dir):
        prior, step = weights.read(published, networks, config.model.latent_size)
    else:
        prior, step = _from_checkpoint(run_dir, config, networks)
    prior = labelled(prior, config.model.shares)
    return Run(config=config, step=step, prior=prior, **networks)


def untrained(
    config: ExperimentConfig, *, seed: int = 0, execution: str = "fast"
) -> Run:
    """The networks of a configuration with random weights, as a control.

    Args:
        config: of a run.
        seed: of the weights; it is Keras's from here on.
        execution: as of `load`.
    """
    keras.utils.set_random_seed(seed)
    networks = _networks(config, execution, "float32")
    prior = labelled(Uniform(config.model.latent_size), config.model.shares)
    return Run(config=config, step=0, prior=prior, **networks)


def _networks(
    config: ExperimentConfig, execution: str, dtype: str
) -> dict[str, keras.Model]:
    networks = {
        "generator": build_generator(config.model, dtype=dtype),
        "encoder": build_encoder(config.model, dtype=dtype),
        "critic": build_critic(config.model, dtype=dtype),
    }
    for network in networks.values():
        operations.apply(network, execution)
    return networks


def _from_checkpoint(
    run_dir: pathlib.Path, config: ExperimentConfig, networks: dict[str, keras.Model]
) -> tuple[Prior, int]:
    """Gives networks the values of the newest readable checkpoint."""
    step, damaged = newest_readable(run_dir)
    if step is None and not damaged:
        raise UserError(
            f"{run_dir}: no checkpoint in {DIRECTORY}/. Train first, or until the "
            "first checkpoint is saved."
        )
    if step is None:
        raise _none_readable(run_dir, damaged)
    for other, reason in damaged.items():
        _say(
            f"{_prefix(run_dir, other)} is damaged ({reason}); the checkpoint of step "
            f"{step} is used."
        )
    objects = dict(networks)
    if config.train.ema_decay:
        objects["average_generator"] = objects.pop("generator")
    if config.train.latents != "posterior":
        restore(_prefix(run_dir, step), objects)
        return Uniform(config.model.latent_size), step
    posterior = Posterior(config.model.latent_size)
    restore(_prefix(run_dir, step), {**objects, "posterior": posterior})
    return frozen(posterior.gaussian()), step


def resume(
    run_dir: str | pathlib.Path,
    objects: dict[str, tf.Module],
    workers: Workers = ALONE,
) -> int | None:
    """Restores the newest readable checkpoint, and sets newer, damaged ones aside.

    A damaged checkpoint keeps its files, under names such as `ckpt-500.damaged.index`,
    and a line on stderr says so. Nothing is renamed before another one was restored.

    Args:
        run_dir: the directory of the run.
        objects: what training goes on with, by name.
        workers: all of which restore the same checkpoint, before the chief renames one.

    Returns:
        The step to go on from, or None if there is no checkpoint at all.

    Raises:
        UserError: all are damaged, all but that of step 0, one does not fit, or the
            workers find different ones.
    """
    step, damaged = newest_readable(run_dir)
    if damaged and not step:
        # Going back to step 0 would be to start again, and take the log with it.
        raise _none_readable(run_dir, damaged)
    if step is None:
        return None
    restore(_prefix(run_dir, step), objects)
    workers.agree(
        step,
        f"the workers find different checkpoints in {run_dir}, of the steps "
        "{values}. It must be on a file system that all of them see.",
    )
    if not workers.is_chief:
        return step
    for other, reason in damaged.items():
        aside = _set_aside(run_dir, other)
        _say(
            f"{_prefix(run_dir, other)} is damaged ({reason}); it is now {aside}.*, "
            f"and training goes on from step {step}."
        )
    return step


def newest_readable(
    run_dir: str | pathlib.Path,
) -> tuple[int | None, dict[int, str]]:
    """The newest checkpoint that can be read, and why newer ones cannot.

    Returns:
        Its step, None if there is none, and a reason for each step that is newer.

    Raises:
        UserError: a file is there, but this user or this machine cannot read it.
    """
    damaged = {}
    for step in saved_steps(run_dir):
        reason = damage(_prefix(run_dir, step))
        if reason is None:
            return step, damaged
        damaged[step] = reason
    return None, damaged


def damage(path: str) -> str | None:
    """What is wrong with a checkpoint, in a few words; None if nothing is.

    Every value is read: TensorFlow compares each with its checksum (CRC-32C), so that
    one wrong byte is found. Numbers that are not finite are damage too.

    Args:
        path: prefix of its files.

    Raises:
        UserError: a file is there, but this user or this machine cannot read it.
    """
    _check_access(path)
    if not pathlib.Path(f"{path}.index").exists():
        return "its index is missing"
    try:
        reader = tf.train.load_checkpoint(path)
        for name, dtype in reader.get_variable_to_dtype_map().items():
            value = reader.get_tensor(name)
            if dtype.is_floating and not np.isfinite(value).all():
                return f"{name.split('/.')[0]} is not finite"
    # The reader translates the errors of TensorFlow's core, some to Python's own.
    except (IndexError, ValueError, RuntimeError, tf.errors.OpError) as error:
        return str(error).strip().splitlines()[0]
    return None


def restore(path: str, objects: dict[str, tf.Module]) -> None:
    """Restores named objects from a checkpoint that may hold more than them.

    Raises:
        UserError: the checkpoint cannot be read, or lacks a value of theirs.
    """
    try:
        status = tf.train.Checkpoint(**objects).restore(path)
        status.assert_existing_objects_matched().expect_partial()
    except (AssertionError, IndexError, ValueError, tf.errors.OpError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(
            f"{path}: the checkpoint does not fit this version of the program "
            f"({reason}). Use the version that wrote it (git_revision in "
            f"{CONFIG_FILE}), or begin anew with another --workdir."
        ) from error


def _prefix(run_dir: str | pathlib.Path, step: int) -> str:
    return str(pathlib.Path(run_dir) / DIRECTORY / f"ckpt-{step}")


def _files(path: str) -> list[pathlib.Path]:
    """The files of one checkpoint, by the prefix of their names."""
    prefix = pathlib.Path(path)
    return sorted(
        file
        for file in prefix.parent.iterdir()
        if _FILE.fullmatch(file.name) and file.name.startswith(f"{prefix.name}.")
    )


def _check_access(path: str) -> None:
    """Raises UserError where a file cannot be opened, which is no damage."""
    for file in _files(path):
        try:
            file.open("rb").close()
        except OSError as error:
            raise UserError(
                f"{file} cannot be read: {error.strerror}. Make it readable, and start "
                "the same command again."
            ) from error


def _set_aside(run_dir: str | pathlib.Path, step: int) -> str:
    """Renames the files of a checkpoint; returns the prefix of their new names."""
    path = _prefix(run_dir, step)
    aside, number = f"{path}.damaged", 1
    while any(pathlib.Path(path).parent.glob(f"{pathlib.Path(aside).name}.*")):
        number += 1
        aside = f"{path}.damaged-{number}"
    for file in _files(path):
        file.rename(aside + file.name.removeprefix(pathlib.Path(path).name))
    return aside


def _none_readable(run_dir: str | pathlib.Path, damaged: dict[int, str]) -> UserError:
    named = "; ".join(f"ckpt-{step}: {reason}" for step, reason in damaged.items())
    return UserError(
        f"{pathlib.Path(run_dir) / DIRECTORY}: no checkpoint of a trained step can be "
        f"read ({named}). Nothing was changed: bring the files back from a copy, or "
        "begin anew with another --workdir."
    )


def _list_what_is_there(directory: pathlib.Path) -> None:
    """Writes TensorFlow's list of checkpoints, oldest first, as the files are."""
    steps = saved_steps(directory.parent)[::-1]
    state = directory / _STATE_FILE
    if not steps:
        state.unlink(missing_ok=True)
        return
    lines = [f'model_checkpoint_path: "ckpt-{steps[-1]}"']
    lines += [f'all_model_checkpoint_paths: "ckpt-{step}"' for step in steps]
    # Without times the manager would keep them all for ever.
    lines += [
        f"all_model_checkpoint_timestamps: {number + 1}" for number in range(len(steps))
    ]
    files.write(state, "\n".join([*lines, "last_preserved_timestamp: 0", ""]))


def _say(line: str) -> None:
    print(line, file=sys.stderr)


def read_config(run_dir: str | pathlib.Path) -> ExperimentConfig:
    """Reads the configuration of a run directory.

    Raises:
        UserError: there is none, or this version does not understand it.
    """
    path = pathlib.Path(run_dir) / CONFIG_FILE
    try:
        return configuration.read(path)
    except FileNotFoundError:
        raise UserError(
            f"{run_dir}: no {CONFIG_FILE} here; name a directory that train_main.py "
            "wrote."
        ) from None
    except (OSError, ValueError) as error:
        raise UserError(str(error)) from error
