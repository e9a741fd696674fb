"""The studio's engine in TensorFlow: what `page/engine.js` describes, for any run."""

import collections
import dataclasses
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from hcm_tf import labels
from hcm_tf.explain.attribution import credit
from hcm_tf.explain.choice import Choice, choose
from hcm_tf.explain.decoder import Decoder, Recording
from hcm_tf.explain.identity import model_hash
from hcm_tf.explain.refine import encode
from hcm_tf.prior import draw, towards
from hcm_tf.runs.checkpoint import Run

KEPT = 32


class Picture(NamedTuple):
    """A recording and its number; levels below `lowest` have no code."""

    id: int
    lowest: int
    recording: Recording


class ForgottenError(LookupError):
    """The gates of this picture are no longer kept."""


class Engine:
    """Draws and takes apart pictures of one run; not safe for several threads.

    Units are flat indices in a level's code, uint32.
    """

    def __init__(self, run: Run, name: str) -> None:
        self.run = run
        self.decoder = Decoder(run.generator, progress=False)
        self.levels = run.generator.levels
        self.shape = (
            run.config.model.image_size,
            run.config.model.image_size,
            run.config.model.image_channels,
        )
        self._pictures: collections.OrderedDict[int, Picture] = (
            collections.OrderedDict()
        )
        self._next = 1
        # Also stands in for the gates below a redrawn picture's lowest level.
        self._any = self.decoder.record(np.zeros((1, run.prior.size)))[0]
        self.model = self._describe(name)

    def _describe(self, name: str) -> dict:
        size = self.shape[0]
        return {
            "hash": model_hash(self.run.generator),
            "name": name,
            "imageSize": size,
            "channels": self.shape[2],
            "resize": self.run.config.data.resize,
            "latentSize": self.run.prior.size,
            "prior": self.run.prior.noise,
            "labels": [
                dataclasses.asdict(label) for label in self.run.config.model.labels
            ],
            "levels": [
                {
                    "name": level.name,
                    "height": level.shape[0],
                    "width": level.shape[1],
                    "channels": level.shape[2],
                    "k": level.most,
                    "placed": level.placed,
                    "always": level.always,
                    "free": level.placed and self.run.generator.placing is not None,
                    "cell": size // level.shape[0],
                    "reach": self.run.generator.reach(index),
                }
                for index, level in enumerate(self.levels)
            ],
        }

    def latent_of(self, seed: int, truncation: float) -> np.ndarray:
        """The latent of a seed, as every command draws it."""
        return draw(self.run.prior, seed, 1, truncation)[0]

    def towards(
        self, seed: int, other: int, share: float, truncation: float
    ) -> np.ndarray:
        """The latent on the way from one seed's to another's; see `prior.towards`."""
        return towards(self.run.prior, seed, other, share, truncation)

    def trace(
        self, latent: np.ndarray, chosen: dict[int, int] | None = None
    ) -> Picture:
        """Draws and records a latent, as the chosen classes: see `labels.named`."""
        if chosen:
            known = self.run.config.model.labels
            latent = labels.replaced(known, latent[None], chosen)[0]
        return self._keep(0, self.decoder.record(latent[None])[0])

    def redraw(
        self,
        level: int,
        index: np.ndarray,
        value: np.ndarray,
        picture: int | None = None,
    ) -> Picture:
        """Draws a code of a level, deciding everything above anew, and records that.

        Args:
            level, index, value: the code.
            picture: whose code it was. Where attributes are placed freely, theirs are
                drawn where this picture has them.
        """
        placing = placed = None
        if level == 0 and self.run.generator.placing is not None:
            if picture is None:
                raise ValueError("id must name the picture that has the parts' places")
            recording = self._find(picture, level).recording
            placing, placed = recording.placing, recording.placed
        trace = self.decoder.retrace(level, self._code(level, index, value), placed)
        below = self._any.codes[:level]
        empty = tuple(np.zeros_like(code) for code in below)
        return self._keep(
            level,
            Recording(
                latent=np.zeros(0, "float32"),
                responses=empty + tuple(found[0].numpy() for found in trace.responses),
                codes=empty + tuple(found[0].numpy() for found in trace.codes),
                gates=self._any.gates[:level] + trace.gates,
                logits=trace.logits[0].numpy(),
                image=trace.image[0].numpy(),
                placing=placing,
            ),
        )

    def replay(self, picture: int, level: int, codes: list) -> list[np.ndarray]:
        """Logits of some codes, each `(index, value)`, through recorded gates."""
        recording = self._find(picture, level).recording
        dense = np.stack([self._code(level, *code) for code in codes])
        return list(self.decoder.replay(recording, level, dense))

    def credit(self, picture: int, weights: np.ndarray) -> list[np.ndarray]:
        """What each active unit of each level adds to a weighted sum of the logits."""
        found = self._find(picture, 0, any_level=True)
        levels = credit(self.decoder, found.recording, weights.reshape(self.shape))
        codes = found.recording.codes
        return [
            level[code != 0].astype("float32")
            for level, code in zip(levels, codes, strict=True)
        ]

    def edges(self, picture: int, level: int, unit: int) -> tuple[tuple, list[tuple]]:
        """(index, value) of what it makes of the units above; those of what makes it.

        The latter of each level below it, nothing where the picture has no code.
        """
        found = self._find(picture, level)
        recording = found.recording
        nothing = np.zeros(0, "uint32"), np.zeros(0, "float32")
        children, below = nothing, [nothing] * level
        value = recording.codes[level].reshape(-1)[unit]
        if level + 1 < len(self.levels):
            alone = self._code(level, np.array([unit]), np.array([value]))
            children = sparse(
                self.decoder.replay(recording, level, alone[None], level + 1)[0]
            )
        if level > found.lowest and value != 0:
            one = self._code(level, np.array([unit]), np.array([1.0]))
            pulled = self.decoder.pull_back(recording, one, level)
            for lower in range(found.lowest, level):
                below[lower] = sparse(pulled[lower] * recording.codes[lower])
        return children, below

    def choice(self, picture: int, level: int, unit: int, count: int) -> Choice:
        """How a unit came to be active, and its `count` strongest rivals."""
        recording = self._find(picture, level).recording
        about = self.levels[level]
        place = (int(index) for index in np.unravel_index(unit, about.shape))
        return choose(recording, level, about, *place, rivals=count)

    def encode(self, pixels: np.ndarray) -> np.ndarray:
        """The latent that the encoder finds for a picture in [-1, 1]."""
        return encode(self.run.encoder, pixels.reshape(1, *self.shape))[0]

    def slope(self, latent: np.ndarray, pixels: np.ndarray) -> tuple[float, np.ndarray]:
        """Mean squared error of a latent's picture to another, and its gradient.

        Labels behind the latent have none: they are no matter of degree.
        """
        target = tf.constant(pixels.reshape(1, *self.shape))
        error, gradient = self._slope(tf.constant(latent[None]), target)
        gradient = np.array(gradient[0])
        gradient[self.run.config.model.latent_size :] = 0
        return float(error), gradient

    @tf.function
    def _slope(self, latent: tf.Tensor, target: tf.Tensor) -> tuple:
        with tf.GradientTape() as tape:
            tape.watch(latent)
            difference = self.run.generator(latent) - target
            error = tf.reduce_mean(tf.square(difference))
        return error, tape.gradient(error, latent)

    def _keep(self, lowest: int, recording: Recording) -> Picture:
        picture = Picture(self._next, lowest, recording)
        self._next += 1
        self._pictures[picture.id] = picture
        if len(self._pictures) > KEPT:
            self._pictures.popitem(last=False)
        return picture

    def _find(self, picture: int, level: int, any_level: bool = False) -> Picture:
        if picture not in self._pictures:
            raise ForgottenError(f"picture {picture} is not kept any more")
        self._pictures.move_to_end(picture)
        found = self._pictures[picture]
        if level < found.lowest and not any_level:
            raise ValueError(f"picture {picture} has no code of level {level}")
        return found

    def _code(self, level: int, index: np.ndarray, value: np.ndarray) -> np.ndarray:
        code = np.zeros(self.levels[level].shape, "float32")
        code.reshape(-1)[index] = value
        return code


def sparse(code: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Flat index and value of what is not zero."""
    flat = code.reshape(-1)
    index = np.flatnonzero(flat)
    return index.astype("uint32"), flat[index]
