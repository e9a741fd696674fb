"""Checkpoints of a run, and the trained networks read back from them."""

import dataclasses
import pathlib

import tensorflow as tf

from hcm_tf import config as configuration
from hcm_tf import operations
from hcm_tf.config import ExperimentConfig
from hcm_tf.errors import UserError
from hcm_tf.networks import (
    Critic,
    Encoder,
    Generator,
    build_critic,
    build_encoder,
    build_generator,
)
from hcm_tf.prior import Posterior, Prior, Uniform, frozen

CONFIG_FILE = "config.json"
DIRECTORY = "checkpoints"
KEPT = 2


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


def manager(
    run_dir: str | pathlib.Path, checkpoint: tf.train.Checkpoint
) -> tf.train.CheckpointManager:
    """The keeper of a run's checkpoints: the newest KEPT of them, numbered by step."""
    return tf.train.CheckpointManager(
        checkpoint, str(pathlib.Path(run_dir) / DIRECTORY), max_to_keep=KEPT
    )


def latest(run_dir: str | pathlib.Path) -> tuple[str, int] | None:
    """Path prefix and step of a run's newest checkpoint; None if there is none."""
    path = tf.train.latest_checkpoint(str(pathlib.Path(run_dir) / DIRECTORY))
    return None if path is None else (path, int(path.rsplit("-", 1)[1]))


def load(
    run_dir: str | pathlib.Path, *, execution: str = "fast", dtype: str = "float32"
) -> Run:
    """Reads the networks of a run directory.

    Args:
        run_dir: what `train_main.py --workdir` wrote.
        execution: how the networks compute, a name of `operations.EXECUTIONS`.
        dtype: of computation; variables are stored in float32.

    Raises:
        UserError: not a run directory, no checkpoint yet, or one that does not fit.
    """
    run_dir = pathlib.Path(run_dir)
    config = read_config(run_dir)
    found = latest(run_dir)
    if found is None:
        raise UserError(
            f"{run_dir}: no checkpoint in {DIRECTORY}/. Train first, or until the "
            "first checkpoint is saved."
        )
    path, step = found
    generator = build_generator(config.model, dtype=dtype)
    networks = {
        "average_generator" if config.train.ema_decay else "generator": generator,
        "encoder": build_encoder(config.model, dtype=dtype),
        "critic": build_critic(config.model, dtype=dtype),
    }
    for network in networks.values():
        operations.apply(network, execution)
    prior = Uniform(config.model.latent_size)
    if config.train.latents == "posterior":
        networks["posterior"] = Posterior(config.model.latent_size)
    restore(path, networks)
    if config.train.latents == "posterior":
        prior = frozen(networks["posterior"].gaussian())
    return Run(
        config=config,
        step=step,
        generator=generator,
        encoder=networks["encoder"],
        critic=networks["critic"],
        prior=prior,
    )


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
            f"{path}: the checkpoint does not fit or is damaged ({reason}). Delete it "
            "to fall back to the one before, or start with another --workdir."
        ) from error


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
