"""Names that people give to basis functions, kept with the model: `RUN/names.json`.

    {"model": "0123456789abcdef",
     "names": {"8x8:17": "eyes", "attributes:1,2:40": "hair"}}

A feature map has one basis function for all positions, and its name is of level and
channel; attributes belong to a location, which is row and column before the channel.
Training that goes on makes another model: the names of the one before are kept beside
the new ones, as `names-01234567.json` by the first digits of their model.
"""

import json
import pathlib
import re
import sys
import unicodedata
from typing import Any

from hcm_tf import files
from hcm_tf.errors import UserError
from hcm_tf.networks.levels import Level

FILE = "names.json"
MOST = 10_000
LONGEST = 80
LARGEST_FILE = 2**24
DIGITS = 8

Names = dict[str, str]


def key(level: Level, row: int, column: int, basis: int) -> str:
    """What the basis function of a unit is called in the file."""
    place = f"{row},{column}:" if level.placed else ""
    return f"{level.name}:{place}{basis}"


def read(run_dir: str | pathlib.Path, model: str) -> Names:
    """The names in a run's directory; none, if it has none or another model's.

    Args:
        model: the weights' `identity.model_hash`.

    Raises:
        UserError: the file cannot be read, or is no file of names.
    """
    path = pathlib.Path(run_dir) / FILE
    found = _load(path)
    if found is None:
        return {}
    if found.get("model") != model:
        print(f"{path} has the names of another model: left out.", file=sys.stderr)
        return {}
    try:
        return checked(found.get("names"))
    except ValueError as error:
        raise UserError(f"{path}: {error}. Mend it or move it away.") from error


def write(run_dir: str | pathlib.Path, model: str, names: Names) -> None:
    """Writes the names, whole or not at all; another model's are kept beside them.

    Raises:
        OSError: the file cannot be written.
        UserError: what is there cannot be read, or is no file of names.
        ValueError: as `checked`.
    """
    contents = {"model": model, "names": dict(sorted(checked(names).items()))}
    text = json.dumps(contents, indent=1, ensure_ascii=False) + "\n"
    path = pathlib.Path(run_dir) / FILE
    found = _load(path)
    if found is not None and found.get("model") != model:
        kept = _set_aside(path, str(found.get("model", "")))
        print(
            f"{path} had the names of another model: kept as {kept.name}.",
            file=sys.stderr,
        )
    files.write(path, text)


def rename(run_dir: str | pathlib.Path, model: str, what: Any, name: Any) -> Names:
    """Names one basis function; the others are as the file has them by now.

    Args:
        model: as of `read`.
        what: `key` of the basis function.
        name: "" takes its name away.

    Returns:
        All names.

    Raises:
        OSError, UserError, ValueError: as of `read` and `write`.
    """
    if not isinstance(what, str):
        raise ValueError("what is named must be text")
    if name != "":
        checked({what: name})
    found = read(run_dir, model)
    found.pop(what, None)
    if name:
        found[what] = name
    write(run_dir, model, found)
    return found


def _load(path: pathlib.Path) -> dict[str, Any] | None:
    """What a file of names holds, unchecked; None if there is no file."""
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise UserError(f"{path} is too large for names. Move it away.")
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(
            f"{path} cannot be read as names. Mend it or move it away."
        ) from error
    if not isinstance(found, dict):
        raise UserError(f"{path} is no file of names. Mend it or move it away.")
    return found


def _set_aside(path: pathlib.Path, model: str) -> pathlib.Path:
    """Renames a file after its model, which may be anything; never over another."""
    digits = re.sub("[^0-9a-f]", "", model)[:DIGITS]
    stem = f"{path.stem}-{digits or 'unknown'}"
    kept, number = path.with_name(f"{stem}.json"), 1
    while kept.exists():
        number += 1
        kept = path.with_name(f"{stem}-{number}.json")
    return path.rename(kept)


def checked(names: Any) -> Names:
    """The names, if that is what they are.

    Raises:
        ValueError: one line, of what they are not.
    """
    if not isinstance(names, dict) or len(names) > MOST:
        raise ValueError(f"names must be an object of at most {MOST} entries")
    for what, name in names.items():
        for text in (what, name):
            if not isinstance(text, str) or not 0 < len(text) <= LONGEST:
                raise ValueError(f"a name must be text of 1 to {LONGEST} characters")
            if not all(map(_is_printable, text)):
                raise ValueError("a name must be printable")
    return names


def _is_printable(letter: str) -> bool:
    # Python calls no space printable but the plain one; people type others in names.
    return letter.isprintable() or unicodedata.category(letter) == "Zs"
