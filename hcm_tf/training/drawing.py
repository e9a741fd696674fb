"""What a training step draws: latents, classes, and images by the step's selections."""

from collections.abc import Sequence
from typing import NamedTuple

import keras
import tensorflow as tf

from hcm_tf.networks import Generator
from hcm_tf.networks.blocks import BlockGates
from hcm_tf.operations.placing import Placing, PlacingStage
from hcm_tf.prior import Posterior, Uniform
from hcm_tf.sparsity.rules import Stage
from hcm_tf.training.noise import Noise
from hcm_tf.training.placing import Placer
from hcm_tf.training.selection import Selection


class Batch(NamedTuple):
    """What a step is about, of this replica's share.

    Attributes:
        real: images to train on, `(batch, height, width, channels)` in [-1, 1].
        labels: theirs, one-hot, `(batch, classes of all labels)`; None without.
        classes: discovered ones of the fakes, `(batch, discovered)`; None without.
    """

    real: tf.Tensor
    labels: tf.Tensor | None
    classes: tf.Tensor | None


class Drawn(NamedTuple):
    """What the generator drew in training.

    Attributes:
        images: `(batch, height, width, channels)`.
        penalty: `Selection.penalty`, `(batch,)`; None without the rule l1.
        chance: `Selection.log_probability`, `(batch,)`; None without reinforce.
        averages: as of `Selection.averages`.
        placing: where the parts are; None on the grid.
        shifts: of `Placer.shifts`, of reconstructions; None: they are not shifted.
        gates: of all blocks; None where nothing was recorded.
        stages: by which it was drawn, as of `Selection.stages`.
    """

    images: tf.Tensor
    penalty: tf.Tensor | None = None
    chance: tf.Tensor | None = None
    averages: Sequence[tuple[keras.Variable, tf.Tensor]] = ()
    placing: Placing | None = None
    shifts: tf.Tensor | None = None
    gates: tuple[BlockGates, ...] | None = None
    stages: tuple[Stage, ...] | None = None


class Drawer:
    """Draws for a training step; the same step always draws the same.

    A step draws fakes for each critic update, `update` 0 to `critic_steps` - 1, and
    then the reconstructions: `update` is `critic_steps`.

    Args:
        generator: draws images from latents.
        noise: of latents and classes.
        prior: what latents are drawn from.
        selection: what the rules of selection are told.
        placer: how parts are placed; None: on the grid.
        recorded: whether gates of reconstructions are asked for.
        critic_steps: critic updates for each generator update.
        classes: how many are to be discovered; 0: none are drawn.
    """

    def __init__(
        self,
        generator: Generator,
        noise: Noise,
        prior: Uniform | Posterior,
        *,
        selection: Selection | None = None,
        placer: Placer | None = None,
        recorded: bool = False,
        critic_steps: int = 1,
        classes: int = 0,
    ) -> None:
        self.generator = generator
        self.noise = noise
        self.prior = prior
        self.selection = selection or Selection(generator, noise, group=1)
        self.placer = placer
        self.recorded = recorded
        self.critic_steps = critic_steps
        self.discovered = classes

    def latents(self, step: tf.Tensor, update: int, count: int) -> tf.Tensor:
        """Latents of the fakes of one update: `(count, latent_size)`.

        Args:
            step: int64, completed training steps.
            update: number of the drawing in this step.
            count: images of this replica's share.
        """
        prior = self.prior
        if isinstance(prior, Posterior):
            prior = prior.gaussian()
        draw = step * self.critic_steps + update
        noise = getattr(self.noise, prior.noise)("latents", (prior.size,), draw, count)
        return prior.from_noise(tf.cast(noise, self.generator.variable_dtype))

    def classes(self, step: tf.Tensor, update: int, count: int) -> tf.Tensor | None:
        """Discovered classes of the fakes of one update, one-hot; all as probable.

        Args:
            step, update, count: as of `latents`.
        """
        if not self.discovered:
            return None
        draw = step * self.critic_steps + update
        noise = self.noise.uniform("classes", (), draw, count)
        # Below 1, but its product with many classes may be rounded up.
        classes = self.discovered
        drawn = tf.minimum(tf.cast(noise * classes, tf.int32), classes - 1)
        return tf.one_hot(drawn, classes, dtype=self.generator.variable_dtype)

    def images(self, latents: tf.Tensor, step: tf.Tensor, update: int) -> Drawn:
        """Draws with the selections of this step.

        Args:
            latents: `(count, latent_size)`, with labels and classes behind them.
            step: int64, completed training steps.
            update: number of the drawing in this step.
        """
        selection, count = self.selection, latents.shape[0]
        draw = step * (self.critic_steps + 1) + update
        stages = selection.stages(step, draw, count)
        recorded = self.recorded and update == self.critic_steps
        traced = recorded or bool(selection.terms)
        if self.placer is None and not traced:
            return Drawn(self.generator(latents, stages=stages), stages=stages)
        placing_stage, shifts = self._placing_stage(step, update, count)
        if not traced:
            image, placing = self.generator.draw(latents, stages, placing_stage)
            return Drawn(image, placing=placing, shifts=shifts, stages=stages)
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
            shifts=shifts,
            gates=trace.gates,
            stages=stages,
        )

    def _placing_stage(
        self, step: tf.Tensor, update: int, count: int
    ) -> tuple[PlacingStage | None, tf.Tensor | None]:
        if self.placer is None:
            return None, None
        if update == self.critic_steps:
            shifts = self.placer.shifts(step, count)
            return self.placer.of_reconstructions(step, count, shifts), shifts
        draw = step * self.critic_steps + update
        return self.placer.of_fakes(step, draw, count), None


def beside(*parts: tf.Tensor | None) -> tf.Tensor:
    """Latents with labels behind them, as a conditional generator takes them.

    Args:
        parts: latents, labels, discovered classes, each `(batch, n)`; None for what
            there is not.
    """
    first, *others = (part for part in parts if part is not None)
    if not others:
        return first
    others = [tf.cast(part, first.dtype) for part in others]
    return tf.concat([first, *others], axis=1)
