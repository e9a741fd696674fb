"""One data set on disk, whole or not there: arrays in files, and what they are.

An entry is a directory of `images.npy`, a `label-NUMBER.npy` for each kind of label,
and `about.json`. It is filled under another name, and renamed when it is whole.
"""

import contextlib
import dataclasses
import errno
import json
import os
import pathlib
import shutil
from collections.abc import Iterator
from typing import Any

import numpy as np
from absl import logging

from hcm_tf import files
from hcm_tf.data.array_file import ArrayWriter
from hcm_tf.data.image_set import ImageSet
from hcm_tf.data.source import Source, divided

_ABOUT, _IMAGES, _LABELS = "about.json", "images.npy", "label-{}.npy"

# What reading a damaged file ends in.
_DAMAGE = (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError)

Pair = tuple[ImageSet, ImageSet]


class Unwritable(Exception):
    """The cache cannot be written; says why."""


@contextlib.contextmanager
def writing() -> Iterator[None]:
    """Whatever fails inside is blamed on the cache."""
    try:
        yield
    except OSError as error:
        raise Unwritable(str(error)) from error


def store(entry: pathlib.Path, source: Source) -> None:
    """Fills the entry; what is damaged or was left half filled is removed first."""
    partial = entry.with_name(f".{entry.name}.partial")
    try:
        with writing():
            _remove(entry)
            _remove(partial)
            partial.mkdir()
            _check_room(partial, source)
        about = _write(partial, source)
        with writing():
            files.write(partial / _ABOUT, json.dumps(about, indent=1) + "\n")
            os.rename(partial, entry)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _remove(directory: pathlib.Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(directory)


def _check_room(directory: pathlib.Path, source: Source) -> None:
    """Before hours of reading in vain."""
    free = shutil.disk_usage(directory).free
    if source.bytes > free:
        raise OSError(
            errno.ENOSPC, f"{source.bytes / 1e9:.1f} GB needed, {free / 1e9:.1f} free"
        )


def _write(directory: pathlib.Path, source: Source) -> dict[str, Any]:
    """Writes all arrays; returns what `about.json` must say of them."""
    source.notes.clear()
    with contextlib.ExitStack() as stack:

        def begin(name: str, shape: tuple[int, ...], kind: type) -> ArrayWriter:
            writer = ArrayWriter(directory / name, shape, kind)
            stack.callback(writer.close)
            return writer

        with writing():
            images = begin(_IMAGES, source.shape, np.uint8)
            labels = {
                kind: begin(_LABELS.format(number), (), np.int64)
                for number, kind in enumerate(source.label_names)
            }
        for image, label in source.examples():
            with writing():
                images.append(image)
                for kind, writer in labels.items():
                    writer.append(label[kind])
        held_out = source.divide(images.count)
        with writing():
            for writer in (images, *labels.values()):
                writer.finish()
    about = {
        "name": source.name,
        "count": images.count,
        "shape": list(source.shape),
        "held_out": held_out,
        "limit": source.limit,
        "label_names": source.label_names,
        "notes": source.notes,
    }
    # Begins with their number, so that it cannot be taken while they come.
    train, _ = _pair(directory, about)
    return {**about, "sha256": train.digest()}


def tell(notes: list[str]) -> None:
    """Says what the user must know of a reading."""
    for note in notes:
        logging.warning("%s", note)


def read(entry: pathlib.Path) -> Pair | None:
    """What is stored; None where there is nothing, or nothing that can be read."""
    try:
        if not entry.exists():
            return None
        about = json.loads((entry / _ABOUT).read_text())
        pair = _pair(entry, about)
        notes = list(map(str, about["notes"]))
    except _DAMAGE as error:
        logging.warning(
            "The cache %s is not readable, and is rebuilt: %s", entry, error
        )
        return None
    tell(notes)
    return pair


def _pair(directory: pathlib.Path, about: dict[str, Any]) -> Pair:
    """The images as mapped arrays.

    Raises:
        ValueError: a file is not as long, or not of the shape, that it must have.
    """

    def mapped(name: str, shape: tuple[int, ...], kind: type) -> np.ndarray:
        array = np.load(directory / name, mmap_mode="r", allow_pickle=False)
        shape, kind = (about["count"], *shape), np.dtype(kind)
        if array.shape != shape or array.dtype != kind:
            raise ValueError(
                f"{name} is {array.dtype} {array.shape}, and not {kind} {shape}"
            )
        return array

    every = ImageSet(
        images=mapped(_IMAGES, about["shape"], np.uint8),
        labels={
            kind: mapped(_LABELS.format(number), (), np.int64)
            for number, kind in enumerate(about["label_names"])
        },
        label_names=about["label_names"],
        name=about["name"],
    )
    train, held_out = divided(every, about["held_out"], about["limit"])
    return dataclasses.replace(train, known_digest=about.get("sha256")), held_out
