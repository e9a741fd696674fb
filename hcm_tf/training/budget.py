"""A budget for gated blocks: how much of their convolutions shall be computed."""

from collections.abc import Sequence

import tensorflow as tf

from hcm_tf.networks import Generator
from hcm_tf.networks.blocks import BlockGates
from hcm_tf.networks.multiply_adds import skippable
from hcm_tf.training import replicas

# Of all steps: the budget counts from here on, and in full so much later (Li et al.
# 2020: at 40 % of training, over 2 %).
START = 0.4
WARM_UP = 0.02


class Budget:
    """What the tiles of gated blocks cost, beside what they shall (Li et al. 2020).

    The cost of an image is the multiply-adds of its tiles' convolutions, each times its
    gate, over those of all tiles: linear in the gates, so that every open tile has a
    gradient. Where training begins it is tanh(1.5), 0.905.

    Args:
        generator: with gated blocks.
        target: what the mean cost of the images of all replicas shall be: an image may
            cost more, or less.
        weight: of the squared difference to that.
        steps: of all training.
    """

    def __init__(
        self, generator: Generator, *, target: float, weight: float, steps: int
    ) -> None:
        macs = skippable(generator)
        self.shares = [each / sum(macs) for each in macs]
        self.target = target
        self.weight = weight
        self.steps = steps

    def costs(self, gates: Sequence[BlockGates]) -> tf.Tensor:
        """The cost of each image, from 0 to 1: `(batch,)`.

        Args:
            gates: of all blocks, from `Generator.trace`.
        """
        return tf.add_n(
            [
                share * tf.reduce_mean(tiles, axis=(1, 2, 3))
                for share, tiles in zip(self.shares, _tiles(gates), strict=True)
            ]
        )

    def drawn(self, gates: Sequence[BlockGates]) -> tf.Tensor:
        """The share of those multiply-adds that is done, of each image: `(batch,)`."""
        return tf.add_n(
            [
                share * tf.reduce_mean(tf.cast(tiles > 0, tiles.dtype), axis=(1, 2, 3))
                for share, tiles in zip(self.shares, _tiles(gates), strict=True)
            ]
        )

    def ramp(self, step: tf.Tensor) -> tf.Tensor:
        """From 0, until training has got to START, to 1, WARM_UP of it later.

        Args:
            step: int64, completed training steps.
        """
        done = tf.cast(step, tf.float32) / self.steps
        return tf.clip_by_value((done - START) / WARM_UP, 0.0, 1.0)

    def loss(self, gates: Sequence[BlockGates], step: tf.Tensor) -> tf.Tensor:
        """w (mean cost - target)^2, as each image's share of it: `(batch,)`.

        Args:
            gates: of reconstructions, see `costs`.
            step: int64, completed training steps.
        """
        share = replicas.squared_excess(self.costs(gates), self.target)
        return self.ramp(step) * self.weight * share


def _tiles(gates: Sequence[BlockGates]) -> list[tf.Tensor]:
    return [block.tiles for block in gates if block.tiles is not None]
