"""A session of the studio: a picture and what was done to it, as JSON.

The picture is a function of the session, here and in the browser
(`studio/page/compose.js`); `session.schema.json` has its form. A session belongs to one
set of weights. What its changes mean, level by level from the lowest:

Of a conditional model an origin may choose classes: its latent stays, and the picture,
with every decision that is recorded of it, is that of the latent as those classes.

With recorded gates a change multiplies what the changes below have left of a unit, and
the picture changes by just the difference that this makes. A moved unit's picture is
cut out and pasted elsewhere. A swap removes all units at a cell and adds those that a
donor has there, drawn by the donor's gates, but leaves the background of both where it
is; an insertion adds one. Decided anew, the code that the level has by then is changed,
and all levels above select again: first all goes that is taken away, then what is put
somewhere replaces what is there. Where parts are placed freely, a location's place is
the picture's own and no part of a code: what is put there is drawn where the picture
has it.
"""

import base64
import binascii
import dataclasses
import json
import math
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from hcm_tf import labels
from hcm_tf.config import Label
from hcm_tf.errors import UserError
from hcm_tf.explain.decoder import Decoder, Recording
from hcm_tf.explain.edits import Edit, shift
from hcm_tf.explain.identity import model_hash
from hcm_tf.networks.levels import Level
from hcm_tf.prior import draw, towards
from hcm_tf.runs.checkpoint import Run

SCHEMA_FILE = pathlib.Path(__file__).with_name("session.schema.json")
VERSION = 2
MOST_CHANGES = 500
MOST_PINS = 24
LARGEST_FILE = 2**20
LARGEST_FACTOR = 4.0
BITS = 24

Origin = dict[str, Any]
Place = tuple[int, int, int]
Open = Callable[[Origin], Recording]


@dataclasses.dataclass(frozen=True)
class Change:
    """One entry of a session's list.

    Attributes:
        kind: "change", "swap" or "insert".
        level: level of the unit.
        place: (row, column, basis) of it.
        factor: its activation is multiplied by this.
        rows, columns: cells that it is moved down and right.
        donor: where a swap or insertion takes from.
    """

    kind: str
    level: int
    place: Place
    factor: float
    rows: int
    columns: int
    donor: Origin | None


@dataclasses.dataclass(frozen=True)
class Session:
    """A picture and what is done to it; changes that are switched off are left out.

    Attributes:
        origin: of the picture, see `latent_of`.
        anew: the levels above a change select again.
        changes: in the order of the list.
    """

    origin: Origin
    anew: bool
    changes: tuple[Change, ...]


def read(path: str | pathlib.Path, run: Run) -> Session:
    """Reads a session of a run.

    Raises:
        UserError: it cannot be read, is damaged, or is of another version or model.
    """
    path = pathlib.Path(path)
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise UserError(f"{path} is too large for a session.")
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is no session: it is not JSON.") from error
    if not isinstance(found, dict) or found.get("version") != VERSION:
        raise UserError(f"{path} is no session of this version of the studio.")
    if found.get("model") != model_hash(run.generator):
        raise UserError(
            f"{path} belongs to another model than this run's. Give the --run_dir that "
            "it was made with."
        )
    try:
        return parse(
            *(found, run.generator.levels, run.prior.size), run.config.model.labels
        )
    except KeyError as error:
        raise UserError(f"{path} is damaged: {error.args[0]} is missing.") from error
    except (TypeError, ValueError) as error:
        raise UserError(f"{path} is damaged: {error}.") from error


def parse(
    found: dict[str, Any],
    levels: tuple[Level, ...],
    size: int,
    known: Sequence[Label] = (),
) -> Session:
    """A session from plain values, checked as `session.schema.json` would.

    Args:
        found: the values.
        levels: of the generator; places and moves must be inside.
        size: length of a latent, with the labels behind it.
        known: the generator's labels.

    Raises:
        KeyError, TypeError, ValueError: something is missing, of another type, or out
            of range.
    """
    if type(found["anew"]) is not bool:
        raise TypeError("anew must be true or false")
    for pin in _list(found, "pins", MOST_PINS):
        _origin(pin, size, known)
    changes = [
        _change(entry, levels, size, known)
        for entry in _list(found, "edits", MOST_CHANGES)
    ]
    return Session(
        origin=_origin(found["origin"], size, known),
        anew=found["anew"],
        changes=tuple(change for change, on in changes if on),
    )


def latent_of(origin: Origin, run: Run) -> np.ndarray:
    """The latent of an origin, with the labels behind it: float32 `(size,)`.

    Args:
        origin: of a seed, of the way from a seed to an `other`, or a `latent` itself:
            base64 of signed integers of 24 bits, little-endian, in units of 2**-23.
            Its `classes`, by the names of their labels, stand behind it instead of
            those that it would have.
        run: has the prior and the labels.
    """
    known, latent = run.config.model.labels, _unchosen(origin, run)
    chosen = labels.named(known, origin.get("classes", {}))
    return labels.replaced(known, latent[None], chosen)[0] if chosen else latent


def _unchosen(origin: Origin, run: Run) -> np.ndarray:
    """The latent of an origin as if it chose no class."""
    if "latent" in origin:
        raw = np.frombuffer(base64.b64decode(origin["latent"]), np.uint8)
        low, middle, high = raw.reshape(-1, 3).astype("int32").T
        whole = low + (middle << 8) + (high << 16)
        whole -= (whole >= 2 ** (BITS - 1)).astype("int32") << BITS
        return (whole * 2.0 ** (1 - BITS)).astype("float32")
    seed, truncation = origin["seed"], origin["truncation"]
    if origin.get("share", 0) == 0:
        return draw(run.prior, seed, 1, truncation)[0]
    return towards(run.prior, seed, origin["other"], origin["share"], truncation)


def compose(run: Run, decoder: Decoder, session: Session) -> Edit:
    """The picture of a session, before and after its changes, before tanh."""

    def open_origin(origin: Origin) -> Recording:
        return decoder.record(latent_of(origin, run)[None])[0]

    recording = open_origin(session.origin)
    if not session.changes:
        return Edit(recording.logits, recording.logits)
    act = _redrawn if session.anew else _recorded
    after = act(decoder, recording, session.changes, open_origin)
    return Edit(recording.logits, after.astype("float32"))


def _recorded(
    decoder: Decoder,
    recording: Recording,
    changes: tuple[Change, ...],
    open_origin: Open,
) -> np.ndarray:
    pasted = np.zeros_like(recording.logits, "float64")
    # By how much a level's code differs from the recorded one.
    flow = np.zeros_like(recording.codes[0])
    for level, code in enumerate(recording.codes):
        if level:
            flow = decoder.replay(recording, level - 1, flow[None], until=level)[0]
        cell = decoder.windows(recording, level, None).cell
        behind = decoder.levels[level].always
        now, here = code + flow, [one for one in changes if one.level == level]
        gone = _giving_way(code, here, behind)
        flow[gone] = -code[gone]
        for place, change in _changed(code, here, gone).items():
            value = change.factor * now[place]
            moved = change.rows != 0 or change.columns != 0
            flow[place] = (0 if moved else value) - code[place]
            if moved:
                alone = np.zeros_like(code)
                alone[place] = value
                drawn = decoder.replay(recording, level, alone[None])[0]
                pasted += shift(drawn, change.rows * cell, change.columns * cell)
        for change in here:
            if change.kind == "change":
                continue
            donor = open_origin(change.donor)
            given = np.zeros_like(code)
            for place, value in _given(donor.codes[level], change, behind).items():
                given[place] = value
            drawn = decoder.replay(donor, level, given[None])[0]
            pasted += shift(drawn, change.rows * cell, change.columns * cell)
    difference = decoder.replay(recording, len(recording.codes) - 1, flow[None])[0]
    return recording.logits + difference + pasted


def _redrawn(
    decoder: Decoder,
    recording: Recording,
    changes: tuple[Change, ...],
    open_origin: Open,
) -> np.ndarray:
    codes, logits = list(recording.codes), recording.logits
    for level in sorted({change.level for change in changes}):
        current, code = codes[level], codes[level].copy()
        behind = decoder.levels[level].always
        here = [one for one in changes if one.level == level]
        gone = _giving_way(current, here, behind)
        own = _changed(current, here, gone)
        # All that goes has gone before anything is put in its place.
        code[gone] = 0
        for place in own:
            code[place] = 0
        for place, change in own.items():
            _put(code, change, {place: change.factor * current[place]})
        for change in here:
            if change.kind != "change":
                donor = open_origin(change.donor)
                _put(code, change, _given(donor.codes[level], change, behind))
        # The picture's parts stay where they are, whoever gave them.
        trace = decoder.retrace(level, code, recording.placed)
        codes[level:] = [found[0].numpy() for found in trace.codes]
        logits = trace.logits[0].numpy()
    return logits


def _giving_way(code: np.ndarray, changes: list[Change], behind: int) -> np.ndarray:
    """What swaps empty, bool of the code's shape: cells, but for the background."""
    gone = np.zeros(code.shape, bool)
    for change in changes:
        if change.kind == "swap":
            gone[*change.place[:2], behind:] = True
    return gone


def _changed(
    code: np.ndarray, changes: list[Change], gone: np.ndarray
) -> dict[Place, Change]:
    """The last change of each unit that is active and does not give way."""
    return {
        change.place: change
        for change in changes
        if change.kind == "change"
        and code[change.place] != 0
        and not gone[change.place]
    }


def _given(code: np.ndarray, change: Change, behind: int) -> dict[Place, float]:
    """What a donor's code gives: a unit, or all active parts at its cell."""
    row, column, basis = change.place
    found = [basis]
    if change.kind == "swap":
        found = behind + np.flatnonzero(code[row, column, behind:])
    places = [(row, column, int(one)) for one in found]
    return {place: change.factor * code[place] for place in places}


def _put(code: np.ndarray, change: Change, values: dict[Place, float]) -> None:
    for (row, column, basis), value in values.items():
        row, column = row + change.rows, column + change.columns
        if 0 <= row < code.shape[0] and 0 <= column < code.shape[1]:
            code[row, column, basis] = value


def _list(found: dict[str, Any], name: str, most: int) -> list:
    if not isinstance(found[name], list) or len(found[name]) > most:
        raise ValueError(f"{name} must be a list of at most {most}")
    return found[name]


def _change(
    entry: Any, levels: tuple[Level, ...], size: int, known: Sequence[Label]
) -> tuple[Change, bool]:
    if not isinstance(entry, dict):
        raise TypeError("an edit must be an object")
    kind = entry["do"]
    if kind not in ("change", "swap", "insert"):
        raise ValueError("do must be change, swap or insert")
    level = _integer(entry, "level", 0, len(levels) - 1)
    shape = levels[level].shape
    unit = _integer(entry, "unit", 0, math.prod(shape) - 1)
    if type(entry["on"]) is not bool:
        raise TypeError("on must be true or false")
    change = Change(
        kind=kind,
        level=level,
        place=tuple(int(index) for index in np.unravel_index(unit, shape)),
        factor=_number(entry, "factor", -LARGEST_FACTOR, LARGEST_FACTOR),
        rows=_integer(entry, "rows", -shape[0], shape[0]),
        columns=_integer(entry, "columns", -shape[1], shape[1]),
        donor=None if kind == "change" else _origin(entry["donor"], size, known),
    )
    return change, entry["on"]


def _origin(origin: Any, size: int, known: Sequence[Label]) -> Origin:
    if not isinstance(origin, dict):
        raise TypeError("an origin must be an object")
    classes = origin.get("classes", {})
    chosen = {"classes": classes} if labels.named(known, classes) else {}
    if "latent" in origin:
        latent = origin["latent"]
        try:
            length = len(base64.b64decode(latent, validate=True))
        except (TypeError, ValueError, binascii.Error) as error:
            raise ValueError("latent must be base64") from error
        if length != size * BITS // 8:
            raise ValueError(f"latent must have {size} entries of {BITS} bits")
        return {"latent": latent, **chosen}
    plain = {
        "seed": _integer(origin, "seed", -(2**31), 2**31 - 1),
        "truncation": _number(origin, "truncation", 0, 1),
    }
    if "share" in origin or "other" in origin:
        plain["other"] = _integer(origin, "other", -(2**31), 2**31 - 1)
        plain["share"] = _number(origin, "share", 0, 1)
    return plain | chosen


def _integer(holder: dict[str, Any], name: str, low: int, high: int) -> int:
    value = holder[name]
    # JSON of other programs may say 2.0.
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if type(value) is not int or not low <= value <= high:
        raise ValueError(f"{name} must be an integer from {low} to {high}")
    return value


def _number(holder: dict[str, Any], name: str, low: float, high: float) -> float:
    value = holder[name]
    if type(value) not in (int, float) or not low <= value <= high:
        raise ValueError(f"{name} must be a number from {low} to {high}")
    return float(value)
