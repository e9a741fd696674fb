"""Edits: remove, scale, move or transplant parts of a picture, or interpolate.

A part is a choice of units, of one level or, as a subtree, of several. With recorded
gates an edit is exact: everything else stays as it is, and the difference is the
part's own picture. With new gates the levels above decide again, so that the rest of
the picture may adapt. Where parts are placed freely, a location's place is no part of
its code: whatever is edited, parts are drawn where the picture has them, but for
`displace`, which moves one, and `rearrange`.
"""

import dataclasses

import numpy as np

from hcm_tf.explain import placed_parts
from hcm_tf.explain.attribution import shares
from hcm_tf.explain.decoder import Decoder, Recording
from hcm_tf.explain.tree import BREADTH, Tree, edges
from hcm_tf.explain.units import Units, active_units
from hcm_tf.networks.blocks import BlockGates
from hcm_tf.operations.placing import (
    TAPS,
    Placing,
    cover,
    shown,
    spread,
    visibility,
)

# Level -> its units that belong to the part.
Part = dict[int, Units]


@dataclasses.dataclass(frozen=True)
class Edit:
    """A picture before and after an edit, before tanh: `(size, size, channels)`."""

    before: np.ndarray
    after: np.ndarray


def subtree(tree: Tree, level: int, unit: int) -> Part:
    """The part made of a node of the tree and all nodes below it."""
    chosen: dict[int, list[int]] = {}
    for node in tree.subtree(level, unit):
        chosen.setdefault(node.level, []).append(node.unit)
    return {
        level: tree.units[level].take(np.array(units))
        for level, units in chosen.items()
    }


def join(first: Units, second: Units) -> Units:
    """The units of both, each once."""
    joined = Units(*(np.append(a, b) for a, b in zip(first, second, strict=True)))
    places = np.stack(joined[:3], axis=1)
    return joined.take(np.unique(places, axis=0, return_index=True)[1])


def grow_part(
    decoder: Decoder, recording: Recording, part: Part, breadth: int = BREADTH
) -> Part:
    """A part of one level, and the strongest units that it composes above."""
    level, units = _single_level(part)
    grown = {level: units}
    of_levels = shares(decoder, recording)
    for above in range(level + 1, len(recording.codes)):
        children = decoder.active(recording, above)
        places = children.row, children.column, children.basis
        share = of_levels[above][places]
        weights = edges(decoder, recording, above - 1, grown[above - 1], children)
        flows = weights * (share / children.value)
        strongest = np.argsort(-flows, axis=1, kind="stable")[:, :breadth]
        strongest = strongest[np.take_along_axis(flows, strongest, axis=1) > 0]
        grown[above] = children.take(np.unique(strongest))
    return grown


def at_cells(recording: Recording, level: int, cells: list[tuple[int, int]]) -> Part:
    """The part made of all units of a level at some cells (row, column)."""
    units = active_units(recording.codes[level])
    inside = np.zeros(units.count, bool)
    for row, column in cells:
        inside |= (units.row == row) & (units.column == column)
    return {level: units.take(inside)}


def scale(
    decoder: Decoder,
    recording: Recording,
    part: Part,
    factor: float,
    *,
    new_gates: bool = False,
) -> Edit:
    """Multiplies the activations of a part.

    Args:
        part: units; those of a higher level are scaled after those below.
        factor: 0 removes, 1 changes nothing, a negative one inverts.
        new_gates: let the levels above decide again; for parts of one level only.

    Raises:
        ValueError: new gates for a part of several levels.
    """
    if new_gates:
        level, units = _single_level(part)
        code = _scaled(recording.codes[level], units, factor)
        return Edit(recording.logits, _redrawn(decoder, recording, level, code))
    levels = sorted(part)
    code = recording.codes[levels[0]]
    for level, above in zip(levels, [*levels[1:], None], strict=True):
        code = _scaled(code, part[level], factor)
        code = decoder.replay(recording, level, code[None], until=above)[0]
    return Edit(recording.logits, code)


def remove(
    decoder: Decoder, recording: Recording, part: Part, *, new_gates: bool = False
) -> Edit:
    """Takes a part out of the picture."""
    return scale(decoder, recording, part, 0.0, new_gates=new_gates)


def picture(decoder: Decoder, recording: Recording, part: Part) -> np.ndarray:
    """What a part contributes to the image before tanh, by the recorded gates."""
    return recording.logits - remove(decoder, recording, part).after


def move(
    decoder: Decoder,
    recording: Recording,
    part: Part,
    rows: int,
    columns: int,
    *,
    new_gates: bool = False,
) -> Edit:
    """Moves a part by whole cells of its lowest level; what leaves the frame is lost.

    With recorded gates its picture is cut out and pasted elsewhere as it is; with new
    gates its units are moved, and the levels above draw the part at its new place.
    """
    if new_gates:
        level, units = _single_level(part)
        code = recording.codes[level].copy()
        height, width, _ = code.shape
        code[units.row, units.column, units.basis] = 0.0
        moved = units._replace(row=units.row + rows, column=units.column + columns)
        inside = (moved.row >= 0) & (moved.row < height)
        inside &= (moved.column >= 0) & (moved.column < width)
        moved = moved.take(inside)
        code[moved.row, moved.column, moved.basis] = moved.value
        return Edit(recording.logits, _redrawn(decoder, recording, level, code))
    cell = decoder.windows(recording, min(part), None).cell
    cut = picture(decoder, recording, part)
    pasted = shift(cut, rows * cell, columns * cell)
    return Edit(recording.logits, recording.logits - cut + pasted)


def displace(
    decoder: Decoder,
    recording: Recording,
    location: tuple[int, int],
    rows: float,
    columns: float,
    *,
    new_gates: bool = False,
) -> Edit:
    """Moves what a location draws, of a generator that places its parts freely.

    Its own matrix S is made for the new place; all else that was recorded stays: what
    the others leave visible of each pixel, their places, and, with recorded gates, all
    decisions above. So the difference is the part's picture at the new place less that
    at the old one. With new gates the levels above decide again.

    Args:
        location: row and column in the 4x4 grid.
        rows: cells of the 8x8 map, down; fractions are read between pixels.
        columns: to the right.

    Raises:
        ValueError: the generator places its parts on a grid.
    """
    gates = displaced_gates(recording, location, rows, columns)
    code = recording.codes[0]
    if new_gates:
        after = decoder.redraw(0, code[None], gates[0].placed)[0]
    else:
        moved = dataclasses.replace(recording, gates=gates)
        after = decoder.replay(moved, 0, code[None])[0]
    return Edit(recording.logits, after)


def displaced_gates(
    recording: Recording, location: tuple[int, int], rows: float, columns: float
) -> tuple[BlockGates, ...]:
    """The recorded gates with one location's part elsewhere; see `displace`."""
    if recording.placing is None:
        raise ValueError("Parts can be displaced only where `placement` is free.")
    placing = recording.placing
    visible = visibility(placing, cover(placing, spread(placing)))
    moved = spread(placed_parts.displaced(placing, [location], rows, columns))
    (number,) = placed_parts.indices(placing, [location])
    own = slice(TAPS * number, TAPS * (number + 1))
    placed = np.array(recording.placed)  # Of all others as it was recorded, to the bit.
    placed[..., own] = np.asarray(shown(moved, visible))[..., own]
    return (recording.gates[0]._replace(placed=placed), *recording.gates[1:])


def rearrange(
    decoder: Decoder,
    recording: Recording,
    placing: Placing,
    *,
    code: np.ndarray | None = None,
    new_gates: bool = False,
) -> Edit:
    """Draws a picture's parts at other places, in other sizes, or without some.

    Unlike `displace` all that follows from places is made anew: what a part no longer
    hides is seen again, the background too, and what it hides now is not. With recorded
    gates the levels above decide as if nothing had moved.

    Args:
        placing: of one image, such as `placed_parts.displaced` or `.absent` make.
        code: of the attributes, `(4, 4, attributes)`; None: the picture's.

    Raises:
        ValueError: the generator places its parts on a grid.
    """
    if recording.placing is None:
        raise ValueError("Parts can be rearranged only where `placement` is free.")
    code = (recording.codes[0] if code is None else code)[np.newaxis]
    placed = np.asarray(decoder.generator.sums(placing))
    if new_gates:
        return Edit(recording.logits, decoder.redraw(0, code, placed)[0])
    gates = (recording.gates[0]._replace(placed=placed), *recording.gates[1:])
    elsewhere = dataclasses.replace(recording, gates=gates)
    return Edit(recording.logits, decoder.replay(elsewhere, 0, code)[0])


def transplant(
    decoder: Decoder,
    source: Recording,
    part: Part,
    target: Recording,
    *,
    new_gates: bool = False,
) -> Edit:
    """Puts a part of one image in the place of what another has at the same cells.

    Args:
        source: the image that gives.
        part: units of the source.
        target: the image that receives; its units at the cells of the part's lowest
            level give way, but those of the background only to a part that has some.
    """
    level = min(part)
    units = part[level]
    cells = sorted(set(zip(units.row.tolist(), units.column.tolist(), strict=True)))
    giving_way = at_cells(target, level, cells)
    behind = decoder.generator.levels[level].always
    if not np.any(units.basis < behind):
        there = giving_way[level]
        giving_way = {level: there.take(there.basis >= behind)}
    if new_gates:
        level, units = _single_level(part)
        code = _scaled(target.codes[level], giving_way[level], 0.0)
        code[units.row, units.column, units.basis] = units.value
        return Edit(target.logits, _redrawn(decoder, target, level, code))
    rest = remove(decoder, target, giving_way).after
    return Edit(target.logits, rest + picture(decoder, source, part))


def interpolate(
    decoder: Decoder, first: np.ndarray, last: np.ndarray, count: int
) -> list[Recording]:
    """Draws `count` latents on the straight line between two, both included.

    Raises:
        ValueError: `count` is below 2.
    """
    if count < 2:
        raise ValueError(f"`count` must be at least 2. Received: {count}")
    weights = np.linspace(0.0, 1.0, count)[:, None]
    return decoder.record((1 - weights) * first + weights * last)


def _single_level(part: Part) -> tuple[int, Units]:
    if len(part) != 1:
        raise ValueError(
            "A part of several levels can only be edited with recorded gates. "
            f"Received: levels {sorted(part)}"
        )
    return next(iter(part.items()))


def _redrawn(
    decoder: Decoder, recording: Recording, level: int, code: np.ndarray
) -> np.ndarray:
    """What a code draws anew, its parts at the places of the recording."""
    return decoder.redraw(level, code[None], recording.placed)[0]


def _scaled(code: np.ndarray, units: Units, factor: float) -> np.ndarray:
    code = code.copy()
    code[units.row, units.column, units.basis] *= np.float32(factor)
    return code


def shift(image: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Shifts an image and fills with zeros."""
    height, width, _ = image.shape
    shifted = np.zeros_like(image)
    to_row, to_column = max(rows, 0), max(columns, 0)
    from_row, from_column = max(-rows, 0), max(-columns, 0)
    kept_rows = max(height - abs(rows), 0)
    kept_columns = max(width - abs(columns), 0)
    shifted[to_row : to_row + kept_rows, to_column : to_column + kept_columns] = image[
        from_row : from_row + kept_rows, from_column : from_column + kept_columns
    ]
    return shifted
