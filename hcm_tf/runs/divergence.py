"""Training that has diverged: found before anything of it is kept."""

import math
from collections.abc import Mapping

import tensorflow as tf

from hcm_tf.errors import UserError


class Guard:
    """Refuses numbers that are not finite.

    Args:
        objects: networks and optimizers that a checkpoint holds, by name.
        manager: of those checkpoints.
        learning_rate: of the optimizers, to be named.
    """

    def __init__(
        self,
        objects: Mapping[str, tf.Module],
        manager: tf.train.CheckpointManager,
        learning_rate: float,
    ) -> None:
        self.manager = manager
        self.learning_rate = learning_rate
        self.values = {
            name: [
                variable.value if hasattr(variable, "path") else variable
                for variable in holder.variables
                if tf.as_dtype(variable.dtype).is_floating
            ]
            for name, holder in objects.items()
        }
        self._are_finite = tf.function(self._reduce, autograph=False)

    def check_metrics(self, step: int, metrics: Mapping[str, float]) -> None:
        """Checks what a step has measured.

        Raises:
            UserError: a value is not finite.
        """
        for name, value in metrics.items():
            if not math.isfinite(value):
                raise self._diverged(step, f"{name} is {value}")

    def check_weights(self, step: int) -> None:
        """Checks all variables, networks before optimizers, in one pass.

        Raises:
            UserError: a value is not finite.
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

    def _diverged(self, step: int, what: str) -> UserError:
        good = self.manager.latest_checkpoint.rsplit("-", 1)[1]
        return UserError(
            f"training has diverged: at step {step}, {what}. The last good checkpoint "
            f"is that of step {good}: start the same command with a --learning_rate "
            f"below {self.learning_rate:g} to go on from it, or in another --workdir "
            "to begin anew."
        )
