"""The training step: critic, then generator and encoder together."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from hcm_tf import losses
from hcm_tf.losses import Objective
from hcm_tf.prior import Posterior
from hcm_tf.training import augmentation, averaging, reading, replicas
from hcm_tf.training.drawing import Batch, Drawer, Drawn, beside
from hcm_tf.training.gradients import Gradients, values_of
from hcm_tf.training.judging import Judge
from hcm_tf.training.regularizers import Reconstructed, Regularizer


class Fakes(NamedTuple):
    """Images drawn from latents.

    Attributes:
        drawn: the images.
        drawing: how; watches the generator's weights.
    """

    drawn: Drawn
    drawing: tf.GradientTape


class Found(NamedTuple):
    """What an update of generator and encoder found, for the averages that follow.

    Attributes:
        unbounded: the encoder's latents before tanh, `(batch, latent_size)`.
        behind: labels behind them; None without.
        drawn: reconstructions.
        seen: for each regulariser, what its `follow` is told.
    """

    unbounded: tf.Tensor
    behind: tf.Tensor | None
    drawn: Drawn
    seen: Sequence[tf.Tensor | None]


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
        objective: the adversarial losses, if any.
        drawer: draws latents and images; a prior that is fitted moves along.
        regularizers: what else the generator's update minimises.
        average_generator: network whose weights follow the generator's; None: no
            average is kept.
        ema_decay: decay of that average.
        reconstruction_weight: weight of `losses.reconstruction_loss`.
        label_weight: weight of `losses.label_loss` of what the encoder reads: labels
            of a batch that has any, and discovered classes, of fakes and as the critic
            reads them from real images.
        information_weight: weight of the same loss of the discovered classes that the
            critic reads from fakes, for itself and for the generator (Chen et al.
            2016, equation 5).
        augment: what is changed of all images that the critic sees, of
            `augmentation.KINDS`.
    """

    def __init__(
        self,
        generator: keras.Model,
        encoder: keras.Model,
        critic: keras.Model,
        *,
        objective: Objective,
        drawer: Drawer,
        regularizers: Sequence[Regularizer] = (),
        average_generator: keras.Model | None = None,
        ema_decay: float = 0.0,
        reconstruction_weight: float = 0.1,
        label_weight: float = 0.0,
        information_weight: float = 0.0,
        augment: Sequence[str] = (),
    ) -> None:
        super().__init__(name="trainer")
        self.generator = generator
        self.encoder = encoder
        self.critic = critic
        self.objective = objective
        self.judge = Judge(
            *(critic, objective, drawer),
            information_weight=information_weight,
            augment=augment,
        )
        self.drawer = drawer
        self.noise = drawer.noise
        self.prior = drawer.prior
        self.regularizers = tuple(regularizers)
        self.average_generator = average_generator
        self.ema_decay = ema_decay
        self.reconstruction_weight = reconstruction_weight
        self.label_weight = label_weight
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
        generator_optimizer.build(
            self.generator.trainable_variables + self.encoder.trainable_variables
        )
        critic_optimizer.build(self.critic.trainable_variables)

    @property
    def step(self) -> tf.Tensor:
        """Completed training steps, int64."""
        return self.generator_optimizer.iterations.value

    def train_step(self, batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Updates the critic, then generator and encoder, on one batch.

        Args:
            batch: of this replica's share: `image`, float32 `(batch, height, width,
                channels)` in [-1, 1]; with labels also `label`, float32 `(batch,
                classes of all labels)`. Fakes are drawn by the labels of the batch.

        An update whose gradients are not finite in any replica is left out: they count
        as zeros, which move no weight with beta_1 = 0, as published. Without a critic
        no fakes are drawn, and only reconstruction is learnt.

        Returns:
            The mean of each of `objective.metrics` over the batch of all replicas;
            `left_out` is not 0 if an update was; with labels `label_loss`, too, and
            with discovered classes `information`: a lower bound of what images tell
            of their class, in nats. Of parts that are placed freely, `displacement`:
            the mean of |t| in cells of the 8x8 map, and the mean `presence`. Of gated
            blocks `tiles_drawn`: what share of their multiply-adds is done.
        """
        real, labels = batch["image"], batch.get("label")
        left_out = tf.zeros((), real.dtype)
        metrics = dict.fromkeys(self.objective.metrics, left_out)
        shared, fakes = Batch(real, labels, None), None
        updates = self.drawer.critic_steps if self.objective.critic else 0
        for update in range(updates):
            shared, fakes = self._fakes(real, labels, update)
            gradients, values = self.judge.of_critic(
                shared, fakes.drawn.images, self.step, update
            )
            metrics |= values
            variables = self.critic.trainable_variables
            left_out += self._apply(self.critic_optimizer, gradients, variables)
        metrics |= self._update_generator(shared, fakes)
        metrics["left_out"] += left_out
        if self.average_generator is not None:
            averaging.update(
                values_of(self.average_generator.trainable_variables),
                values_of(self.generator.trainable_variables),
                self.ema_decay,
            )
            for average, own in zip(
                self.average_generator.non_trainable_variables,
                self.generator.non_trainable_variables,
                strict=True,
            ):
                average.assign(own)
        return replicas.summed(metrics)

    def _fakes(
        self, real: tf.Tensor, labels: tf.Tensor | None, update: int
    ) -> tuple[Batch, Fakes]:
        """A batch with the classes of its fakes, and these."""
        weights = values_of(self.generator.trainable_variables)
        with tf.GradientTape(watch_accessed_variables=False) as drawing:
            drawing.watch(weights)
            latents = self.drawer.latents(self.step, update, real.shape[0])
            classes = self.drawer.classes(self.step, update, real.shape[0])
            latents = beside(latents, labels, classes)
            drawn = self.drawer.images(latents, self.step, update)
        return Batch(real, labels, classes), Fakes(drawn, drawing)

    @staticmethod
    def _apply(
        optimizer: keras.optimizers.Optimizer,
        gradients: list[tf.Tensor],
        variables: list[keras.Variable],
    ) -> tf.Tensor:
        """Updates variables if all gradients of all replicas are finite.

        Returns:
            0 then; otherwise this replica's share of a mean of 1.
        """
        finite = [tf.reduce_all(tf.math.is_finite(gradient)) for gradient in gradients]
        wrong = replicas.any_of(tf.logical_not(tf.reduce_all(finite)))
        # Not `where`, which would read and write all of them once more.
        gradients = tf.cond(
            wrong, lambda: [tf.zeros_like(g) for g in gradients], lambda: gradients
        )
        optimizer.apply(gradients, variables)
        return replicas.mean(tf.cast(wrong, gradients[0].dtype))

    def _update_generator(
        self, batch: Batch, fakes: Fakes | None
    ) -> dict[str, tf.Tensor]:
        own = self.generator.trainable_variables
        gradients, adversarial, fake, of_real = Gradients(), 0.0, None, None
        if fakes is not None:
            fake = fakes.drawn.images
            adversarial, of_real, by_own = self._by_critic(batch, fakes)
            gradients = Gradients(own, by_own)
        found = None

        def compute() -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
            nonlocal found
            loss, values, found = self._reconstruct(batch, fake, of_real)
            return loss, values

        radius = self.drawer.selection.radius(self.step)  # Of this step, not the next.
        variables = own + self.encoder.trainable_variables
        loss, metrics = gradients.add(variables, compute)
        left_out = self._apply(
            self.generator_optimizer, gradients.of(variables), variables
        )
        # Sampling is what they are for: they follow the fakes, if there are any.
        sampled = found.drawn if fakes is None else fakes.drawn
        self.drawer.selection.follow(sampled.averages, radius)
        self._follow(found)
        loss = adversarial + loss
        return {**metrics, "generator_loss": loss, "left_out": left_out}

    def _by_critic(
        self, batch: Batch, fakes: Fakes
    ) -> tuple[tf.Tensor, tf.Tensor | None, list[tf.Tensor]]:
        """The generator's loss of fakes.

        Returns:
            This replica's share of it; what the critic reads of real images, as of
            `Judge.of_generator`; the gradients by the generator's weights.
        """
        drawn, drawing = fakes
        with tf.GradientTape(watch_accessed_variables=False) as scoring:
            scoring.watch(drawn.images)
            loss, of_real = self.judge.of_generator(batch, drawn.images, self.step)
            adversarial = replicas.mean(loss)
        outputs = [drawn.images]
        weights = [scoring.gradient(adversarial, drawn.images)]
        for regularizer in self.regularizers:
            asked = regularizer.of_fakes(drawn, loss)
            if asked is not None:
                outputs.append(asked.output)
                weights.append(asked.gradient)
                adversarial += asked.loss
        by = values_of(self.generator.trainable_variables)
        return (
            adversarial,
            of_real,
            drawing.gradient(outputs, by, output_gradients=weights),
        )

    def _reconstruct(
        self, batch: Batch, fake: tf.Tensor | None, of_real: tf.Tensor | None
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor], Found]:
        """The loss of encoder and generator together, its metrics, and what it found.

        Args:
            batch: of this replica.
            fake: images drawn from latents; None without a critic.
            of_real: as of `Judge.of_generator`.
        """
        real, labels, classes = batch
        unbounded, scores = self.encoder.read(real)
        behind = None
        if scores:
            found = None if classes is None else reading.chosen(scores[-1])
            behind = beside(labels, found)
            unbounded = self.encoder.centred(unbounded, tf.stop_gradient(behind))
        latents = beside(tf.tanh(unbounded), behind)
        drawn = self.drawer.images(latents, self.step, self.drawer.critic_steps)
        errors = losses.reconstruction_loss(*_compared(real, drawn))
        error = replicas.mean(errors)
        loss = self.reconstruction_weight * error
        metrics = {"reconstruction_error": error / np.prod(real.shape[1:])}
        if scores:
            misread = replicas.mean(
                reading.misread(self.encoder, labels, scores, classes, fake, of_real)
            )
            loss += self.label_weight * misread
            metrics["label_loss"] = misread
        made = Reconstructed(
            *(real, latents, drawn), self.reconstruction_weight * errors, self.step
        )
        seen = []
        for regularizer in self.regularizers:
            asked = regularizer.of_reconstructions(made)
            seen.append(None if asked is None else asked.seen)
            if asked is not None:
                loss += asked.loss
                metrics |= asked.metrics
        return loss, metrics, Found(unbounded, behind, drawn, seen)

    def _follow(self, found: Found) -> None:
        """Moves what follows the encoder, and the regularisers, after the update."""
        if isinstance(self.prior, Posterior):
            replicas.follow(
                [self.prior.mean, self.prior.covariance],
                self.prior.moments(tf.stop_gradient(found.unbounded)),
                1.0 - self.prior.momentum,
            )
        if found.behind is not None:
            reading.centre(self.encoder, found.unbounded, found.behind)
        for regularizer, seen in zip(self.regularizers, found.seen, strict=True):
            regularizer.follow(seen)

    def get_config(self) -> dict[str, Any]:
        """Not supported: a run is restored by `checkpoint`, from its configuration."""
        raise NotImplementedError("Restore a trainer with hcm_tf.runs.checkpoint.")


def _compared(real: tf.Tensor, drawn: Drawn) -> tuple[tf.Tensor, tf.Tensor]:
    """Images, and what was drawn of them; shifted alike, where both are known."""
    if drawn.shifts is None:
        return real, drawn.images
    down, right = tf.unstack(drawn.shifts, axis=1)
    known = augmentation.translate(tf.ones_like(real[..., :1]), down, right)
    return augmentation.translate(real, down, right), known * drawn.images
