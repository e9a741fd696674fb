"""The training step: critic, then generator and encoder together."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from hcm_tf import averaging, losses

METRICS = (
    "critic_loss",
    "generator_loss",
    "real_score",
    "fake_score",
    "gradient_norm",
    "gradient_penalty",
    "drift",
    "reconstruction_error",
)
# Streams of noise: stateless draws are keyed on (seed, step, stream), so that a resumed
# run continues with the same numbers and every replica can draw its own rows.
LATENT_STREAM, EPSILON_STREAM, STREAMS = 0, 1, 2
LARGE = 2**20  # Weights of networks whose losses are differentiated in turn.


def replica_order(batch: int, replicas: int, group: int) -> np.ndarray:
    """Order of a batch whose equal contiguous parts are the replicas' shares.

    The critic compares image i with those of equal i modulo (batch / group); this order
    gives whole groups to each replica, so that one replica and several compute the same
    statistics. Where a replica's share is smaller than a group, the order is plain.

    Args:
        batch: images in the batch of all replicas, a multiple of `replicas`.
        replicas: replicas in sync.
        group: `stddev_group_size` of the critic.

    Returns:
        A permutation of range(batch).
    """
    order = np.arange(batch)
    group = min(group, batch)
    if batch % group or (batch // group) % replicas:
        return order
    shares = order.reshape(group, replicas, batch // group // replicas)
    return shares.transpose(1, 0, 2).reshape(-1)


class Trainer(keras.Model):
    """Trains the three networks on batches of images (Xing et al. 2020).

    Built networks come in; `compile` takes their optimizers. Make and compile it inside
    the strategy's scope. The fakes of the critic's last update are also those of the
    generator's update: both are drawn from the same distribution, and the generator has
    not moved between.

    Args:
        generator: draws images from latents.
        encoder: finds the latent of an image.
        critic: scores images.
        average_generator: network whose weights follow the generator's; None: no
            average is kept.
        ema_decay: decay of that average.
        critic_steps: critic updates for each generator update.
        gradient_penalty_weight: weight of `losses.gradient_penalty`.
        drift_weight: weight of `losses.drift`.
        reconstruction_weight: weight of `losses.reconstruction_loss`.
        batch_order: `replica_order` of the batch, in which the data comes too.
        seed: seed of latents and mixing factors.
    """

    def __init__(
        self,
        generator: keras.Model,
        encoder: keras.Model,
        critic: keras.Model,
        *,
        batch_order: Sequence[int],
        average_generator: keras.Model | None = None,
        ema_decay: float = 0.0,
        critic_steps: int = 1,
        gradient_penalty_weight: float = 10.0,
        drift_weight: float = 1e-3,
        reconstruction_weight: float = 0.1,
        seed: int = 0,
    ) -> None:
        super().__init__(name="trainer")
        self.generator = generator
        self.encoder = encoder
        self.critic = critic
        self.average_generator = average_generator
        self.ema_decay = ema_decay
        self.critic_steps = critic_steps
        self.gradient_penalty_weight = gradient_penalty_weight
        self.drift_weight = drift_weight
        self.reconstruction_weight = reconstruction_weight
        self.batch_order = np.asarray(batch_order)
        self.seed = seed
        self.built = True

    def compile(
        self,
        generator_optimizer: keras.optimizers.Optimizer,
        critic_optimizer: keras.optimizers.Optimizer,
    ) -> None:
        """Takes the optimizers of generator with encoder, and of the critic."""
        super().compile(optimizer=generator_optimizer)
        self.generator_optimizer = generator_optimizer
        self.critic_optimizer = critic_optimizer
        generator_optimizer.build(self._generator_variables())
        critic_optimizer.build(self.critic.trainable_variables)

    @property
    def step(self) -> tf.Tensor:
        """Completed training steps, int64."""
        return self.generator_optimizer.iterations.value

    def train_step(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        """Updates the critic, then generator and encoder, on one batch.

        Args:
            images: this replica's share, float32 `(batch, height, width, channels)` in
                [-1, 1].

        Returns:
            The mean of each of METRICS over the batch of all replicas.
        """
        for update in range(self.critic_steps - 1):
            fakes = self.generator(self._latents(images, update))
            self._update_critic(images, fakes, update)

        last = self.critic_steps - 1
        weights = _values(self.generator.trainable_variables)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(weights)
            fakes = self.generator(self._latents(images, last))
        metrics = self._update_critic(images, fakes, last)

        with tf.GradientTape(watch_accessed_variables=False) as tape_of_fakes:
            tape_of_fakes.watch(fakes)
            adversarial = self._mean(losses.generator_loss(self.critic(fakes)))
        gradients = tape.gradient(
            fakes, weights, output_gradients=tape_of_fakes.gradient(adversarial, fakes)
        )
        variables = self._generator_variables()
        reconstruction, gradients = _add_gradients(
            gradients,
            lambda: self._reconstruction_loss(images, metrics),
            _values(variables),
        )
        self.generator_optimizer.apply(gradients, variables)
        if self.average_generator is not None:
            averaging.update(
                _values(self.average_generator.trainable_variables),
                _values(self.generator.trainable_variables),
                self.ema_decay,
            )
        metrics["generator_loss"] = adversarial + reconstruction
        return self._sum_over_replicas(metrics)

    def _reconstruction_loss(self, images: tf.Tensor, metrics: dict) -> tf.Tensor:
        reconstructions = self.generator(self.encoder(images))
        error = self._mean(losses.reconstruction_loss(images, reconstructions))
        metrics["reconstruction_error"] = error / np.prod(images.shape[1:])
        return self.reconstruction_weight * error

    def _update_critic(
        self, real: tf.Tensor, fake: tf.Tensor, update: int
    ) -> dict[str, tf.Tensor]:
        mixed = losses.mix(real, fake, self._epsilons(real, update))
        variables = self.critic.trainable_variables
        metrics, gradients, total = {}, [], 0.0
        for loss_of, images in (
            (self._loss_on_real, real),
            (self._loss_on_fake, fake),
            (self._loss_on_mixed, mixed),
        ):
            loss, gradients = _add_gradients(
                gradients,
                lambda loss_of=loss_of, images=images: loss_of(images, metrics),
                _values(variables),
            )
            total += loss
        self.critic_optimizer.apply(gradients, variables)
        return {**metrics, "critic_loss": total}

    def _loss_on_real(self, images: tf.Tensor, metrics: dict) -> tf.Tensor:
        scores = self.critic(images)
        metrics["real_score"] = self._mean(scores)
        metrics["drift"] = self._mean(losses.drift(scores))
        loss = self._mean(losses.critic_loss_on_real(scores))
        return loss + self.drift_weight * metrics["drift"]

    def _loss_on_fake(self, images: tf.Tensor, metrics: dict) -> tf.Tensor:
        scores = self.critic(images)
        metrics["fake_score"] = self._mean(scores)
        return self._mean(losses.critic_loss_on_fake(scores))

    def _loss_on_mixed(self, images: tf.Tensor, metrics: dict) -> tf.Tensor:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(images)
            scores = self.critic(images)
        norms = losses.gradient_norm(tape.gradient(scores, images))
        metrics["gradient_norm"] = self._mean(norms)
        metrics["gradient_penalty"] = self._mean(losses.gradient_penalty(norms))
        return self.gradient_penalty_weight * metrics["gradient_penalty"]

    def _generator_variables(self) -> list[keras.Variable]:
        return self.generator.trainable_variables + self.encoder.trainable_variables

    def _latents(self, images: tf.Tensor, update: int) -> tf.Tensor:
        """z, uniform in (-1, 1): `(batch, latent_size)`."""
        shape = (len(self.batch_order), self.generator.latent_size)
        return 2.0 * self._noise(shape, images, LATENT_STREAM, update) - 1.0

    def _epsilons(self, images: tf.Tensor, update: int) -> tf.Tensor:
        """Mixing factors of the penalty, uniform in (0, 1): `(batch, 1, 1, 1)`."""
        shape = (len(self.batch_order), 1, 1, 1)
        return self._noise(shape, images, EPSILON_STREAM, update)

    def _noise(
        self, shape: tuple[int, ...], images: tf.Tensor, stream: int, update: int
    ) -> tf.Tensor:
        # The noise of the whole batch, of which a replica takes its rows: then the
        # result does not depend on the number of replicas.
        key = (self.step * self.critic_steps + update) * STREAMS + stream
        noise = tf.random.stateless_uniform(
            shape, seed=tf.stack([tf.constant(self.seed, tf.int64), key])
        )
        share = images.shape[0]
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        order = tf.constant(self.batch_order)
        rows = order[replica * share : (replica + 1) * share]
        return tf.cast(tf.gather(noise, rows), images.dtype)

    def _mean(self, values: tf.Tensor) -> tf.Tensor:
        # Optimizers and metrics add up what the replicas return.
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        return tf.reduce_mean(values) / replicas

    @staticmethod
    def _sum_over_replicas(metrics: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        replica = tf.distribute.get_replica_context()
        stacked = tf.stack([metrics[name] for name in METRICS])
        total = replica.all_reduce(tf.distribute.ReduceOp.SUM, stacked)
        return dict(zip(METRICS, tf.unstack(total), strict=True))

    def get_config(self) -> dict[str, Any]:
        """Not supported: a run is restored by `checkpoint`, from its configuration."""
        raise NotImplementedError("Restore a trainer with hcm_tf.checkpoint.")


def _values(variables: Sequence[keras.Variable]) -> list[tf.Variable]:
    return [variable.value for variable in variables]


def _add_gradients(
    earlier: Sequence[tf.Tensor],
    compute_loss: Callable[[], tf.Tensor],
    weights: Sequence[tf.Variable],
) -> tuple[tf.Tensor, list[tf.Tensor]]:
    """A loss, and its gradients added to earlier ones of the first of the weights.

    Of large networks they are computed after those: activations are held for one loss
    at a time. The operations of small ones need each other's company to fill all cores.
    """
    large = sum(math.prod(weight.shape) for weight in weights) >= LARGE
    with tf.control_dependencies([tf.group(*earlier)] if large else []):
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(weights)
            loss = compute_loss()
        # The penalty has no derivative by the last bias.
        gradients = tape.gradient(loss, weights, unconnected_gradients="zero")
    shared = len(earlier)
    sums = [a + b for a, b in zip(earlier, gradients[:shared], strict=True)]
    return loss, [*sums, *gradients[shared:]]
