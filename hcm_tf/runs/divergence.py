"""Training that has diverged: found before anything of it is kept."""

import math
from collections.abc import Mapping

import tensorflow as tf

from hcm_tf.errors import UserError

IN_A_ROW = 5  # Steps left out one after another that are no accident.


class Diverged(UserError):
    """Numbers are not finite; the checkpoints are."""


class Guard:
    """Refuses numbers that are not finite.

    A single step whose gradients are not finite is left out (`Trainer`); IN_A_ROW of
    them are divergence.

    Args:
        objects: networks and optimizers that a checkpoint holds, by name.
        good: step of the last checkpoint; whoever saves another says so here.
        learning_rate: of the optimizers, to be named.
    """

    def __init__(
        self,
        objects: Mapping[str, tf.Module],
        good: int,
        learning_rate: float,
    ) -> None:
        self.good = good
        self.learning_rate = learning_rate
        self.left_out = 0
        self.values = {
            name: [
                variable.value if hasattr(variable, "path") else variable
                for variable in holder.variables
                if tf.as_dtype(variable.dtype).is_floating
            ]
            for name, holder in objects.items()
        }
        self._are_finite = tf.function(self._reduce, autograph=False)

    def count(self, step: int, left_out: bool) -> None:
        """Takes note of whether a step was left out.

        Raises:
            Diverged: it is one too many.
        """
        self.left_out = self.left_out + 1 if left_out else 0
        if self.left_out == IN_A_ROW:
            raise self._diverged(
                step, f"the gradients of {IN_A_ROW} steps in a row are not finite"
            )

    def check_metrics(self, step: int, metrics: Mapping[str, float]) -> None:
        """Checks what a step has measured.

        Raises:
            Diverged: a value is not finite.
        """
        for name, value in metrics.items():
            if not math.isfinite(value):
                raise self._diverged(step, f"{name} is {value}")

    def check_weights(self, step: int) -> None:
        """Checks all variables, networks before optimizers, in one pass.

        Raises:
            Diverged: a value is not finite.
        """
        finite = self._are_finite().numpy()
        for name, is_finite in zip(self.values, finite, strict=True):
            if not is_finite:
                raise self._diverged(step, f"weights of {name} are not finite")

    def _reduce(self) -> tf.Tensor:
        return tf.stack(
            [
                tf.reduce_all([tf.reduce_all(tf.math.is_finite(v)) for v in values])
                for values in self.values.values()
            ]
        )

    def _diverged(self, step: int, what: str) -> Diverged:
        return Diverged(
            f"training has diverged: at step {step}, {what}. The last good checkpoint "
            f"is that of step {self.good}: start the same command with a "
            f"--learning_rate below {self.learning_rate:g} to go on from it, or in "
            "another --workdir to begin anew."
        )
