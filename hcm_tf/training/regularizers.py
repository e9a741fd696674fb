"""What the generator's update minimises beside the published losses: each an option.

A regulariser looks at what was drawn, of fakes or of reconstructions. The trainer sums
them and knows none by name.
"""

import types
from collections.abc import Mapping
from typing import NamedTuple

import keras
import tensorflow as tf

from hcm_tf import losses
from hcm_tf.networks import Generator
from hcm_tf.training import replicas
from hcm_tf.training.budget import Budget
from hcm_tf.training.drawing import Drawn
from hcm_tf.training.placing import Placer
from hcm_tf.training.usage import Usage


class Reconstructed(NamedTuple):
    """What a step drew of the encoder's latents.

    Attributes:
        images: what was encoded, `(batch, size, size, channels)`.
        latents: with labels behind them, `(batch, latent_size + classes)`.
        drawn: from these.
        errors: weighted losses of reconstruction, `(batch,)`.
        step: int64, completed training steps.
    """

    images: tf.Tensor
    latents: tf.Tensor
    drawn: Drawn
    errors: tf.Tensor
    step: tf.Tensor


class AskedOfFakes(NamedTuple):
    """What is asked of fakes.

    Attributes:
        output: of theirs.
        gradient: of the loss by the output, of this replica's share.
        loss: this replica's share of the mean; 0 where only the gradient is meant.
    """

    output: tf.Tensor
    gradient: tf.Tensor
    loss: tf.Tensor | float = 0.0


class Asked(NamedTuple):
    """What is asked of reconstructions.

    Attributes:
        loss: this replica's share of the mean over all images.
        metrics: shares, too.
        seen: what `follow` is told.
    """

    loss: tf.Tensor
    metrics: Mapping[str, tf.Tensor] = types.MappingProxyType({})
    seen: tf.Tensor | None = None


class Regularizer:
    """One of them; asks nothing and keeps nothing unless a subclass does."""

    def of_fakes(self, drawn: Drawn, loss: tf.Tensor) -> AskedOfFakes | None:
        """Asked of fakes; None: nothing.

        Args:
            drawn: the fakes.
            loss: of each by the critic, `(batch,)`.
        """

    def of_reconstructions(self, made: Reconstructed) -> Asked | None:
        """Asked of reconstructions; None: nothing."""

    def follow(self, seen: tf.Tensor | None) -> None:
        """Moves what is kept, after the update.

        Args:
            seen: of what was asked in this step. It is not kept here between: all
                replicas have this one object.
        """

    def saved(self) -> dict[str, tf.Module]:
        """What a checkpoint must hold of it, by name."""
        return {}


class Orthogonality(Regularizer):
    """Keeps filters of the generator from being alike (Brock et al. 2019).

    Args:
        generator: whose kernels are meant.
        weight: of `losses.orthogonality`.
    """

    def __init__(self, generator: Generator, weight: float) -> None:
        self.generator = generator
        self.weight = weight

    def of_reconstructions(self, made: Reconstructed) -> Asked:
        kernels = [v for v in self.generator.trainable_variables if v.ndim > 1]
        alike = losses.orthogonality([tf.convert_to_tensor(k) for k in kernels])
        return Asked(self.weight * replicas.mean(alike))


class Placed(Regularizer):
    """Keeps parts at home, and few (`Placer.loss`); logs where they are.

    Args:
        placer: of the run.
    """

    def __init__(self, placer: Placer) -> None:
        self.placer = placer

    def of_reconstructions(self, made: Reconstructed) -> Asked:
        placing = made.drawn.placing
        if made.drawn.shifts is not None:
            # Where the parts are is asked about, not where they were shifted to.
            cells = tf.cast(made.drawn.shifts, tf.float32) / self.placer.cell
            position = placing.position - cells[:, tf.newaxis]
            placing = placing._replace(position=position)
        metrics = {
            "displacement": replicas.mean(tf.abs(placing.position)),
            "presence": replicas.mean(placing.presence),
        }
        return Asked(replicas.mean(self.placer.loss(placing, made.step)), metrics)


class Behind(Regularizer):
    """Asks of the background alone that it is as much of an image as it can be.

    What parts always hide has no other gradient: a background may turn into anything
    there, and be seen as soon as a part is taken away or goes elsewhere. The mean
    absolute difference, since that is least at the value of most pixels: objects are
    few, and shall not be drawn.

    Args:
        generator: of placed parts in front of a background.
        weight: of that.
    """

    def __init__(self, generator: Generator, weight: float) -> None:
        self.generator = generator
        self.weight = weight

    def of_reconstructions(self, made: Reconstructed) -> Asked:
        stages = made.drawn.stages
        alone = self.generator.draw_background(made.latents, stages)
        alone = tf.cast(alone, tf.float32)
        away = replicas.mean(
            tf.reduce_mean(tf.abs(alone - made.images), axis=(1, 2, 3))
        )
        return Asked(self.weight * away, {"background_error": away})


class Budgeted(Regularizer):
    """Keeps gated blocks to their budget (`Budget.loss`); logs what they draw.

    Args:
        budget: of the run.
    """

    def __init__(self, budget: Budget) -> None:
        self.budget = budget

    def of_reconstructions(self, made: Reconstructed) -> Asked:
        gates = made.drawn.gates
        metrics = {"tiles_drawn": replicas.mean(self.budget.drawn(gates))}
        return Asked(replicas.mean(self.budget.loss(gates, made.step)), metrics)


class Absolute(Regularizer):
    """The rule l1's: the mean absolute code, of all that is drawn.

    Args:
        weight: of `Selection.penalty`.
    """

    def __init__(self, weight: float) -> None:
        self.weight = weight

    def of_fakes(self, drawn: Drawn, loss: tf.Tensor) -> AskedOfFakes:
        weights = tf.fill(tf.shape(drawn.penalty), self.weight)
        asked = self.weight * replicas.mean(drawn.penalty)
        return AskedOfFakes(drawn.penalty, replicas.mean_weights(weights), asked)

    def of_reconstructions(self, made: Reconstructed) -> Asked:
        return Asked(self.weight * replicas.mean(made.drawn.penalty))


class ScoreFunction(Regularizer):
    """The rule reinforce's: the gradient of the expected loss by the chances drawn.

    Each image's chances are weighed by its own loss. Where a critic's statistic of a
    group, a threshold or a normaliser of the batch makes losses depend on other images
    too, that part of the gradient is left out.

    Args:
        weight: at 1 the gradient is unbiased, but for that.
    """

    def __init__(self, weight: float) -> None:
        self.weight = weight

    def of_fakes(self, drawn: Drawn, loss: tf.Tensor) -> AskedOfFakes:
        lead = self.weight * replicas.lead(loss)
        return AskedOfFakes(drawn.chance, replicas.mean_weights(lead))

    def of_reconstructions(self, made: Reconstructed) -> Asked:
        chance = made.drawn.chance
        lead = self.weight * replicas.lead(made.errors)
        # Worth 0 itself: only its gradient is meant.
        return Asked(replicas.mean(lead * (chance - tf.stop_gradient(chance))))


class Revival(Regularizer):
    """Pulls idle attributes to selection (`Usage.shortfall`).

    Args:
        generator: whose attributes.
        weight: of the shortfall.
    """

    def __init__(self, generator: Generator, weight: float) -> None:
        self.generator = generator
        self.weight = weight
        attributes = generator.levels[0]
        # The background's are always active.
        *grid, count = attributes.shape
        count -= generator.background_attributes
        # Without a k to reach, it is enough to be positive.
        k = attributes.k if attributes.sized else count
        self.usage = Usage((*grid, count), k)

    def of_reconstructions(self, made: Reconstructed) -> Asked:
        # The latents are the encoder's to choose, by what they draw.
        preferences = self.generator.preferences(tf.stop_gradient(made.latents))
        own = self.generator.background_attributes
        preferences = tf.cast(preferences[..., own:], tf.float32)
        lacking = replicas.mean(self.usage.shortfall(preferences))
        return Asked(self.weight * lacking, seen=self.usage.active(preferences))

    def follow(self, seen: tf.Tensor | None) -> None:
        replicas.follow([self.usage.share], [seen], self.usage.decay)

    def saved(self) -> dict[str, keras.layers.Layer]:
        return {"usage": self.usage}
