"""What else changes where an object is taken out, moved or exchanged: leakage.

The truth says where every object is: what an edit of one changes on the masks of the
others, and of the background, is more than was asked for.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from hcm_tf.data.scene import Scene
from hcm_tf.evaluate import scene_edits
from hcm_tf.evaluate.groupings import Drawn
from hcm_tf.evaluate.scene_edits import EDITS, GATES, Part
from hcm_tf.evaluate.scene_objects import resized
from hcm_tf.evaluate.scene_scores import Summary
from hcm_tf.evaluate.segment_pictures import best_median_worst, sheet
from hcm_tf.explain import grouping
from hcm_tf.images import to_float, to_uint8

FOUND = 0.5  # Intersection over union from which on an object counts as found.
_OUTLINE = (230, 60, 60)
# An edit, and how gates are decided.
Key = tuple[str, str]


class Change(NamedTuple):
    """Mean absolute changes of an image in [-1, 1], so from 0 to 2; NaN of no pixel.

    own: where the edited object is, and where it or another comes to be.
    others: on the other objects.
    background: where no object is.
    """

    own: float
    others: float
    background: float


@dataclasses.dataclass(frozen=True)
class Edited:
    """One object of one scene, edited.

    Attributes:
        number: of the scene, among those that are edited.
        object: its index in the scene.
        part: what was edited.
        donor: number of the scene that the object it is exchanged with comes from.
        images: after each edit, uint8 `(size, size, channels)`.
        changes: by edit and gates, of the part.
        control: the same of as many other locations, chosen at random; empty if there
            are no others.
    """

    number: int
    object: int
    part: Part
    donor: int
    images: dict[Key, np.ndarray]
    changes: dict[Key, Change]
    control: dict[Key, Change]


def edit_scenes(
    scenes: Sequence[Scene],
    drawn: Sequence[Drawn],
    *,
    seed: int = 0,
    advance: Callable[[int], object] = lambda count: None,
) -> list[Edited]:
    """Every object of every scene taken out, moved, and exchanged with another's.

    Args:
        scenes: what is true of them.
        drawn: how they were drawn again, in the same order.
        seed: of the control's locations.
        advance: told how many scenes are done.

    Returns:
        Of each object, in order; none if no two scenes have objects.
    """
    masks, parts = [], []
    for number, (scene, one) in enumerate(zip(scenes, drawn, strict=True)):
        for index in range(scene.count):
            mask = scene.labels == index + 1
            masks.append(mask)
            parts.append((number, index, scene_edits.best_part(one, mask)))
    if not masks:
        return []
    flat = np.stack(masks).reshape(len(masks), -1).astype(np.float32)
    owners = [(number, part) for number, _, part in parts]
    random, found, done = np.random.default_rng((seed, 29)), [], 0
    for (number, index, part), mask, row in zip(parts, masks, flat, strict=True):
        advance(number - done)
        done = number
        donor = scene_edits.choose_donor(number, part, row, owners, flat)
        if donor < 0:
            continue
        giver = drawn[owners[donor][0]].recording
        labels = scenes[number].labels
        step, elsewhere = scene_edits.destination(labels, index + 1)
        regions = dict(
            zip(EDITS, (mask, mask | elsewhere, mask | masks[donor]), strict=True)
        )
        recording = drawn[number].recording
        images = scene_edits.apply(
            *(drawn[number].decoder, recording, part.cells, step, giver)
        )
        away = scene_edits.others(part.cells, recording.codes[0].shape[1], random)
        control = {}
        if away:
            control = scene_edits.apply(
                *(drawn[number].decoder, recording, away, step, giver)
            )
        found.append(
            Edited(
                number=number,
                object=index,
                part=part,
                donor=owners[donor][0],
                images={key: to_uint8(image) for key, image in images.items()},
                changes=_changes(recording.image, images, labels, regions),
                control=_changes(recording.image, control, labels, regions),
            )
        )
    advance(len(scenes) - done)
    return found


def _changes(
    before: np.ndarray,
    images: Mapping[Key, np.ndarray],
    labels: np.ndarray,
    regions: Mapping[str, np.ndarray],
) -> dict[Key, Change]:
    return {
        key: change(before, image, labels, regions[key[0]])
        for key, image in images.items()
    }


def change(
    before: np.ndarray, after: np.ndarray, labels: np.ndarray, own: np.ndarray
) -> Change:
    """How much an edit changed an object, the others, and the background.

    Args:
        before: float `(size, size, channels)`, in [-1, 1].
        after: of the same shape.
        labels: the truth, integers `(height, width)`, 0 for the background.
        own: what the edit is meant to change, bool `(height, width)`: all of the
            object that is edited, and what else; it is none of the others.
    """
    away = np.abs(np.asarray(after, "float64") - before).mean(axis=2)
    away = grouping.enlarged(away, len(labels))
    places = (own, (labels > 0) & ~own, (labels == 0) & ~own)
    return Change(*(float(away[one].mean()) if one.any() else np.nan for one in places))


def ratio(numerators: Sequence[float], denominators: Sequence[float]) -> Summary:
    """Mean over mean, and its standard error, of pairs of which none is NaN.

    Args:
        numerators: one for each object.
        denominators: likewise.

    Returns:
        As `scene_scores.summary`; None without a pair, or if all denominators are 0.
    """
    pairs = np.array([numerators, denominators], "float64").T
    pairs = pairs[~np.isnan(pairs).any(axis=1)]
    over, under = pairs.T
    whole = under.sum()
    mean = float(over.sum() / whole) if whole > 0 else None
    error = None
    if mean is not None and len(pairs) > 1:
        spread = np.std(over - mean * under, ddof=1)
        error = float(spread / np.sqrt(len(pairs)) / under.mean())
    return {"mean": mean, "error": error, "images": len(pairs)}


def summaries(edited: Sequence[Edited]) -> dict[str, dict[str, Summary]]:
    """Leakage of every edit by every gates, of the parts and of the control.

    Leakage is the mean change elsewhere over the mean change of the object itself, each
    over all objects.

    Returns:
        By "edit, gates", JSON values: `own`, the change itself; `others` and
        `background`, leakage; `control_others` and `control_background`.
    """
    found = {}
    for key in ((edit, gates) for edit in EDITS for gates in GATES):
        of_part = [one.changes[key] for one in edited if key in one.changes]
        control = [one.control[key] for one in edited if key in one.control]
        row = {"own": ratio([one.own for one in of_part], np.ones(len(of_part)))}
        for name, changes in (("", of_part), ("control_", control)):
            own = [one.own for one in changes]
            row[f"{name}others"] = ratio([one.others for one in changes], own)
            row[f"{name}background"] = ratio([one.background for one in changes], own)
        found[", ".join(key)] = row
    return found


def picture(
    scenes: Sequence[Scene], drawn: Sequence[Drawn], edited: Sequence[Edited]
) -> np.ndarray:
    """The scenes with the best, the median and the worst leakage, a row each.

    Of each scene the object that is covered best; leakage of its removal by recorded
    gates, on all other pixels. The input, with the object's outline; the
    reconstruction; the object removed, moved and exchanged by recorded gates; and the
    same decided anew.

    Args:
        scenes: what is true.
        drawn: how they were drawn again.
        edited: of `edit_scenes`, not empty.

    Returns:
        uint8 `(height, width, 3)`.
    """
    best: dict[int, Edited] = {}
    for one in edited:
        known = best.setdefault(one.number, one)
        if one.part.overlap > known.part.overlap:
            best[one.number] = one
    chosen = list(best.values())
    values = np.array([-_leakage(scenes[one.number], drawn, one) for one in chosen])
    rows = []
    for one in (chosen[number] for number in best_median_worst(values)):
        scene = scenes[one.number]
        size = len(scene.labels)
        images = [to_uint8(drawn[one.number].recording.image)]
        images += [one.images[edit, gates] for gates in GATES for edit in EDITS]
        mask = scene.labels == one.object + 1
        rows.append(
            [outlined(scene.image, mask), *(resized(image, size) for image in images)]
        )
    return sheet(rows)


def outlined(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """An image with a coloured line just outside of a mask.

    Args:
        image: uint8 `(height, width, 1 or 3)`.
        mask: bool `(height, width)`.

    Returns:
        uint8 `(height, width, 3)`.
    """
    padded = np.pad(mask, 1)
    around = padded[1:-1, :-2] | padded[1:-1, 2:] | padded[:-2, 1:-1] | padded[2:, 1:-1]
    coloured = np.array(np.broadcast_to(image, (*mask.shape, 3)))
    coloured[around & ~mask] = _OUTLINE
    return coloured


def _leakage(scene: Scene, drawn: Sequence[Drawn], one: Edited) -> float:
    """Of the object's removal, on all pixels but its own; NaN if it changes nothing."""
    mask = scene.labels == one.object + 1
    nothing = np.zeros_like(scene.labels)
    image = one.images["removed", "recorded"]
    before = to_uint8(drawn[one.number].recording.image)
    found = change(to_float(before), to_float(image), nothing, mask)
    return found.background / found.own if found.own > 0 else np.nan
