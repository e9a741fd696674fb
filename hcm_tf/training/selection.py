"""What training tells the rules of selection and normalisers, and what they ask."""

import math
from collections.abc import Sequence

import keras
import tensorflow as tf

from hcm_tf.layers.normalization import LARGEST_RADIUS
from hcm_tf.networks import Generator, Trace
from hcm_tf.sparsity import rules
from hcm_tf.sparsity.rules import RULES, Stage
from hcm_tf.training import averaging, replicas
from hcm_tf.training.noise import Noise

FOLLOWING = 0.99  # Decay of what is averaged for sampling, per step.


class Selection:
    """The rules of a generator's levels, in training.

    Args:
        generator: whose levels they select at.
        noise: of rules that draw.
        group: images that compete together in batch_top_k.
        leak_steps: steps over which what is left out fades; 0: nothing of it stays.
        anneal_steps: steps over which rules begin mildly; 0: they do not.
        heat: factor on the temperature at the beginning.
        normalizer_steps: steps over which normalisers settle for one statistic; 0:
            they do not.
    """

    def __init__(
        self,
        generator: Generator,
        noise: Noise,
        *,
        group: int,
        leak_steps: int = 0,
        anneal_steps: int = 0,
        heat: float = 1.0,
        normalizer_steps: int = 0,
    ) -> None:
        self.generator = generator
        self.noise = noise
        self.group = group
        self.leak_steps = leak_steps
        self.anneal_steps = anneal_steps
        self.heat = heat
        self.normalizer_steps = normalizer_steps
        self.levels = generator.levels
        self.rules = [RULES[level.rule] for level in self.levels]
        terms = {rule.term for rule in self.rules}
        self.terms = terms - {""}
        if generator.normalizers:
            self.terms.add("squares")
        self.noisy = any(rule.noisy for rule in self.rules)

    def leak(self, step: tf.Tensor) -> tf.Tensor | None:
        """Share that unselected activations keep: from 1 to 0 over `leak_steps`."""
        if not self.leak_steps:
            return None
        return tf.maximum(1.0 - tf.cast(step, tf.float32) / self.leak_steps, 0.0)

    def radius(self, step: tf.Tensor) -> tf.Tensor:
        """That of the shares of the normalisers' statistics: from 0 to one of 1."""
        if not self.normalizer_steps:
            return tf.constant(0.0)
        done = tf.cast(step, tf.float32) / self.normalizer_steps
        return LARGEST_RADIUS * tf.minimum(done, 1.0)

    def stages(
        self, step: tf.Tensor, draw: tf.Tensor, count: int
    ) -> tuple[Stage, ...] | None:
        """What each level's rule must know; None where they are as when sampling.

        Args:
            step: int64, completed training steps.
            draw: int64, counts what the generator draws since the start of training.
            count: images that it draws.
        """
        grouped = bool(self.terms & {"threshold", "squares"})
        if not (self.leak_steps or self.anneal_steps or self.noisy or grouped):
            return None
        progress = heat = None
        if self.anneal_steps:
            done = tf.cast(step, tf.float32) / self.anneal_steps
            progress = tf.minimum(done, 1.0)
            heat = tf.pow(self.heat, 1.0 - progress)
        noise = self._noise(draw, count)
        radius = self.radius(step) if "squares" in self.terms else None
        return tuple(
            Stage(
                leak=self.leak(step),
                progress=progress,
                heat=heat,
                noise=noise[index],
                group=self.group if grouped else None,
                radius=radius,
            )
            for index in range(len(self.levels))
        )

    def penalty(self, trace: Trace) -> tf.Tensor:
        """The mean absolute code, summed over the levels with rule l1: `(batch,)`."""
        codes = self._of("l1", trace.codes)
        return tf.add_n(
            [tf.reduce_mean(tf.abs(tf.cast(c, tf.float32)), (1, 2, 3)) for c in codes]
        )

    def log_probability(self, trace: Trace, stages: Sequence[Stage]) -> tf.Tensor:
        """Logarithm of the chance of what the rule reinforce drew: `(batch,)`.

        A level that keeps everything draws nothing: an order of all would be noise.
        """
        competitions = [
            layer.competition(response, stage)
            for layer, response, stage in zip(
                self._of("reinforce", self.generator.selections),
                self._of("reinforce", trace.responses),
                self._of("reinforce", stages),
                strict=True,
            )
        ]
        found = [
            # Zeros that know where they come from: there may be no other level.
            rules.log_probability(one) if one.k < one.count else 0 * one.x
            for one in competitions
        ]
        return tf.add_n(
            [
                tf.reduce_sum(
                    tf.reshape(tf.cast(chance, tf.float32), (chance.shape[0], -1)), 1
                )
                for chance in found
            ]
        )

    def averages(
        self, trace: Trace, stages: Sequence[Stage]
    ) -> list[tuple[keras.Variable, tf.Tensor]]:
        """What sampling needs of a batch: variables that follow it, and its values.

        The thresholds of batch_top_k, each the mean over the groups, and the mean
        squares of the normalisers.
        """
        found = [
            (norm.mean_square, square)
            for norm, square in zip(
                self.generator.normalizers, trace.squares, strict=True
            )
        ]
        if "threshold" not in self.terms:
            return found
        for layer, response, stage in zip(
            self._of("threshold", self.generator.selections),
            self._of("threshold", trace.responses),
            self._of("threshold", stages),
            strict=True,
        ):
            values = rules.group_threshold(layer.competition(response, stage))
            mean = tf.reshape(tf.reduce_mean(values, axis=0), layer.threshold.shape)
            found.append((layer.threshold, tf.cast(mean, tf.float32)))
        return found

    def follow(
        self, found: Sequence[tuple[keras.Variable, tf.Tensor]], radius: tf.Tensor
    ) -> None:
        """Moves what sampling needs, after an update.

        Args:
            found: of `averages`.
            radius: of the step that was taken.
        """
        for variable, value in found:
            replicas.follow([variable], [value], FOLLOWING)
        for norm in self.generator.normalizers:
            averaging.update([norm.shares.value], [norm.share(radius)], decay=0.0)

    def _of(self, term: str, values: Sequence) -> list:
        """Those of the levels whose rule has a term."""
        return [
            value
            for value, rule in zip(values, self.rules, strict=True)
            if rule.term == term
        ]

    def _noise(self, draw: tf.Tensor, count: int) -> list[tf.Tensor | None]:
        sizes = [
            math.prod(level.shape) if rule.noisy else 0
            for level, rule in zip(self.levels, self.rules, strict=True)
        ]
        if not any(sizes):
            return [None] * len(sizes)
        # One stream for all levels, so that none repeats another's numbers.
        parts = tf.split(
            self.noise.uniform("selection", (sum(sizes),), draw, count), sizes, axis=1
        )
        return [
            tf.reshape(part, (count, *level.shape)) if size else None
            for part, level, size in zip(parts, self.levels, sizes, strict=True)
        ]
