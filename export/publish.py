"""Putting finished files where others look for them, whole or not at all."""

import contextlib
import os
import pathlib
import shutil
import tempfile
from collections.abc import Iterator

from hcm_tf.errors import UserError


def next_version(*bases: pathlib.Path) -> int:
    """One more than the largest version that any of the directories holds."""
    versions = [
        int(entry.name)
        for base in bases
        if base.is_dir()
        for entry in base.iterdir()
        if entry.name.isdecimal()
    ]
    return max(versions, default=0) + 1


@contextlib.contextmanager
def staging(base: pathlib.Path) -> Iterator[pathlib.Path]:
    """A directory to fill beside the versions, removed unless it was published.

    A server looks at names that are integers only, so it does not see this one.
    """
    base.mkdir(parents=True, exist_ok=True)
    directory = pathlib.Path(tempfile.mkdtemp(prefix=".partial-", dir=base))
    directory.chmod(0o755)  # A server often runs as somebody else.
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def publish(directory: pathlib.Path, base: pathlib.Path, version: int) -> pathlib.Path:
    """Renames a filled directory to `<base>/<version>`, in one step.

    Raises:
        UserError: that version exists.
    """
    target = base / str(version)
    try:
        directory.rename(target)
    except OSError as error:
        if target.exists():
            raise exists(target) from error
        raise
    return target


def exists(target: pathlib.Path) -> UserError:
    """What to say about a version that is already there."""
    return UserError(
        f"{target} exists already: a version is never overwritten. Name another with "
        "--version, or none for the next."
    )


def write_file(path: pathlib.Path, contents: bytes) -> None:
    """Writes a file, whole or not at all; makes its directory."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    try:
        partial.write_bytes(contents)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
