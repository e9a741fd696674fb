"""Objects of a scene taken out, moved and exchanged, by the locations that draw them.

An edit is of a group of locations: that of which the segments, found by parsing, cover
the object's true mask best. Which group that is, is read off the truth; what the edit
then does is not. With recorded gates it is exact in the picture of these locations, so
that all that changes elsewhere is what they draw elsewhere and, where parts are placed
freely, what they hid or hide now; decided anew, the levels above may change anything.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from hcm_tf.evaluate.groupings import Drawn
from hcm_tf.explain import absence, edits, grouping, placed_parts
from hcm_tf.explain.decoder import Decoder, Recording

EDITS = ("removed", "moved", "exchanged")
GATES = ("recorded", "anew")
STEPS = ((0, 1), (1, 0), (0, -1), (-1, 0))  # Of a move, in locations of the 4x4 grid.

Cells = tuple[tuple[int, int], ...]


class Part(NamedTuple):
    """The locations that draw an object.

    cells: row and column of each in the 4x4 grid, in their order.
    overlap: intersection over union of their segment with the object's mask.
    placed: whether the segment is that of placed parts, or that of locations.
    """

    cells: Cells
    overlap: float
    placed: bool


def best_part(drawn: Drawn, mask: np.ndarray) -> Part:
    """The locations that cover an object best, of what a scene is drawn again by.

    Those of which the segments `grouping.by_location` are the best union, of all unions
    that there are, or, where parts are placed freely, those of the better union of the
    segments of `absence.labels`.

    Args:
        drawn: the scene.
        mask: where the object is seen, bool `(height, width)`, not empty.
    """
    size, side = len(mask), drawn.recording.codes[0].shape[1]
    owner = grouping.enlarged(grouping.by_location(drawn.locations), size)
    found = Part(*_best_union(owner, mask, side), placed=False)
    if drawn.recording.placing is None:
        return found
    # The background, 0, as what lies behind all locations.
    labels = grouping.enlarged(absence.labels(drawn.absences), size)
    owner = (labels - 1) % (side**2 + 1)
    parts = Part(*_best_union(owner, mask, side), placed=True)
    return max(found, parts, key=lambda part: part.overlap)


def _best_union(owner: np.ndarray, mask: np.ndarray, side: int) -> tuple[Cells, float]:
    """The segments whose union overlaps a mask most.

    The best of all unions holds those of which more than some part lies in the mask: so
    it is among the first n by that part, for one n.
    """
    # What lies behind them, if anything does, is no location.
    present, areas = np.unique(owner[owner < side**2], return_counts=True)
    inside = np.array([np.count_nonzero(mask[owner == one]) for one in present])
    order = np.argsort(-inside / areas, kind="stable")
    both = np.cumsum(inside[order])
    overlaps = both / (mask.sum() + np.cumsum(areas[order]) - both)
    if not len(overlaps):  # Nobody is there: all locations cover it as badly.
        return ((0, 0),), 0.0
    count = int(np.argmax(overlaps)) + 1
    cells = sorted(_cell(number, side) for number in present[order[:count]])
    return tuple(cells), float(overlaps[count - 1])


def _cell(number: int, side: int) -> tuple[int, int]:
    return int(number) // side, int(number) % side


def removed(
    decoder: Decoder, recording: Recording, cells: Cells, *, new_gates: bool
) -> np.ndarray:
    """The image before tanh without what these locations draw.

    Placed parts are absent, and what they hid is seen: see `edits.rearrange`.
    """
    if recording.placing is not None:
        rest = placed_parts.absent(recording.placing, cells)
        return edits.rearrange(decoder, recording, rest, new_gates=new_gates).after
    part = edits.at_cells(recording, 0, list(cells))
    return edits.remove(decoder, recording, part, new_gates=new_gates).after


def moved(
    decoder: Decoder,
    recording: Recording,
    cells: Cells,
    step: tuple[int, int],
    *,
    new_gates: bool,
) -> np.ndarray:
    """The image before tanh with what these locations draw elsewhere.

    Placed parts get another place, as of `edits.rearrange`; on the grid their picture
    is cut out and pasted, or, decided anew, their code moves to other locations, as of
    `edits.move`.

    Args:
        step: rows down and columns to the right, in locations of the 4x4 grid: a
            quarter of the image each.
    """
    if recording.placing is None:
        part = edits.at_cells(recording, 0, list(cells))
        return edits.move(decoder, recording, part, *step, new_gates=new_gates).after
    # A location of the 4x4 grid is two cells of the 8x8 map.
    rows, columns = (2.0 * one for one in step)
    elsewhere = placed_parts.displaced(recording.placing, cells, rows, columns)
    return edits.rearrange(decoder, recording, elsewhere, new_gates=new_gates).after


def exchanged(
    decoder: Decoder,
    recording: Recording,
    cells: Cells,
    donor: Recording,
    *,
    new_gates: bool,
) -> np.ndarray:
    """The image before tanh with what these locations draw in another image instead.

    Placed parts come with their places, and what lies behind them stays.
    """
    if recording.placing is not None:
        places = placed_parts.exchanged(recording.placing, donor.placing, cells)
        parts = slice(decoder.generator.background_attributes, None)
        rows, columns = zip(*cells, strict=True)
        code = recording.codes[0].copy()
        code[rows, columns, parts] = donor.codes[0][rows, columns, parts]
        return edits.rearrange(
            decoder, recording, places, code=code, new_gates=new_gates
        ).after
    part = edits.at_cells(donor, 0, list(cells))
    if not part[0].count:
        return removed(decoder, recording, cells, new_gates=new_gates)
    return edits.transplant(decoder, donor, part, recording, new_gates=new_gates).after


def apply(
    decoder: Decoder,
    recording: Recording,
    cells: Cells,
    step: tuple[int, int],
    donor: Recording,
) -> dict[tuple[str, str], np.ndarray]:
    """All edits by all gates: images in [-1, 1], by (edit, gates)."""
    found = {}
    for gates in GATES:
        anew = {"new_gates": gates == "anew"}
        logits = (
            removed(decoder, recording, cells, **anew),
            moved(decoder, recording, cells, step, **anew),
            exchanged(decoder, recording, cells, donor, **anew),
        )
        for edit, one in zip(EDITS, logits, strict=True):
            found[edit, gates] = np.tanh(one)
    return found


def destination(labels: np.ndarray, number: int) -> tuple[tuple[int, int], np.ndarray]:
    """Where an object is moved: to where it meets least, of the four next locations.

    Least is the number of its pixels that would leave the image or lie on others.

    Args:
        labels: the truth, integers `(height, width)`, 0 for the background.
        number: of the object in it.

    Returns:
        The step, one of `STEPS`, and the object's mask there, bool.
    """
    mask = labels == number
    others = (labels > 0) & ~mask
    quarter = len(labels) // 4
    candidates = [
        edits.shift(mask[..., np.newaxis], down * quarter, right * quarter)[..., 0]
        for down, right in STEPS
    ]
    met = [mask.sum() - one.sum() + (one & others).sum() for one in candidates]
    best = int(np.argmin(met))
    return STEPS[best], candidates[best]


def choose_donor(
    number: int,
    part: Part,
    mask: np.ndarray,
    parts: Sequence[tuple[int, Part]],
    masks: np.ndarray,
) -> int:
    """The object that an object is exchanged with: one of the same place.

    Of those that another scene draws by the same locations, or of all if there are
    none, the one whose mask overlaps most with this one's.

    Args:
        number: of this object's scene.
        part: that draws it.
        mask: where it is, bool `(pixels,)`.
        parts: of all objects of all scenes: the scene's number, and the part.
        masks: theirs, bool `(objects, pixels)`.

    Returns:
        An index of `parts`; -1 if there is no other scene.
    """
    both = masks @ mask.astype(np.float32)
    score = both / (masks.sum(axis=1) + mask.sum() - both)
    score = score + np.array([one.cells == part.cells for _, one in parts])
    score[[scene == number for scene, _ in parts]] = -1
    best = int(np.argmax(score))
    return best if score[best] >= 0 else -1


def others(cells: Cells, side: int, random: np.random.Generator) -> Cells:
    """As many other locations, or all others if there are fewer, chosen at random."""
    left = [
        (row, column)
        for row in range(side)
        for column in range(side)
        if (row, column) not in cells
    ]
    chosen = random.permutation(len(left))[: len(cells)]
    return tuple(left[index] for index in sorted(chosen.tolist()))
