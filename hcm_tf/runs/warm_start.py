"""Training that begins with another run's networks."""

import dataclasses
import pathlib
import sys
from typing import Any

import tensorflow as tf

from hcm_tf.config import ExperimentConfig, ModelConfig
from hcm_tf.errors import UserError
from hcm_tf.prior import Gaussian, without_labels
from hcm_tf.runs import checkpoint

# What of a model its weights' shapes do not depend on.
FREE = (
    "attribute_keep",
    "spatial_keep",
    "sparsity",
    "temperature",
    "top_p",
    "presence",
    "stddev_group_size",
)
THRESHOLDS = "batch_top_k"  # The rule that has weights.


def begin(config: ExperimentConfig, objects: dict[str, tf.Module]) -> dict[str, Any]:
    """Gives new networks the values of `config.train.init_from`; says what differs.

    Where the other run kept no average, its generator is the first average; where it
    has no fit of the latents, the fit begins as ever. Optimizers stay fresh.

    Args:
        config: of the run that begins.
        objects: what it saves, by name (`building.saved_objects`).

    Returns:
        Where the values come from, for `config.json`.

    Raises:
        UserError: no run there, or its networks have other shapes.
    """
    source = pathlib.Path(config.train.init_from)
    theirs = checkpoint.read_config(source).model
    differs = {
        field.name: f"{field.name}: {before} -> {after}"
        for field in dataclasses.fields(ModelConfig)
        if (before := _told(theirs, field.name))
        != (after := _told(config.model, field.name))
    }
    ruled = THRESHOLDS in (*theirs.sparsity, *config.model.sparsity)
    free = set(FREE) - ({"sparsity"} if ruled else set())
    shapes = [line for name, line in differs.items() if name not in free]
    if shapes:
        raise UserError(
            f"--init_from={source}: its networks have other shapes "
            f"({'; '.join(shapes)}). Give the same values, or begin without it."
        )
    run = checkpoint.load(source)
    origin = {"run_dir": str(source), "step": run.step}
    networks = {
        "generator": run.generator,
        "average_generator": run.generator,
        "encoder": run.encoder,
        "critic": run.critic,
    }
    for name, network in networks.items():
        if name in objects:
            objects[name].set_weights(network.get_weights())
    prior = without_labels(run.prior)
    if "posterior" in objects and isinstance(prior, Gaussian):
        factor = tf.convert_to_tensor(prior.factor)
        objects["posterior"].mean.assign(prior.mean)
        objects["posterior"].covariance.assign(factor @ tf.transpose(factor))
    for name, line in differs.items():
        if name in free:
            print(f"{source} was trained with another {line}", file=sys.stderr)
    return origin


def _told(model: ModelConfig, name: str) -> Any:
    """A field as it is compared: of labels the classes, not how frequent each is."""
    value = getattr(model, name)
    if name != "labels":
        return value
    return "; ".join(f"{one.name}: {', '.join(one.classes)}" for one in value) or "none"
