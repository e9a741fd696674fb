"""Labelled images to train a classifier on, and others to calibrate it with."""

import dataclasses

import numpy as np
import tqdm

from hcm_tf.config import DataConfig
from hcm_tf.data import face_stream, faces, load
from hcm_tf.data.image_set import ImageSet
from hcm_tf.errors import UserError

# The data set `avatars` is made of the faces from 0 to 9,999. These are others, so that
# whatever trains on it, and is held out of that, is new to the classifier.
TRAIN_FACES = 1_000_000
HELD_OUT_FACES = 2_000_000
HELD_OUT = 4_000


@dataclasses.dataclass(frozen=True)
class Labelled:
    """What a classifier is made of.

    Attributes:
        train: images that it learns from.
        held_out: images that it does not.
        where: one sentence: which images these are.
    """

    train: ImageSet
    held_out: ImageSet
    where: str


def avatars(count: int) -> Labelled:
    """Faces that the data set `avatars` does not have, with their labels."""
    return Labelled(
        train=drawn_faces(range(TRAIN_FACES, TRAIN_FACES + count)),
        held_out=drawn_faces(range(HELD_OUT_FACES, HELD_OUT_FACES + HELD_OUT)),
        where=(
            f"faces {TRAIN_FACES} to {TRAIN_FACES + count - 1} train, faces "
            f"{HELD_OUT_FACES} to {HELD_OUT_FACES + HELD_OUT - 1} are held out"
        ),
    )


def drawn_faces(indices: range) -> ImageSet:
    """Draws faces by number, with the label of every slot."""
    images = np.empty((len(indices), faces.SIZE, faces.SIZE, 3), np.uint8)
    labels = np.empty((len(indices), len(faces.SLOTS)), np.int64)
    records = tqdm.tqdm(
        face_stream.stream(indices),
        desc="Drawing faces",
        total=len(indices),
        disable=None,  # Only on a terminal.
    )
    for place, record in enumerate(records):
        images[place], labels[place] = record["image"], record["labels"]
    return ImageSet(
        images=images,
        labels={slot: labels[:, column] for column, slot in enumerate(faces.SLOTS)},
        label_names={slot: list(names) for slot, names in faces.SLOTS.items()},
        name="avatars",
    )


def data_set(config: DataConfig, side: int, channels: int) -> Labelled:
    """The images of a configuration; those that training holds out are held out here.

    Raises:
        UserError: the images have no labels, or cannot be read.
    """
    train, held_out = load(config, side, channels)
    # TensorFlow Datasets gives -1 where a split keeps its labels secret.
    usable = [
        kind
        for kind, names in train.label_names.items()
        if len(names) > 1
        and min(images.labels[kind].min() for images in (train, held_out)) >= 0
    ]
    if not usable:
        raise UserError(
            f"{config.dataset} has no labels, so there is nothing to learn: use the "
            "features named random."
        )
    return Labelled(
        train=_with_labels(train, usable),
        held_out=_with_labels(held_out, usable),
        where=(
            f"{len(train)} training images of {config.dataset}, and {len(held_out)} "
            "held out"
        ),
    )


def _with_labels(images: ImageSet, kinds: list[str]) -> ImageSet:
    return dataclasses.replace(
        images,
        labels={kind: images.labels[kind] for kind in kinds},
        label_names={kind: images.label_names[kind] for kind in kinds},
    )
