"""What the critic is for: its own loss, and the generator's by it."""

import functools
from collections.abc import Sequence

import tensorflow as tf

from hcm_tf import losses
from hcm_tf.losses import Objective, Term
from hcm_tf.networks import Critic
from hcm_tf.training import augmentation, replicas
from hcm_tf.training.drawing import Batch, Drawer
from hcm_tf.training.gradients import Gradients


class Judge:
    """The adversarial losses of one step's images.

    Args:
        critic: scores images.
        objective: what is made of scores.
        drawer: whose noise mixes and changes images.
        information_weight: as of `Trainer`.
        augment: as of `Trainer`.
    """

    def __init__(
        self,
        critic: Critic,
        objective: Objective,
        drawer: Drawer,
        *,
        information_weight: float = 0.0,
        augment: Sequence[str] = (),
    ) -> None:
        self.critic = critic
        self.objective = objective
        self.drawer = drawer
        self.information_weight = information_weight
        self.augment = tuple(augment)

    def of_critic(
        self, batch: Batch, fake: tf.Tensor, step: tf.Tensor, update: int
    ) -> tuple[list[tf.Tensor], dict[str, tf.Tensor]]:
        """The gradients of the critic's loss by its weights; `critic_loss`, metrics.

        Args:
            batch: of this replica.
            fake: images drawn from latents, as many.
            step: int64, completed training steps.
            update: number of the drawing in this step.
        """
        draw = step * self.drawer.critic_steps + update
        noise = self.drawer.noise
        epsilon = noise.uniform("mixing", (1, 1, 1), draw, fake.shape[0])
        real, fake = self._augmented(batch.real, fake, step, update)
        images = {
            "real": real,
            "fake": fake,
            "mixed": losses.mix(real, fake, tf.cast(epsilon, real.dtype)),
        }
        variables = self.critic.trainable_variables
        gradients, metrics, total = Gradients(), {}, 0.0
        for term in self.objective.critic:

            def compute(term: Term = term) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
                scored = [
                    self._score(images[name], batch.labels, term) for name in term.at
                ]
                loss, values = term.loss(*scored)
                shares = {name: replicas.mean(value) for name, value in values.items()}
                return replicas.mean(loss), shares

            loss, values = gradients.add(
                variables, compute, due=_due(term, step), metrics=term.metrics
            )
            metrics |= values
            total += loss
        if batch.classes is not None:

            def read() -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
                scores = self.critic.read(images["fake"])
                misread = replicas.mean(losses.label_loss(batch.classes, [scores]))
                information = replicas.mean(tf.math.log([float(scores.shape[1])]))
                values = {"information": information - misread}
                return self.information_weight * misread, values

            loss, values = gradients.add(variables, read)
            metrics |= values
            total += loss
        return gradients.of(variables), {**metrics, "critic_loss": total}

    def of_generator(
        self, batch: Batch, fake: tf.Tensor, step: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor | None]:
        """The generator's loss by the critic, and what that reads of real images.

        Args:
            batch, fake, step: as of `of_critic`.

        Returns:
            `(batch,)`; the chances of discovered classes, `(batch, discovered)`, or
            None.
        """
        last = self.drawer.critic_steps
        real, fake = self._augmented(batch.real, fake, step, last)
        if batch.classes is None:
            critic = functools.partial(self.critic, labels=batch.labels)
            compared = (critic(real),) if self.objective.pairs else ()
            return self.objective.generator(critic(fake), *compared), None
        scores, read = self.critic.judge(fake, batch.labels)
        real_scores, of_real = self.critic.judge(real, batch.labels)
        compared = (real_scores,) if self.objective.pairs else ()
        loss = self.objective.generator(scores, *compared)
        loss += self.information_weight * losses.label_loss(batch.classes, [read])
        return loss, tf.nn.softmax(of_real)

    def _augmented(
        self, real: tf.Tensor, fake: tf.Tensor, step: tf.Tensor, update: int
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Both as the critic sees them in its updates, and in the generator's last."""
        if not self.augment:
            return real, fake
        draw = step * (self.drawer.critic_steps + 1) + update
        shape = (2, augmentation.NUMBERS)
        numbers = self.drawer.noise.uniform("augmentation", shape, draw, real.shape[0])
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


def _due(term: Term, step: tf.Tensor) -> tf.Tensor | None:
    """Whether a term counts in the step after so many; None: in each."""
    if term.interval == 1:
        return None
    return tf.equal((step + 1) % term.interval, 0)
