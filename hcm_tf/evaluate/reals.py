"""Which real images samples are compared with, and which make the floor."""

import dataclasses
from collections.abc import Iterator

import numpy as np

from hcm_tf.config import DataConfig, ModelConfig
from hcm_tf.data import faces, load
from hcm_tf.data.image_set import ImageSet
from hcm_tf.errors import UserError
from hcm_tf.evaluate.gather import BATCH, drawn_faces, in_batches

# The data set `avatars` ends at 10,000; the parts classifier learned from faces of the
# first and was calibrated on faces of the second million. Nothing has seen these.
FRESH_FACES = 3_000_000
# Halves of fewer images have no fifth neighbour (see `metrics.bootstrap`).
LEAST = 12


@dataclasses.dataclass(frozen=True)
class Reals:
    """Real images of one data set, divided.

    Attributes:
        training: all that the generator may have seen.
        held_out: what it has not.
        fresh: whether faces that nothing has seen can be drawn, as many as wanted.
        order: the training images in random order, by number.
        count: of samples, of reference images and of the floor's images.
        rule: one sentence: what is compared with what.
    """

    training: ImageSet
    held_out: ImageSet
    fresh: bool
    order: np.ndarray
    count: int
    rule: str

    def reference(self, batch: int = BATCH) -> Iterator[np.ndarray]:
        """`count` training images, uint8, in batches."""
        for chosen in in_batches(self.order[: self.count], batch):
            yield self.training.images[chosen]

    def floor(self, batch: int = BATCH) -> Iterator[np.ndarray]:
        """`count` other real images, uint8, in batches."""
        if self.fresh:
            fresh = range(FRESH_FACES, FRESH_FACES + self.count)
            for images, _ in drawn_faces(fresh, batch):
                yield images
            return
        for chosen in in_batches(self.order[self.count : 2 * self.count], batch):
            yield self.training.images[chosen]


def read(data: DataConfig, model: ModelConfig, count: int, seed: int) -> Reals:
    """Reads and divides the images that a configuration names.

    Args:
        data: the source.
        model: gives the size and the channels.
        count: of samples; fewer are compared where there are fewer real images.
        seed: of the division.

    Raises:
        UserError: `count` is below 12, there are too few images, or the source cannot
            be read.
    """
    if count < LEAST:
        raise UserError(
            f"--count must be at least {LEAST}, or distances have no interval. "
            f"Received: {count}"
        )
    training, held_out = load(data, model.image_size, model.image_channels)
    fresh = is_fresh(data, model)
    order = np.random.default_rng((seed, 17)).permutation(len(training))
    most = len(training) if fresh else len(training) // 2
    if most < LEAST:
        raise UserError(
            f"{data.dataset} has {len(training)} training images, and an evaluation "
            f"needs {2 * LEAST}: add images."
        )
    count = min(count, most)
    if fresh:
        rule = (
            f"{count} training images are the reference; the floor is that of {count} "
            "faces drawn anew, which nothing has seen"
        )
    else:
        rule = (
            f"{count} training images are the reference; the floor is that of {count} "
            "other training images"
        )
    return Reals(training, held_out, fresh, order, count, rule)


def is_fresh(data: DataConfig, model: ModelConfig) -> bool:
    """Whether the images are avatars as they are drawn."""
    size = model.image_size, model.image_channels
    return data.dataset == "avatars" and size == (faces.SIZE, 3)
