"""Putting finished files where others look for them, whole or not at all."""

import pathlib

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
