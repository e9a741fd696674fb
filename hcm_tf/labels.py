"""Labels: the classes of images, as numbers behind a latent.

A conditional generator takes latents that are longer by its labels: behind the entries
of the latent stand, for each label, as many as it has classes, one of them 1 and the
others 0 (one-hot). So whatever draws, records or explains a latent does it with labels.
"""

import difflib
from collections.abc import Sequence
from typing import Any

import numpy as np
from absl import logging

from hcm_tf.config import DataConfig, Label, ModelConfig
from hcm_tf.data.image_set import ImageSet
from hcm_tf.errors import UserError

DISCOVERED = "discovered"  # Name of the classes that training finds by itself.
FEW = 20  # Images of a class below which a user is warned.
LONGEST = 40  # Letters of an unknown name that are repeated.


def width(labels: Sequence[Label]) -> int:
    """Numbers that stand for the labels of one image."""
    return sum(len(label.classes) for label in labels)


def columns(labels: Sequence[Label]) -> list[slice]:
    """Where each label's classes stand, counted from the end: also behind a latent."""
    found, start = [], -width(labels)
    for label in labels:
        stop = start + len(label.classes)
        found.append(slice(start, stop or None))
        start = stop
    return found


def all_of(model: ModelConfig, data: DataConfig, images: ImageSet) -> tuple[Label, ...]:
    """The labels of a model: those of its data, and behind them discovered classes.

    Args:
        model: says how many are to be discovered.
        data, images: as of `of_data`.

    Raises:
        UserError: as of `of_data`; a label has the name of the discovered classes.
    """
    found, count = of_data(data, images), model.discovered_classes
    if not count:
        return found
    if DISCOVERED in {label.name for label in found}:
        raise UserError(
            f"--label={DISCOVERED}: discovered classes have this name. Leave out "
            "--discovered_classes, or choose another label."
        )
    classes = tuple(str(number) for number in range(count))
    return (*found, Label(DISCOVERED, classes, (1 / count,) * count))


def of_data(config: DataConfig, images: ImageSet) -> tuple[Label, ...]:
    """The labels that training is told of: none without --conditional.

    Args:
        config: names them.
        images: those to train on.

    Raises:
        UserError: the data have no such label, or not of every image.
    """
    if not config.conditional:
        return ()
    known = images.label_names
    if not known:
        raise UserError(
            f"--conditional: {images.name} has no labels. Use a data set with a class "
            "label, or a folder with a sub-folder for each class."
        )
    names = config.label
    if not names:
        if len(known) > 1:
            raise UserError(
                f"--conditional: {images.name} has several labels. Name one or more "
                f"with --label: {', '.join(known)}."
            )
        names = tuple(known)
    return tuple(_read(name, images) for name in names)


def _read(name: str, images: ImageSet) -> Label:
    known = images.label_names
    if name not in known:
        raise UserError(
            f"--label={name}: {images.name} has no such label. It has "
            f"{', '.join(known)}."
        )
    values = np.asarray(images.labels[name])
    classes = known[name]
    without = np.count_nonzero((values < 0) | (values >= len(classes)))
    if without:
        raise UserError(
            f"--label={name}: {without} of {len(values)} images of {images.name} have "
            "none. Leave them out, or choose another label."
        )
    counts = np.bincount(values, minlength=len(classes))
    if np.count_nonzero(counts) < 2:
        raise UserError(
            f"--label={name}: all images of {images.name} have the same. Choose "
            "another label, or leave out --conditional."
        )
    rare = [
        f"{one} ({count})"
        for one, count in zip(classes, counts, strict=True)
        if count < FEW
    ]
    if rare:
        logging.warning(
            "%s: few training images of %s; what is drawn of them will be copies, or "
            "bad. Add images, or use --balanced.",
            name,
            ", ".join(rare),
        )
    shares = tuple(round(float(count / len(values)), 6) for count in counts)
    return Label(name, tuple(classes), shares)


def numbers(labels: Sequence[Label], images: ImageSet) -> np.ndarray:
    """The classes of images: int64 `(n, labels)`."""
    found = [np.asarray(images.labels[one.name]) for one in labels]
    return np.array(found, np.int64).reshape(len(found), len(images)).T


def behind(labels: Sequence[Label], latents: np.ndarray) -> np.ndarray:
    """The classes that stand behind latents: int64 `(n, labels)`.

    Of a mixture of classes the strongest.
    """
    found = [np.argmax(latents[:, own], axis=1) for own in columns(labels)]
    return np.stack(found, axis=1)


def one_hot(labels: Sequence[Label], classes: np.ndarray) -> np.ndarray:
    """What a generator takes for classes `(n, labels)`: float32 `(n, width)`."""
    found = [
        np.eye(len(label.classes), dtype="float32")[classes[:, index]]
        for index, label in enumerate(labels)
    ]
    return np.concatenate(found, axis=1)


def parse(labels: Sequence[Label], texts: Sequence[str]) -> dict[int, int]:
    """The classes that a user asks for: from the label's index to the class's.

    Args:
        labels: of the model.
        texts: each a class, or label=class, such as Dress or hair_color=teal.

    Raises:
        UserError: the model has no labels, or none of that name; a class of several
            labels without saying which; two classes of one label.
    """
    if texts and not labels:
        raise UserError(
            "--label: this run was trained without labels. Train with --conditional."
        )
    found = {}
    for text in texts:
        # A class may hold an equals sign, a label's name before it decides.
        name, equals, one = text.partition("=")
        if equals and name in {label.name for label in labels}:
            places = [i for i, label in enumerate(labels) if label.name == name]
        else:
            one = text
            places = [i for i, label in enumerate(labels) if one in label.classes]
        if len(places) > 1:
            names = " or ".join(f"{labels[i].name}={one}" for i in places)
            raise UserError(f"--label={text}: several labels have it. Write {names}.")
        if not places or one not in labels[places[0]].classes:
            some = [labels[index] for index in places]
            raise UserError(f"--label={text}: {_known(some or labels, one)}.")
        if places[0] in found:
            raise UserError(
                f"--label={','.join(texts)}: {labels[places[0]].name} is named twice. "
                "Name one class of a label."
            )
        found[places[0]] = labels[places[0]].classes.index(one)
    return found


def spellings(labels: Sequence[Label]) -> list[list[tuple[str, ...]]]:
    """What `parse` takes for each class of each label: label=class, or class alone."""
    every = [one for label in labels for one in label.classes]
    return [
        [
            (f"{label.name}={one}", one)
            if every.count(one) == 1
            # Another label has a class of that name.
            else (f"{label.name}={one}",)
            for one in label.classes
        ]
        for label in labels
    ]


def named(labels: Sequence[Label], classes: Any) -> dict[int, int]:
    """Chosen classes from plain values, such as those of a session: as of `parse`.

    Args:
        labels: of the model.
        classes: the name of a class by the name of its label, of some labels or none.

    Raises:
        ValueError: it is no such mapping, or the model has no such label or class.
    """
    if not isinstance(classes, dict):
        raise ValueError("classes must be an object of a class for each label")
    if classes and not labels:
        raise ValueError(
            "classes cannot be chosen: this run was trained without labels"
        )
    names = [label.name for label in labels]
    found = {}
    for name, one in classes.items():
        if name not in names:
            raise ValueError(
                f"there is no label {name[:LONGEST]!r}; there are {', '.join(names)}"
            )
        index = names.index(name)
        if one not in labels[index].classes:
            # Strangers' text may be anything, of any length.
            asked = one[:LONGEST] if isinstance(one, str) else ""
            raise ValueError(f"{name}={asked!r}: {_known([labels[index]], asked)}")
        found[index] = labels[index].classes.index(one)
    return found


def _known(some: Sequence[Label], one: str) -> str:
    classes = [name for label in some for name in label.classes]
    close = difflib.get_close_matches(one, classes, n=3)
    hint = f" Did you mean {' or '.join(close)}?" if close else ""
    listed = "; ".join(f"{label.name}: {', '.join(label.classes)}" for label in some)
    return f"no such class.{hint} There are {listed}"


def replaced(
    labels: Sequence[Label], latents: np.ndarray, chosen: dict[int, int]
) -> np.ndarray:
    """Latents with some of the labels behind them changed: `(n, size)`.

    Args:
        labels: of the model.
        latents: float32 `(n, size)`, with labels.
        chosen: the new classes, by the label's number.
    """
    latents = np.array(latents)
    places = columns(labels)
    for index, number in chosen.items():
        latents[:, places[index]] = np.eye(len(labels[index].classes))[number]
    return latents


def describe(labels: Sequence[Label], latents: np.ndarray) -> list[str]:
    """Names of what stands behind latents, as of `behind`: hair=long, hat=none."""
    return [
        ", ".join(
            f"{label.name}={label.classes[number]}"
            for label, number in zip(labels, numbers, strict=True)
        )
        for numbers in behind(labels, latents)
    ]
