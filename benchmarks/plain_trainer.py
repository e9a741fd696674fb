"""The plain training step, which the shared one is measured against."""

import keras
import tensorflow as tf

from benchmarks.plain import build_generator
from hcm_tf import losses, networks, operations
from hcm_tf.config import ExperimentConfig, TrainConfig
from hcm_tf.prior import Uniform
from hcm_tf.training import replicas
from hcm_tf.training.drawing import Drawer
from hcm_tf.training.noise import Noise
from hcm_tf.training.trainer import Trainer


class PlainTrainer(Trainer):
    """One loss for each update, and nothing shared between them."""

    def __init__(self, *networks: keras.Model, config: TrainConfig) -> None:
        super().__init__(
            *networks,
            objective=losses.make_objective(),
            drawer=Drawer(
                networks[0],
                Noise(config.seed, range(config.batch_size)),
                Uniform(networks[0].latent_size),
            ),
            reconstruction_weight=config.reconstruction_weight,
        )
        self.config = config

    def train_step(self, batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        images = batch["image"]
        count = images.shape[0]
        latents = self.prior.from_noise(
            self.noise.uniform("latents", (self.prior.size,), self.step, count)
        )
        fakes = self.generator(latents)
        critic = [variable.value for variable in self.critic.trainable_variables]
        epsilon = self.noise.uniform("mixing", (1, 1, 1), self.step, count)
        mixed = losses.mix(images, fakes, epsilon)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(critic)
            real_scores, fake_scores = self.critic(images), self.critic(fakes)
            with tf.GradientTape(watch_accessed_variables=False) as penalty_tape:
                penalty_tape.watch(mixed)
                mixed_scores = self.critic(mixed)
            norms = losses.gradient_norm(penalty_tape.gradient(mixed_scores, mixed))
            penalty, drift = losses.gradient_penalty(norms), losses.drift(real_scores)
            critic_loss = replicas.mean(
                losses.critic_loss_on_real(real_scores)
                + losses.critic_loss_on_fake(fake_scores)
                + self.config.gradient_penalty_weight * penalty
                + self.config.drift_weight * drift
            )
        gradients = tape.gradient(critic_loss, critic)
        self.critic_optimizer.apply(gradients, self.critic.trainable_variables)

        variables = (
            self.generator.trainable_variables + self.encoder.trainable_variables
        )
        values = [variable.value for variable in variables]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(values)
            adversarial = losses.generator_loss(self.critic(self.generator(latents)))
            error = losses.reconstruction_loss(
                images, self.generator(self.encoder(images))
            )
            loss = replicas.mean(adversarial + self.reconstruction_weight * error)
        gradients = tape.gradient(loss, values)
        self.generator_optimizer.apply(gradients, variables)
        return {
            "critic_loss": critic_loss,
            "generator_loss": loss,
            "gradient_norm": replicas.mean(norms),
        }


def build_trainer(config: ExperimentConfig) -> PlainTrainer:
    """A plain trainer of the reference execution, with Keras's own Adam."""
    train = config.train
    trainer = PlainTrainer(
        build_generator(config.model),
        operations.apply(networks.build_encoder(config.model), "reference"),
        operations.apply(networks.build_critic(config.model), "reference"),
        config=train,
    )
    generator_optimizer, critic_optimizer = (
        keras.optimizers.Adam(
            train.learning_rate, train.beta_1, train.beta_2, epsilon=1e-8
        )
        for _ in range(2)
    )
    trainer.compile(generator_optimizer, critic_optimizer)
    return trainer
