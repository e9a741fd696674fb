"""A small convolutional classifier with several heads, and its file.

Everything that it knows of an image is in its features: each head is one linear layer
on them, so one pass gives the features and every label.
"""

import dataclasses
import io
import json
import math
import os
import pathlib
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from hcm_tf.errors import UserError
from hcm_tf.features.extractor import check, in_batches

FEATURES = 128
# The convolutions halve the side until the map is so large.
GRID = 4
_MAPS = (24, 48, 64, 128, 128)
_KERNEL = 4
_FORMAT = "hcm_tf classifier 1"


@dataclasses.dataclass(frozen=True, eq=False)
class Classifier:
    """A trained classifier; an `Extractor`.

    Attributes:
        weights: float32 arrays by name, as `initial_weights` names them.
        heads: for each kind of label, the names of its classes.
        about: what is known of it, as JSON values: `name`, `sees`, `side`, `channels`,
            and what training and calibration measured.
    """

    weights: Mapping[str, np.ndarray]
    heads: Mapping[str, tuple[str, ...]]
    about: Mapping[str, Any]
    size = FEATURES

    @property
    def name(self) -> str:
        return self.about["name"]

    @property
    def sees(self) -> str:
        return self.about["sees"]

    def features(self, images: np.ndarray) -> np.ndarray:
        """See `Extractor`; images of another side are resized with antialiasing."""
        check(images, self.about["channels"])
        return in_batches(lambda batch: self._forward(batch).numpy(), images, self.size)

    def log_probabilities(self, features: np.ndarray) -> dict[str, np.ndarray]:
        """What each head says, calibrated on images that trained nothing.

        Args:
            features: float `(n, 128)`, of `features`.

        Returns:
            For each head, float64 `(n, classes)`: natural logarithms.
        """
        features = np.asarray(features, np.float64)
        return {
            head: log_softmax(
                features @ self.weights[f"{head}/kernel"].astype(np.float64)
                + self.weights[f"{head}/bias"]
            )
            for head in self.heads
        }

    def __post_init__(self) -> None:
        side = self.about["side"]

        @tf.function(input_signature=[tf.TensorSpec([None, None, None, None])])
        def forward(images: tf.Tensor) -> tf.Tensor:
            # Always here, so that one machine's numbers are another's: accelerators
            # multiply with fewer bits unless told not to.
            with tf.device("/CPU:0"):
                return features_of(self.weights, resized(images, side))

        object.__setattr__(self, "_forward", forward)


def initial_weights(
    side: int, channels: int, heads: Mapping[str, tuple[str, ...]], seed: int
) -> dict[str, np.ndarray]:
    """Weights to train from, drawn as He et al. (2015).

    Args:
        side: of the images; a power of two from 8 to 128.
        channels: of the images.
        heads: the names of each head's classes.
        seed: of the draw.
    """
    random = np.random.default_rng(seed)
    shapes, inputs = {}, channels
    for number, maps in enumerate(_MAPS[: max(4, stages(side))]):
        shapes[f"convolution_{number}"] = (_KERNEL, _KERNEL, inputs, maps)
        inputs = maps
    shapes["dense"] = (GRID * GRID * inputs, FEATURES)
    shapes |= {head: (FEATURES, len(names)) for head, names in heads.items()}
    weights = {}
    for name, shape in shapes.items():
        deviation = math.sqrt((1 if name in heads else 2) / math.prod(shape[:-1]))
        drawn = random.standard_normal(shape, np.float32) * np.float32(deviation)
        weights[f"{name}/kernel"] = drawn
        weights[f"{name}/bias"] = np.zeros(shape[-1], np.float32)
    return weights


def stages(side: int) -> int:
    """Halvings from `side` to `GRID`."""
    return int(math.log2(side // GRID))


def features_of(weights: Mapping[str, Any], images: tf.Tensor) -> tf.Tensor:
    """The network up to its features: convolutions and one dense layer.

    Strided, because pooling takes longer than these convolutions on a CPU.

    Args:
        weights: arrays, tensors or variables, as `initial_weights` names them.
        images: float32 `(n, side, side, channels)`, in [-1, 1].

    Returns:
        float32 `(n, 128)`, not negative.
    """
    maps, number = images, 0
    halvings = stages(images.shape[1])
    while f"convolution_{number}/kernel" in weights:
        stride = 2 if number < halvings else 1
        maps = tf.nn.conv2d(
            maps, weights[f"convolution_{number}/kernel"], stride, "SAME"
        )
        maps = tf.nn.relu(maps + weights[f"convolution_{number}/bias"])
        number += 1
    flat = tf.reshape(maps, [-1, weights["dense/kernel"].shape[0]])
    return tf.nn.relu(flat @ weights["dense/kernel"] + weights["dense/bias"])


def resized(images: tf.Tensor, side: int) -> tf.Tensor:
    """Images of the side that a classifier was made for; equal ones are untouched."""
    channels = images.shape[-1]
    if images.shape[1] != side:
        same = tf.shape(images)[1] == side
        images = tf.cond(
            same,
            lambda: images,
            lambda: tf.image.resize(images, [side, side], antialias=True),
        )
    return tf.ensure_shape(images, [None, side, side, channels])


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Logarithms of the softmax over the last axis."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def save(classifier: Classifier, path: str | os.PathLike) -> None:
    """Writes a classifier to one .npz file, whole or not at all.

    Weights are stored as float16: `rounded` ones come back exactly.

    Raises:
        UserError: the place cannot be written to.
    """
    about = {
        "format": _FORMAT,
        "heads": {head: list(names) for head, names in classifier.heads.items()},
        "about": dict(classifier.about),
    }
    content = io.BytesIO()
    np.savez_compressed(
        content,
        about=np.frombuffer(json.dumps(about, indent=1).encode(), np.uint8),
        **{
            name: array.astype(np.float16) for name, array in classifier.weights.items()
        },
    )
    path = pathlib.Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(content.getvalue())
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise UserError(f"{path} cannot be written: {error}.") from error


def rounded(weights: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Weights as they come back from a file."""
    return {
        name: np.asarray(array).astype(np.float16).astype(np.float32)
        for name, array in weights.items()
    }


def load(
    path: str | os.PathLike, heads: Mapping[str, tuple[str, ...]] | None = None
) -> Classifier:
    """Reads a classifier that `save` wrote.

    Args:
        path: the file. It is read without pickle: it can run no code.
        heads: the labels that it must tell apart, by name; None takes what it has.

    Raises:
        UserError: the file is not there, is damaged, or has other heads.
    """
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            stored = json.loads(arrays["about"].tobytes())
            if stored["format"] != _FORMAT:
                raise ValueError(f"its format is {stored['format']!r}")
            weights = {
                name: arrays[name].astype(np.float32)
                for name in arrays.files
                if name != "about"
            }
        own = {head: tuple(names) for head, names in stored["heads"].items()}
        about = stored["about"]
        wanted = initial_weights(about["side"], about["channels"], own, seed=0)
        shapes = {name: array.shape for name, array in weights.items()}
        if shapes != {name: array.shape for name, array in wanted.items()}:
            raise ValueError("its weights do not fit its labels")
        if not all(np.isfinite(array).all() for array in weights.values()):
            raise ValueError("some of its weights are not finite")
        classifier = Classifier(weights, own, about)
    except FileNotFoundError as error:
        raise UserError(
            f"There is no file {path}: make it with python -m hcm_tf.features.train."
        ) from error
    # Every way in which NumPy, zip and JSON say that a file is not theirs.
    except (
        *(OSError, ValueError, KeyError, TypeError, AttributeError, EOFError),
        zipfile.BadZipFile,
    ) as error:
        raise UserError(
            f"{path} is no classifier of python -m hcm_tf.features.train: "
            f"{' '.join(str(error).split())}. Make it again."
        ) from error
    if heads is not None:
        _check_heads(path, own, heads)
    return classifier


def _check_heads(
    path: str | os.PathLike,
    own: Mapping[str, tuple[str, ...]],
    wanted: Mapping[str, tuple[str, ...]],
) -> None:
    wanted = {head: tuple(names) for head, names in wanted.items()}
    if own == wanted:
        return
    different = [
        head
        for head in dict.fromkeys([*wanted, *own])
        if own.get(head) != wanted.get(head)
    ]
    raise UserError(
        f"{path} was made for other labels ({', '.join(different) or 'their order'}): "
        "make one for these with python -m hcm_tf.features.train."
    )
