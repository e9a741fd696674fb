"""Files and directories that are written whole or not at all."""

import contextlib
import itertools
import os
import pathlib
import shutil
import tempfile
from collections.abc import Iterator

from hcm_tf.errors import UserError


def write(path: str | os.PathLike, contents: bytes | str) -> None:
    """Writes a file; text as UTF-8. Its directory is made.

    Raises:
        OSError: it cannot be written; what was there before is as it was.
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    if isinstance(contents, str):
        contents = contents.encode()
    try:
        partial.write_bytes(contents)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


@contextlib.contextmanager
def staging(base: pathlib.Path) -> Iterator[pathlib.Path]:
    """A directory to fill in `base`, removed at the end unless it was renamed.

    So is `base`, if it was made for it and is empty then.
    """
    missing = _missing(base)
    base.mkdir(parents=True, exist_ok=True)
    directory = pathlib.Path(tempfile.mkdtemp(prefix=".partial-", dir=base))
    directory.chmod(0o755)  # A server often runs as somebody else.
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)
        _remove(missing)


@contextlib.contextmanager
def whole_directory(out: str | os.PathLike) -> Iterator[pathlib.Path]:
    """Gives a directory to write into, whose files get to `out` when all is done.

    Files in `out` with the same names are replaced, others stay.

    Raises:
        UserError: `out` is no directory, or cannot be written.
    """
    out = pathlib.Path(out)
    if out.exists() and not out.is_dir():
        raise UserError(f"{out} is a file. Name another --out directory.")
    try:
        missing = _missing(out)
        out.mkdir(parents=True, exist_ok=True)
        partial = pathlib.Path(tempfile.mkdtemp(prefix=".partial-", dir=out))
    except OSError as error:
        raise UserError(
            f"{out} cannot be written ({error.strerror}). Name another --out directory."
        ) from error
    moved: list[pathlib.Path] = []
    try:
        yield partial
        _move(partial, out, moved)
        missing = []
    except OSError as error:
        raise UserError(
            f"{out} cannot be written ({error.strerror or error}). Mend the cause, or "
            "name another --out directory."
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        if missing:
            _remove([*reversed(moved), *missing])


def _move(partial: pathlib.Path, out: pathlib.Path, moved: list[pathlib.Path]) -> None:
    for path in sorted(partial.rglob("*")):
        target = out / path.relative_to(partial)
        if path.is_dir():
            target.mkdir(exist_ok=True)
        else:
            os.replace(path, target)
        moved.append(target)


def _missing(out: pathlib.Path) -> list[pathlib.Path]:
    """The directories that making `out` makes, itself first."""
    return list(
        itertools.takewhile(lambda path: not path.exists(), (out, *out.parents))
    )


def _remove(paths: list[pathlib.Path]) -> None:
    """Files, and directories in which nobody else has put anything meanwhile."""
    for path in paths:
        with contextlib.suppress(OSError):
            path.rmdir() if path.is_dir() else path.unlink()
