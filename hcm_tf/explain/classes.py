"""The class as an OR node: what it prefers, and the same latent as another class.

A class opens the gate of each attribute at each location more or less before the
strongest are selected (`Generator.class_gates`): above the attributes stands one node
more, at which one of several classes, each with a template of its own, was chosen.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from hcm_tf import labels
from hcm_tf.config import Label
from hcm_tf.explain.decoder import Decoder, Recording

MOST_CLASSES = 24  # Of a label that are drawn for comparison.
MOST_PREFERRED = 8


@dataclasses.dataclass(frozen=True)
class Counterfactual:
    """A picture's latent, drawn as one class of one label; all other labels stay.

    Attributes:
        name: of the class.
        own: it is the class of the picture.
        image: `(size, size, channels)`, in [-1, 1].
        change: mean squared difference to the picture.
        kept: of the picture's active attributes, the share that is active here too.
    """

    name: str
    own: bool
    image: np.ndarray
    change: float
    kept: float


@dataclasses.dataclass(frozen=True)
class Preference:
    """An attribute of a picture, and how much its class prefers it.

    Attributes:
        row, column: of its location.
        basis: its number.
        gate: of the class, from 0 to 2.
        others: the mean of the label's other classes.
        logits: what it adds to the picture before tanh, `(size, size, channels)`.
    """

    row: int
    column: int
    basis: int
    gate: float
    others: float
    logits: np.ndarray


def counterfactuals(
    decoder: Decoder, recording: Recording, known: Sequence[Label], index: int
) -> list[Counterfactual]:
    """A picture as each class of a label, at most MOST_CLASSES of them.

    Args:
        decoder: of the generator.
        recording: of the picture.
        known: the generator's labels.
        index: of the one that is changed.

    Returns:
        In the order of the classes; where there are more, those that change most are
        left out, the picture's own never.
    """
    own = _own(recording, known, index)
    latents = _variants(recording, known, index)
    drawn = decoder.record(latents)
    active = recording.codes[0] != 0
    found = [
        Counterfactual(
            name=known[index].classes[number],
            own=number == own,
            image=one.image,
            change=float(np.mean(np.square(one.image - recording.image))),
            kept=float(np.mean(one.codes[0][active] != 0)) if active.any() else 1.0,
        )
        for number, one in enumerate(drawn)
    ]
    nearest = sorted(found, key=lambda one: (not one.own, one.change))[:MOST_CLASSES]
    return [one for one in found if one in nearest]


def preferences(
    decoder: Decoder, recording: Recording, known: Sequence[Label], index: int
) -> list[Preference]:
    """The active attributes that a picture's class prefers most to other classes.

    Arguments as of `counterfactuals`.

    Returns:
        At most MOST_PREFERRED, the most preferred first.
    """
    generator, own = decoder.generator, _own(recording, known, index)
    latents = _variants(recording, known, index)
    gates = np.asarray(generator.class_gates(generator.split(latents)[1]))
    others = (gates.sum(axis=0) - gates[own]) / max(len(gates) - 1, 1)
    code = recording.codes[0]
    ratio = np.where(code != 0, gates[own] / np.maximum(others, 1e-6), -1.0)
    places = np.argsort(-ratio, axis=None, kind="stable")[:MOST_PREFERRED]
    places = [place for place in places if code.flat[place] != 0]
    alone = np.zeros((len(places), *code.shape), "float32")
    for one, place in zip(alone, places, strict=True):
        one.flat[place] = code.flat[place]
    pictures = decoder.replay(recording, 0, alone) if places else []
    return [
        Preference(
            *map(int, np.unravel_index(place, code.shape)),
            gate=float(gates[own].flat[place]),
            others=float(others.flat[place]),
            logits=picture,
        )
        for place, picture in zip(places, pictures, strict=True)
    ]


def _own(recording: Recording, known: Sequence[Label], index: int) -> int:
    """The class of a picture: where it is a mixture, the strongest."""
    return int(labels.behind(known, recording.latent[np.newaxis])[0, index])


def _variants(recording: Recording, known: Sequence[Label], index: int) -> np.ndarray:
    """The latent of a picture as each class of a label: `(classes, size)`."""
    return np.concatenate(
        [
            labels.replaced(known, recording.latent[np.newaxis], {index: number})
            for number in range(len(known[index].classes))
        ]
    )
