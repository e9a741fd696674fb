"""A trainer from its configuration, and what a checkpoint holds of it."""

import keras
import tensorflow as tf

from hcm_tf import operations
from hcm_tf.config import GRID, ExperimentConfig
from hcm_tf.losses import make_objective
from hcm_tf.networks import Generator, build_critic, build_encoder, build_generator
from hcm_tf.prior import Posterior, Uniform
from hcm_tf.training import regularizers
from hcm_tf.training.budget import Budget
from hcm_tf.training.drawing import Drawer
from hcm_tf.training.noise import Noise, replica_order
from hcm_tf.training.optimizer import FusedAdam
from hcm_tf.training.placing import Placer
from hcm_tf.training.schedule import Cooldown
from hcm_tf.training.selection import Selection
from hcm_tf.training.trainer import Trainer

DTYPES = {"float32": "float32", "bfloat16": "mixed_bfloat16"}
PRIORS = {"uniform": Uniform, "posterior": Posterior}


def build_trainer(config: ExperimentConfig, replicas: int) -> Trainer:
    """The compiled trainer of a configuration; call it in the strategy's scope.

    Args:
        config: what to train, and how.
        replicas: that share a batch.
    """
    train = config.train
    keras.utils.set_random_seed(train.seed)
    dtype = DTYPES[train.precision]
    generator = build_generator(config.model, dtype=dtype)
    average_generator = None
    if train.ema_decay:
        average_generator = build_generator(config.model, dtype=dtype)
        average_generator.set_weights(generator.get_weights())
    drawer = _drawer(config, generator, replicas)
    trainer = Trainer(
        generator,
        build_encoder(config.model, dtype=dtype),
        build_critic(config.model, dtype=dtype),
        objective=make_objective(
            train.objective,
            gradient_penalty_weight=train.gradient_penalty_weight,
            drift_weight=train.drift_weight,
            r1_weight=train.r1_weight,
            r2_weight=train.r2_weight,
            penalty_interval=train.penalty_interval,
        ),
        drawer=drawer,
        regularizers=_regularizers(config, drawer),
        average_generator=average_generator,
        ema_decay=train.ema_decay,
        reconstruction_weight=train.reconstruction_weight,
        label_weight=train.label_weight,
        information_weight=train.information_weight,
        augment=train.augment,
    )
    operations.apply(trainer, train.execution, recompute=train.recompute)
    trainer.compile(_adam(config), _adam(config, updates=config.train.critic_steps))
    return trainer


def _drawer(config: ExperimentConfig, generator: Generator, replicas: int) -> Drawer:
    train, model = config.train, config.model
    group = model.stddev_group_size
    noise = Noise(train.seed, replica_order(train.batch_size, replicas, group))
    placer = None
    if model.placement == "free":
        placer = Placer(
            *(noise, GRID**2, model.image_size // (2 * GRID)),
            shift=train.placing_shift,
            jitter=train.placing_jitter,
            steps=train.placing_steps,
            position_weight=train.position_weight,
            presence_target=train.presence_target,
            presence_weight=train.presence_weight,
            presence_steps=train.presence_steps,
            hard=model.presence == "hard",
        )
    return Drawer(
        *(generator, noise, PRIORS[train.latents](model.latent_size)),
        selection=Selection(
            *(generator, noise),
            group=group,
            leak_steps=train.leak_steps,
            anneal_steps=train.anneal_steps,
            heat=train.heat,
            normalizer_steps=train.normalizer_steps,
        ),
        placer=placer,
        recorded=model.gated_blocks,
        critic_steps=train.critic_steps,
        classes=model.discovered_classes,
    )


def _regularizers(
    config: ExperimentConfig, drawer: Drawer
) -> list[regularizers.Regularizer]:
    train, generator = config.train, drawer.generator
    found: list[regularizers.Regularizer] = []
    if train.orthogonal_weight:
        found.append(regularizers.Orthogonality(generator, train.orthogonal_weight))
    if drawer.placer is not None:
        found.append(regularizers.Placed(drawer.placer))
    if train.background_weight:
        found.append(regularizers.Behind(generator, train.background_weight))
    if config.model.gated_blocks:
        budget = Budget(
            generator,
            target=train.block_budget,
            weight=train.block_budget_weight,
            steps=train.steps,
        )
        found.append(regularizers.Budgeted(budget))
    if "l1" in drawer.selection.terms:
        found.append(regularizers.Absolute(train.l1_weight))
    if "reinforce" in drawer.selection.terms:
        found.append(regularizers.ScoreFunction(train.reinforce_weight))
    if train.revival_weight:
        found.append(regularizers.Revival(generator, train.revival_weight))
    return found


def saved_objects(trainer: Trainer) -> dict[str, tf.Module]:
    """What a checkpoint holds, by name; the step is an optimizer's iterations."""
    names = (
        "generator",
        "encoder",
        "critic",
        "average_generator",
        "generator_optimizer",
        "critic_optimizer",
    )
    objects = {name: getattr(trainer, name) for name in names}
    for regularizer in trainer.regularizers:
        objects |= regularizer.saved()
    if isinstance(trainer.prior, Posterior):
        objects["posterior"] = trainer.prior
    return {name: value for name, value in objects.items() if value is not None}


def _adam(config: ExperimentConfig, updates: int = 1) -> keras.optimizers.Optimizer:
    """An optimizer that is updated so many times a step; a schedule counts updates."""
    train = config.train
    rate = train.learning_rate
    if train.cooldown_steps:
        rate = Cooldown(rate, updates * train.steps, updates * train.cooldown_steps)
    return FusedAdam(rate, beta_1=train.beta_1, beta_2=train.beta_2, epsilon=1e-8)
