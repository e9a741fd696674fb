"""The engine's verbs as messages: checks what a page sends, and answers."""

import math
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np

from hcm_tf import labels
from hcm_tf.errors import UserError
from hcm_tf.explain import names
from hcm_tf.studio.engine import Engine, Picture, sparse

Message = tuple[dict[str, Any], dict[str, np.ndarray]]
MOST_CODES = 16
MOST_RIVALS = 32


class Api:
    """Answers messages for one engine.

    Every verb raises ValueError with one line where a message makes no sense, and
    LookupError where it names a picture that is not kept any more.

    Args:
        engine: of a run.
        run_dir: of the same; keeps the names of its basis functions.

    Raises:
        UserError: the names in it cannot be read.
    """

    def __init__(self, engine: Engine, run_dir: str | pathlib.Path) -> None:
        self.engine = engine
        self.run_dir = run_dir
        names.read(run_dir, engine.model["hash"])  # Refused now, not on the page.
        self.verbs: dict[str, Callable[[dict, dict], Message]] = {
            "model": self._model,
            "latent": self._latent,
            "trace": self._trace,
            "redraw": self._redraw,
            "replay": self._replay,
            "credit": self._credit,
            "edges": self._edges,
            "choice": self._choice,
            "encode": self._encode,
            "slope": self._slope,
            "names": self._names,
            "rename": self._rename,
        }

    @property
    def body_limit(self) -> int:
        """Bytes of the largest message that makes sense."""
        return 2**21 + 8 * max(
            math.prod(self.engine.shape),
            *(math.prod(level.shape) for level in self.engine.levels),
        )

    def _model(self, values: dict, arrays: dict) -> Message:
        return self.engine.model, {}

    def _latent(self, values: dict, arrays: dict) -> Message:
        seed, other = _seed(values, "seed"), _seed(values, "other")
        share, truncation = _part(values, "share"), _part(values, "truncation")
        if share == 0:
            return {}, {"latent": self.engine.latent_of(seed, truncation)}
        return {}, {"latent": self.engine.towards(seed, other, share, truncation)}

    def _trace(self, values: dict, arrays: dict) -> Message:
        latent = _floats(arrays, "latent", self.engine.run.prior.size)
        known = self.engine.run.config.model.labels
        chosen = labels.named(known, values.get("classes", {}))
        return self._picture(self.engine.trace(np.clip(latent, -1, 1), chosen))

    def _redraw(self, values: dict, arrays: dict) -> Message:
        level = self._level(values)
        of = _picture(values) if "id" in values else None
        code = self._code(arrays, level, "")
        return self._picture(self.engine.redraw(level, *code, of))

    def _replay(self, values: dict, arrays: dict) -> Message:
        level = self._level(values)
        count = _integer(values, "codes", 1, MOST_CODES)
        codes = [self._code(arrays, level, str(number)) for number in range(count)]
        drawn = self.engine.replay(_picture(values), level, codes)
        return {}, {f"logits{n}": logits.ravel() for n, logits in enumerate(drawn)}

    def _credit(self, values: dict, arrays: dict) -> Message:
        weights = _floats(arrays, "weights", math.prod(self.engine.shape))
        found = self.engine.credit(_picture(values), weights)
        return {}, {f"credit{number}": level for number, level in enumerate(found)}

    def _edges(self, values: dict, arrays: dict) -> Message:
        level = self._level(values)
        unit = self._unit(values, level)
        children, below = self.engine.edges(_picture(values), level, unit)
        arrays = _units("children", children)
        for lower, units in enumerate(below):
            arrays |= _units(f"below{lower}", units)
        return {}, arrays

    def _choice(self, values: dict, arrays: dict) -> Message:
        level = self._level(values)
        unit = self._unit(values, level)
        count = _integer(values, "count", 0, MOST_RIVALS)
        found = self.engine.choice(_picture(values), level, unit, count)
        first = unit - unit % self.engine.levels[level].shape[2]
        return {
            "rank": found.rank,
            "lead": found.lead,
            "margin": found.margin,
            "gate": found.gate,
            "always": found.always,
        }, {
            "index": np.array([first + one.basis for one in found.rivals], "uint32"),
            "response": np.array([one.response for one in found.rivals], "float32"),
            "kept": np.array([one.kept for one in found.rivals], "uint32"),
        }

    def _encode(self, values: dict, arrays: dict) -> Message:
        pixels = _floats(arrays, "pixels", math.prod(self.engine.shape))
        return {}, {"latent": self.engine.encode(np.clip(pixels, -1, 1))}

    def _slope(self, values: dict, arrays: dict) -> Message:
        latent = _floats(arrays, "latent", self.engine.run.prior.size)
        pixels = _floats(arrays, "pixels", math.prod(self.engine.shape))
        error, gradient = self.engine.slope(
            np.clip(latent, -1, 1), np.clip(pixels, -1, 1)
        )
        return {"error": error}, {"gradient": gradient}

    def _names(self, values: dict, arrays: dict) -> Message:
        try:
            found = names.read(self.run_dir, self.engine.model["hash"])
        except UserError as error:
            raise ValueError(str(error).removesuffix(".")) from error
        return {"names": found}, {}

    def _rename(self, values: dict, arrays: dict) -> Message:
        given = values.get("key"), values.get("name")
        try:
            found = names.rename(self.run_dir, self.engine.model["hash"], *given)
        except OSError as error:
            raise ValueError(
                f"{names.FILE} cannot be written ({error.strerror})"
            ) from error
        except UserError as error:
            raise ValueError(str(error).removesuffix(".")) from error
        return {"names": found}, {}

    def _picture(self, picture: Picture) -> Message:
        recording = picture.recording
        arrays = {"latent": recording.latent, "logits": recording.logits.ravel()}
        for level in range(picture.lowest, len(recording.codes)):
            arrays |= _units(str(level), sparse(recording.codes[level]))
        return {"id": picture.id, "lowest": picture.lowest}, arrays

    def _level(self, values: dict) -> int:
        return _integer(values, "level", 0, len(self.engine.levels) - 1)

    def _unit(self, values: dict, level: int) -> int:
        return _integer(
            values, "unit", 0, math.prod(self.engine.levels[level].shape) - 1
        )

    def _code(self, arrays: dict, level: int, suffix: str) -> tuple:
        index, value = arrays.get("index" + suffix), arrays.get("value" + suffix)
        if index is None or index.dtype != np.uint32:
            raise ValueError(f"index{suffix} must be uint32 values")
        value = _floats(arrays, "value" + suffix, len(index))
        if index.size and index.max() >= math.prod(self.engine.levels[level].shape):
            raise ValueError("there is no such unit in this level")
        return index, value


def _units(prefix: str, units: tuple) -> dict[str, np.ndarray]:
    return {
        f"{prefix}index": units[0].astype("uint32"),
        f"{prefix}value": units[1].astype("float32"),
    }


def _picture(values: dict) -> int:
    return _integer(values, "id", 0, 2**53)


def _seed(values: dict, name: str) -> int:
    return _integer(values, name, -(2**31), 2**31 - 1)


def _part(values: dict, name: str) -> float:
    value = values.get(name)
    if type(value) not in (int, float) or not 0 <= value <= 1:
        raise ValueError(f"{name} must be a number from 0 to 1")
    return value


def _integer(values: dict, name: str, low: int, high: int) -> int:
    value = values.get(name)
    if type(value) is not int or not low <= value <= high:
        raise ValueError(f"{name} must be an integer from {low} to {high}")
    return value


def _floats(arrays: dict, name: str, size: int) -> np.ndarray:
    value = arrays.get(name)
    if value is None or value.dtype != np.float32 or value.size != size:
        raise ValueError(f"{name} must be {size} float32 values")
    # A value this large overflows on the way to the picture.
    if not np.all(np.abs(value) <= 1e6):
        raise ValueError(f"{name} must hold finite values of a sensible size")
    return value
