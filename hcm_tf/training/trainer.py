"""The training step: critic, then generator and encoder together."""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from hcm_tf import losses
from hcm_tf.losses import Objective, Term
from hcm_tf.networks.blocks import BlockGates
from hcm_tf.operations.placing import Placing, PlacingStage
from hcm_tf.prior import Posterior, Uniform
from hcm_tf.training import augmentation, averaging
from hcm_tf.training.budget import Budget
from hcm_tf.training.gradients import Gradients, values_of
from hcm_tf.training.noise import Noise
from hcm_tf.training.placing import Placer
from hcm_tf.training.selection import FOLLOWING, Selection
from hcm_tf.training.usage import Usage

# Metrics of some models.
OCCASIONAL = ("label_loss", "information", "displacement", "presence", "tiles_drawn")


class Drawn(NamedTuple):
    """What the generator drew in training.

    Attributes:
        images: `(batch, height, width, channels)`.
        penalty: `Selection.penalty`, `(batch,)`; None without the rule l1.
        chance: `Selection.log_probability`, `(batch,)`; None without reinforce.
        averages: as of `Selection.averages`.
        placing: where the parts are; None on the grid.
        gates: of all blocks; None where nothing was recorded.
    """

    images: tf.Tensor
    penalty: tf.Tensor | None = None
    chance: tf.Tensor | None = None
    averages: Sequence[tuple[keras.Variable, tf.Tensor]] = ()
    placing: Placing | None = None
    gates: tuple[BlockGates, ...] | None = None


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
        objective: the adversarial losses.
        noise: of latents and mixing factors.
        prior: what fakes are drawn from: a fixed one, or the fit that this trainer
            moves along.
        average_generator: network whose weights follow the generator's; None: no
            average is kept.
        ema_decay: decay of that average.
        critic_steps: critic updates for each generator update.
        reconstruction_weight: weight of `losses.reconstruction_loss`.
        revival_weight: weight of `Usage.shortfall`; 0: idle attributes are left alone.
        selection: what the rules of selection are told, and ask for.
        placer: how parts are placed; None: on the grid.
        budget: of the generator's gated blocks; None: it has none.
        orthogonal_weight: weight of `losses.orthogonality` of the generator's kernels.
        label_weight: weight of `losses.label_loss` of what the encoder reads: labels
            of a batch that has any, and discovered classes, of fakes and as the critic
            reads them from real images.
        information_weight: weight of the same loss of the discovered classes that the
            critic reads from fakes, for itself and for the generator (Chen et al.
            2016, equation 5).
        l1_weight: weight of `Selection.penalty`.
        reinforce_weight: weight of the score-function gradient of drawn selections.
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
        noise: Noise,
        prior: Uniform | Posterior,
        average_generator: keras.Model | None = None,
        ema_decay: float = 0.0,
        critic_steps: int = 1,
        reconstruction_weight: float = 0.1,
        revival_weight: float = 0.0,
        selection: Selection | None = None,
        placer: Placer | None = None,
        budget: Budget | None = None,
        orthogonal_weight: float = 0.0,
        label_weight: float = 0.0,
        information_weight: float = 0.0,
        l1_weight: float = 0.0,
        reinforce_weight: float = 0.0,
        augment: Sequence[str] = (),
    ) -> None:
        super().__init__(name="trainer")
        self.generator = generator
        self.encoder = encoder
        self.critic = critic
        self.objective = objective
        self.noise = noise
        self.prior = prior
        self.average_generator = average_generator
        self.ema_decay = ema_decay
        self.critic_steps = critic_steps
        self.reconstruction_weight = reconstruction_weight
        self.revival_weight = revival_weight
        self.usage = None
        if revival_weight:
            attributes = generator.levels[0]
            self.usage = Usage(attributes.shape, attributes.k)
        self.selection = selection or Selection(generator, noise, group=1)
        self.placer = placer
        self.budget = budget
        self.orthogonal_weight = orthogonal_weight
        self.label_weight = label_weight
        self.information_weight = information_weight
        self.l1_weight = l1_weight
        self.reinforce_weight = reinforce_weight
        self.augment = tuple(augment)
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
        as zeros, which move no weight with beta_1 = 0, as published.

        Returns:
            The mean of each of `objective.metrics` over the batch of all replicas;
            `left_out` is not 0 if an update was; with labels `label_loss`, too, and
            with discovered classes `information`: a lower bound of what images tell
            of their class, in nats. Of parts that are placed freely, `displacement`:
            the mean of |t| in cells of the 8x8 map, and the mean `presence`. Of gated
            blocks `tiles_drawn`: what share of their multiply-adds is done.
        """
        real, labels = batch["image"], batch.get("label")
        weights = values_of(self.generator.trainable_variables)
        left_out = 0.0
        for update in range(self.critic_steps):
            with tf.GradientTape(watch_accessed_variables=False) as drawing:
                drawing.watch(weights)
                latents = self._latents(real.shape[0], update)
                classes = self._classes(real.shape[0], update)
                drawn = self._draw(_with(latents, labels, classes), update)
            metrics = self._update_critic(real, drawn.images, labels, classes, update)
            left_out += metrics.pop("left_out")
        metrics |= self._update_generator(real, labels, classes, drawn, drawing)
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
        return self._sum_over_replicas(metrics)

    def _update_critic(
        self,
        real: tf.Tensor,
        fake: tf.Tensor,
        labels: tf.Tensor | None,
        classes: tf.Tensor | None,
        update: int,
    ) -> dict[str, tf.Tensor]:
        draw = self.step * self.critic_steps + update
        epsilon = self.noise.uniform("mixing", (1, 1, 1), draw, real.shape[0])
        real, fake = self._augmented(real, fake, update)
        images = {
            "real": real,
            "fake": fake,
            "mixed": losses.mix(real, fake, tf.cast(epsilon, real.dtype)),
        }
        variables = self.critic.trainable_variables
        gradients, metrics, total = Gradients(), {}, 0.0
        for term in self.objective.critic:

            def compute(term: Term = term) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
                scored = [self._score(images[name], labels, term) for name in term.at]
                loss, values = term.loss(*scored)
                return self._mean(loss), {n: self._mean(v) for n, v in values.items()}

            loss, values = gradients.add(
                variables, compute, due=self._is_due(term), metrics=term.metrics
            )
            metrics |= values
            total += loss
        if classes is not None:

            def read() -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
                scores = self.critic.read(images["fake"])
                misread = self._mean(losses.label_loss(classes, [scores]))
                information = self._mean(tf.math.log([float(scores.shape[1])]))
                values = {"information": information - misread}
                return self.information_weight * misread, values

            loss, values = gradients.add(variables, read)
            metrics |= values
            total += loss
        left_out = self._apply(
            self.critic_optimizer, gradients.of(variables), variables
        )
        return {**metrics, "critic_loss": total, "left_out": left_out}

    def _apply(
        self,
        optimizer: keras.optimizers.Optimizer,
        gradients: list[tf.Tensor],
        variables: list[keras.Variable],
    ) -> tf.Tensor:
        """Updates variables if all gradients of all replicas are finite.

        Returns:
            0 then; otherwise this replica's share of a mean of 1.
        """
        finite = [tf.reduce_all(tf.math.is_finite(gradient)) for gradient in gradients]
        wrong = tf.cast(tf.logical_not(tf.reduce_all(finite)), tf.float32)
        replica = tf.distribute.get_replica_context()
        wrong = replica.all_reduce(tf.distribute.ReduceOp.SUM, wrong) > 0
        # Not `where`, which would read and write all of them once more.
        gradients = tf.cond(
            wrong, lambda: [tf.zeros_like(g) for g in gradients], lambda: gradients
        )
        optimizer.apply(gradients, variables)
        return self._mean(tf.cast(wrong, gradients[0].dtype))

    def _augmented(
        self, real: tf.Tensor, fake: tf.Tensor, update: int
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Both as the critic sees them in its updates, and in the generator's last."""
        if not self.augment:
            return real, fake
        draw = self.step * (self.critic_steps + 1) + update
        shape = (2, augmentation.NUMBERS)
        numbers = self.noise.uniform("augmentation", shape, draw, real.shape[0])
        return (
            augmentation.augment(real, numbers[:, 0], self.augment),
            augmentation.augment(fake, numbers[:, 1], self.augment),
        )

    def _score(
        self, images: tf.Tensor, labels: tf.Tensor | None, term: Term
    ) -> tf.Tensor:
        """Scores, or norms of their gradients, as the term asks: `(batch,)`."""
        if not term.of_gradients:
            return self.critic(images, labels=labels)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(images)
            scores = self.critic(images, labels=labels)
        return losses.gradient_norm(tape.gradient(scores, images))

    def _is_due(self, term: Term) -> tf.Tensor | None:
        if term.interval == 1:
            return None
        return tf.equal((self.step + 1) % term.interval, 0)

    def _update_generator(
        self,
        real: tf.Tensor,
        labels: tf.Tensor | None,
        classes: tf.Tensor | None,
        drawn: Drawn,
        drawing: tf.GradientTape,
    ) -> dict[str, tf.Tensor]:
        fake = drawn.images
        radius = self.selection.radius(self.step)  # Before the update counts it.
        with tf.GradientTape(watch_accessed_variables=False) as scoring:
            scoring.watch(fake)
            loss, of_real = self._judge(real, fake, labels, classes)
            adversarial = self._mean(loss)
        own = self.generator.trainable_variables
        outputs, weights = [fake], [scoring.gradient(adversarial, fake)]
        if drawn.penalty is not None:
            outputs.append(drawn.penalty)
            share = tf.fill(tf.shape(drawn.penalty), self.l1_weight)
            weights.append(self._mean_weights(share))
        if drawn.chance is not None:
            outputs.append(drawn.chance)
            weights.append(self._mean_weights(self._lead(loss)))
        by_own = drawing.gradient(outputs, values_of(own), output_gradients=weights)
        gradients = Gradients(own, by_own)
        unbounded = preferences = behind = None

        def compute() -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
            nonlocal unbounded, preferences, behind
            unbounded, scores = self.encoder.read(real)
            found = None if classes is None else _chosen(scores[-1])
            if scores:
                behind = _with(labels, found)
                unbounded = self.encoder.centred(unbounded, tf.stop_gradient(behind))
            latents = _with(tf.tanh(unbounded), behind)
            drawn = self._draw(latents, self.critic_steps)
            errors = losses.reconstruction_loss(real, drawn.images)
            error = self._mean(errors)
            per_value = error / np.prod(real.shape[1:])
            loss = self.reconstruction_weight * error
            if self.orthogonal_weight:
                kernels = [v for v in self.generator.trainable_variables if v.ndim > 1]
                alike = losses.orthogonality([tf.convert_to_tensor(k) for k in kernels])
                loss += self.orthogonal_weight * self._mean(alike[tf.newaxis])
            if scores:
                misread = self._misread(labels, scores, classes, fake, of_real)
                loss += self.label_weight * self._mean(misread)
            if self.placer is not None:
                costs = self.placer.loss(drawn.placing, self.step)
                loss += self._mean(costs)
            if self.budget is not None:
                loss += self._mean(self.budget.loss(drawn.gates, self.step))
            if drawn.penalty is not None:
                loss += self.l1_weight * self._mean(drawn.penalty)
            if drawn.chance is not None:
                lead = self._lead(self.reconstruction_weight * errors)
                # Worth 0 itself: only its gradient is meant.
                loss += self._mean(
                    lead * (drawn.chance - tf.stop_gradient(drawn.chance))
                )
            if self.usage is not None:
                # The latents are the encoder's to choose, by what they draw.
                preferences = self.generator.preferences(tf.stop_gradient(latents))
                preferences = tf.cast(preferences, tf.float32)
                lacking = self._mean(self.usage.shortfall(preferences))
                loss += self.revival_weight * lacking
            values = {"reconstruction_error": per_value}
            if scores:
                values["label_loss"] = self._mean(misread)
            if self.placer is not None:
                values |= {
                    "displacement": self._mean(tf.abs(drawn.placing.position)),
                    "presence": self._mean(drawn.placing.presence),
                }
            if self.budget is not None:
                values["tiles_drawn"] = self._mean(self.budget.drawn(drawn.gates))
            return loss, values

        variables = own + self.encoder.trainable_variables
        reconstruction, metrics = gradients.add(variables, compute)
        left_out = self._apply(
            self.generator_optimizer, gradients.of(variables), variables
        )
        if isinstance(self.prior, Posterior):
            self._follow_encoder(unbounded)
        if behind is not None:
            self._centre(unbounded, behind)
        for variable, value in drawn.averages:
            self._follow([variable], [value], FOLLOWING)
        for norm in self.generator.normalizers:
            averaging.update([norm.shares.value], [norm.share(radius)], decay=0.0)
        if self.usage is not None:
            self._follow(
                [self.usage.share], [self.usage.active(preferences)], self.usage.decay
            )
        loss = adversarial + reconstruction
        return {**metrics, "generator_loss": loss, "left_out": left_out}

    def _judge(
        self,
        real: tf.Tensor,
        fake: tf.Tensor,
        labels: tf.Tensor | None,
        classes: tf.Tensor | None,
    ) -> tuple[tf.Tensor, tf.Tensor | None]:
        """The generator's loss by the critic, and what that reads of real images.

        Returns:
            `(batch,)`; the chances of discovered classes, `(batch, discovered)`, or
            None.
        """
        real, fake = self._augmented(real, fake, self.critic_steps)
        if classes is None:
            critic = functools.partial(self.critic, labels=labels)
            compared = (critic(real),) if self.objective.pairs else ()
            return self.objective.generator(critic(fake), *compared), None
        scores, read = self.critic.judge(fake, labels)
        real_scores, of_real = self.critic.judge(real, labels)
        compared = (real_scores,) if self.objective.pairs else ()
        loss = self.objective.generator(scores, *compared)
        loss += self.information_weight * losses.label_loss(classes, [read])
        return loss, tf.nn.softmax(of_real)

    def _misread(
        self,
        labels: tf.Tensor | None,
        scores: list[tf.Tensor],
        classes: tf.Tensor | None,
        fake: tf.Tensor,
        of_real: tf.Tensor | None,
    ) -> tf.Tensor:
        """The encoder's loss in reading labels: `(batch,)`.

        Nobody knows the discovered classes of real images: there the critic teaches,
        whose trunk has learnt what real images are like; a network that knows fakes
        alone is misled by what only they have.

        Args:
            labels: of real images.
            scores: what it reads of those.
            classes: discovered ones, of fakes.
            fake: the fakes.
            of_real: what the critic reads of real images, `(batch, discovered)`.
        """
        if classes is None:
            return losses.label_loss(labels, scores)
        _, of_fakes = self.encoder.read(tf.stop_gradient(fake))
        misread = losses.label_loss(_with(labels, of_real), scores)
        return misread + losses.label_loss(classes, of_fakes[-1:])

    def _follow_encoder(self, unbounded: tf.Tensor) -> None:
        self._follow(
            [self.prior.mean, self.prior.covariance],
            self.prior.moments(tf.stop_gradient(unbounded)),
            1.0 - self.prior.momentum,
        )

    def _centre(self, unbounded: tf.Tensor, labels: tf.Tensor) -> None:
        """Moves the encoder's offsets by what latents of a class still share."""
        count = tf.cast(tf.shape(labels)[0], labels.dtype)
        sums = tf.linalg.matmul(labels, unbounded, transpose_a=True) / count
        shares = tf.reduce_mean(labels, axis=0)[:, tf.newaxis]
        replica = tf.distribute.get_replica_context()
        sums, shares = replica.all_reduce(tf.distribute.ReduceOp.MEAN, [sums, shares])
        shared = tf.math.divide_no_nan(sums, shares)
        shared = tf.where(tf.math.is_finite(shared), shared, 0.0)
        offsets = self.encoder.offsets
        moved = tf.convert_to_tensor(offsets.value) + shared
        averaging.update([offsets.value], [moved], FOLLOWING)

    @staticmethod
    def _follow(
        averages: Sequence[keras.Variable], values: Sequence[tf.Tensor], decay: float
    ) -> None:
        """Moves averages towards the mean of all replicas' values, where finite."""
        replica = tf.distribute.get_replica_context()
        means = replica.all_reduce(tf.distribute.ReduceOp.MEAN, list(values))
        kept = [
            tf.where(tf.math.is_finite(mean), mean, tf.convert_to_tensor(average.value))
            for average, mean in zip(averages, means, strict=True)
        ]
        averaging.update(values_of(averages), kept, decay)

    def _latents(self, count: int, update: int) -> tf.Tensor:
        """Latents of the fakes of one update: `(count, latent_size)`."""
        prior = self.prior
        if isinstance(prior, Posterior):
            prior = prior.gaussian()
        draw = self.step * self.critic_steps + update
        noise = getattr(self.noise, prior.noise)("latents", (prior.size,), draw, count)
        return prior.from_noise(tf.cast(noise, self.generator.variable_dtype))

    def _classes(self, count: int, update: int) -> tf.Tensor | None:
        """Discovered classes of the fakes of one update, one-hot; all as probable."""
        if self.critic.class_fc is None:
            return None
        draw = self.step * self.critic_steps + update
        number = self.critic.class_fc.units
        noise = self.noise.uniform("classes", (), draw, count)
        # Below 1, but its product with many classes may be rounded up.
        drawn = tf.minimum(tf.cast(noise * number, tf.int32), number - 1)
        return tf.one_hot(drawn, number, dtype=self.generator.variable_dtype)

    def _draw(self, latents: tf.Tensor, update: int) -> Drawn:
        """Draws with the selections of this step.

        Args:
            latents: `(count, latent_size)`.
            update: number of the drawing in this step.
        """
        selection = self.selection
        draw = self.step * (self.critic_steps + 1) + update
        stages = selection.stages(self.step, draw, latents.shape[0])
        costed = self.budget is not None and update == self.critic_steps
        traced = selection.terms or costed
        if self.placer is None and not traced:
            return Drawn(self.generator(latents, stages=stages))
        placing_stage = self._placing_stage(latents.shape[0], update)
        if not traced:
            image, placing = self.generator.draw(latents, stages, placing_stage)
            return Drawn(image, placing=placing)
        trace = self.generator.trace(latents, stages, placing_stage)
        terms = selection.terms
        return Drawn(
            trace.image,
            penalty=selection.penalty(trace) if "l1" in terms else None,
            chance=(
                selection.log_probability(trace, stages)
                if "reinforce" in terms
                else None
            ),
            averages=selection.averages(trace, stages),
            placing=trace.placing,
            gates=trace.gates,
        )

    def _placing_stage(self, count: int, update: int) -> PlacingStage | None:
        if self.placer is None:
            return None
        if update == self.critic_steps:
            return self.placer.of_reconstructions(self.step)
        draw = self.step * self.critic_steps + update
        return self.placer.of_fakes(self.step, draw, count)

    def _lead(self, loss: tf.Tensor) -> tf.Tensor:
        """What each image's loss lies above the mean of all others': `(batch,)`.

        The baseline of the score-function gradient: it does not depend on the image's
        own draw, so that the gradient stays unbiased (Williams 1992).
        """
        loss = tf.stop_gradient(loss)
        replica = tf.distribute.get_replica_context()
        count = loss.shape[0] * replica.num_replicas_in_sync
        total = replica.all_reduce(tf.distribute.ReduceOp.SUM, tf.reduce_sum(loss))
        return self.reinforce_weight * (loss - (total - loss) / max(count - 1, 1))

    @staticmethod
    def _mean_weights(weights: tf.Tensor) -> tf.Tensor:
        """Weights of values whose mean over all replicas' images is meant."""
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        return weights / (weights.shape[0] * replicas)

    def _mean(self, values: tf.Tensor) -> tf.Tensor:
        # Optimizers and metrics add up what the replicas return.
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        return tf.reduce_mean(values) / replicas

    def _sum_over_replicas(self, metrics: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        replica = tf.distribute.get_replica_context()
        names = [*self.objective.metrics, "left_out"]
        names += [name for name in OCCASIONAL if name in metrics]
        stacked = tf.stack([metrics[name] for name in names])
        total = replica.all_reduce(tf.distribute.ReduceOp.SUM, stacked)
        return dict(zip(names, tf.unstack(total), strict=True))

    def get_config(self) -> dict[str, Any]:
        """Not supported: a run is restored by `checkpoint`, from its configuration."""
        raise NotImplementedError("Restore a trainer with hcm_tf.runs.checkpoint.")


def _with(*parts: tf.Tensor | None) -> tf.Tensor:
    """Latents with labels behind them, as a conditional generator takes them.

    Args:
        parts: latents, labels, discovered classes; None for what there is not.
    """
    first, *others = (part for part in parts if part is not None)
    if not others:
        return first
    others = [tf.cast(part, first.dtype) for part in others]
    return tf.concat([first, *others], axis=1)


def _chosen(scores: tf.Tensor) -> tf.Tensor:
    """The class of the highest score, one-hot, with the gradient of the softmax.

    Straight-through (Bengio et al. 2013): reconstruction says which class would have
    been better.
    """
    chances = tf.nn.softmax(scores)
    hard = tf.one_hot(tf.argmax(scores, axis=1), scores.shape[1], dtype=scores.dtype)
    return hard + chances - tf.stop_gradient(chances)
