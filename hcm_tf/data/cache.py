"""Decoded and resized images, kept for the next run: ready in seconds.

They are mapped from files, so that a set may be larger than the memory.
"""

import contextlib
import hashlib
import json
import os
import pathlib
import re
from collections.abc import Iterator
from typing import Any

from absl import logging

from hcm_tf.config import DataConfig
from hcm_tf.data import free_memory
from hcm_tf.data.entry import Pair, Unwritable, read, store, tell, writing
from hcm_tf.data.source import Source, in_memory
from hcm_tf.errors import UserError

try:
    import fcntl
except ImportError:  # Windows has none.
    fcntl = None

_VERSION = 2  # To be raised when the same key would give other images.
_DIRECTORY = "hcm_tf_cache"


def data_directory(config: DataConfig) -> pathlib.Path:
    """Where prepared data sets are: `data_dir`, or TensorFlow Datasets' own."""
    default = os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
    return pathlib.Path(config.data_dir or default).expanduser()


def stamp(path: pathlib.Path) -> tuple[int, int]:
    """For a key: a file's size and when it was changed; zeros if it is not there."""
    try:
        status = path.stat()
    except OSError:  # A dangling link: reading it fails, and is reported then.
        return (0, 0)
    return status.st_size, status.st_mtime_ns


def cached(config: DataConfig, key: dict[str, Any], source: Source) -> Pair:
    """The training and held-out images from the cache, stored there first if need be.

    Where the cache cannot be written, images that fit are read into memory.

    Args:
        config: gives the directory and the name.
        key: everything that the images depend on, as JSON values.
        source: reads the images.

    Raises:
        UserError: the cache cannot be written, and they do not fit into memory.
    """
    text = json.dumps({"version": _VERSION, **key}, sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()[:20]
    name = re.sub(r"[^A-Za-z0-9]+", "_", config.dataset)[-40:]
    entry = data_directory(config) / _DIRECTORY / f"{name}-{digest}"
    found = read(entry)
    if found:
        return found
    try:
        with _alone(entry):
            found = read(entry)  # Another process may have just stored it.
            if found is None:
                store(entry, source)
                found = read(entry)
            if found is None:
                raise Unwritable("what was written cannot be read")
            return found
    except Unwritable as error:
        return _without_cache(source, entry.parent, str(error))


def _without_cache(source: Source, directory: pathlib.Path, reason: str) -> Pair:
    needed, free = source.bytes / 1e9, free_memory.available() / 1e9
    if needed > free:
        raise UserError(
            f"The images of {source.name} take {needed:.1f} GB, more than the "
            f"{free:.1f} GB of memory that are free, and they are not cached in "
            f"{directory}: {reason}. Make room there, name another directory with "
            "--data_dir, or lower --max_images."
        )
    logging.warning("The images are not cached in %s: %s", directory, reason)
    pair = in_memory(source)
    tell(source.notes)
    return pair


@contextlib.contextmanager
def _alone(entry: pathlib.Path) -> Iterator[None]:
    """Waits until no other process stores the same; the lock's file stays, empty."""
    with writing():
        entry.parent.mkdir(parents=True, exist_ok=True)
        lock = entry.with_name(f".{entry.name}.lock").open("a")
    with lock:
        if fcntl is not None:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                logging.warning("Waiting for another process, which stores %s.", entry)
                fcntl.flock(lock, fcntl.LOCK_EX)
            except OSError as error:  # Some network file systems have no locks.
                logging.warning("%s cannot be locked: %s", entry, error)
        yield
