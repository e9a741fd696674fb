"""What the fast forms are measured against: every formula as the paper states it."""

import keras
import tensorflow as tf

from hcm_tf import losses
from hcm_tf.trainer import Trainer


def use_reference(network: keras.Model) -> keras.Model:
    """Makes every layer of a network compute the reference form."""
    for layer in network._flatten_layers():
        if hasattr(layer, "execution"):
            layer.execution = "reference"
    return network


class PlainTrainer(Trainer):
    """Shares nothing between the updates: fakes and reconstructions drawn apart."""

    def train_step(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        latents = self._latents(images, 0)
        metrics = self._update_critic(images, self.generator(latents), 0)
        variables = self._generator_variables()
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([variable.value for variable in variables])
            adversarial = losses.generator_loss(self.critic(self.generator(latents)))
            reconstruction = losses.reconstruction_loss(
                images, self.generator(self.encoder(images))
            )
            loss = self._mean(adversarial + self.reconstruction_weight * reconstruction)
        gradients = tape.gradient(loss, [variable.value for variable in variables])
        self.generator_optimizer.apply(gradients, variables)
        metrics["generator_loss"] = loss
        metrics["reconstruction_error"] = self._mean(reconstruction)
        return self._sum_over_replicas(metrics)
