"""OR: which basis functions competed for a place, and by how much the winner won.

Two comparisons describe a unit. Its *rivals* are the other basis functions at the same
place. The *margin* is what it had to spare in the selection: its response less the
strongest response that was not kept among those it was selected from, which are the
attributes of its location at level 0, and the positions of its feature map above. An
attribute of the background is always kept: it has no rivals, and is nobody's.
"""

import dataclasses

import numpy as np

from hcm_tf.explain.decoder import Recording
from hcm_tf.networks.levels import Level

RIVALS = 5


@dataclasses.dataclass(frozen=True)
class Rival:
    """Another basis function at the place of a unit.

    Attributes:
        basis: its channel.
        response: its activation before selection.
        kept: whether it is active as well.
    """

    basis: int
    response: float
    kept: bool


@dataclasses.dataclass(frozen=True)
class Choice:
    """How a unit came to be active.

    Attributes:
        rank: place among its rivals here, 1 for the strongest.
        lead: its response less that of the strongest rival, negative below rank 1; None
            where it is always kept.
        margin: its response less the best one that was not kept; None where the
            selection rejected nothing.
        gate: what the selection let through of its response; 1 under a rule that keeps
            or leaves out.
        always: whether it is kept without competing.
        rivals: the strongest other basis functions here, strongest first.
    """

    rank: int
    lead: float | None
    margin: float | None
    gate: float
    always: bool
    rivals: tuple[Rival, ...]


def choose(
    recording: Recording,
    level: int,
    about: Level,
    row: int,
    column: int,
    basis: int,
    rivals: int = RIVALS,
) -> Choice:
    """Compares one unit with those that it was selected from, and with its rivals.

    Args:
        recording: the image.
        level: number of the unit's level.
        about: that level.
        row, column, basis: of the unit.
        rivals: how many to name.
    """
    responses = recording.responses[level]
    code = recording.codes[level]
    here = responses[row, column]
    own = here[basis]
    gate = float(code[row, column, basis] / own) if own else 0.0
    if basis < about.always:
        return Choice(1, lead=None, margin=None, gate=gate, always=True, rivals=())
    others = np.argsort(-here, kind="stable")
    others = others[(others != basis) & (others >= about.always)]
    pool = tuple(
        slice(None) if axis in about.competing_axes else place
        for axis, place in enumerate((row, column, basis))
    )
    competing, selected = responses[pool], code[pool]
    rejected = competing[(selected == 0) & (competing != 0)]
    return Choice(
        rank=1 + int(np.sum(here[about.always :] > own)),
        lead=float(own - here[others[0]]) if len(others) else float(own),
        margin=float(own - rejected.max()) if rejected.size else None,
        gate=gate,
        always=False,
        rivals=tuple(
            Rival(int(other), float(here[other]), bool(code[row, column, other]))
            for other in others[:rivals]
        ),
    )
