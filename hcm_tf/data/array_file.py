"""NumPy's file format, .npy, written one item at a time."""

import contextlib
import os
import pathlib
from typing import BinaryIO

import numpy as np

_BUFFER = 2**20


class ArrayWriter:
    """An array that grows in a file, not in memory; `np.load` reads it.

    It is written, not mapped: on a full disk a write is an error that can be told, and
    a page of a mapped file that finds no room kills the process.
    """

    def __init__(self, path: pathlib.Path, shape: tuple[int, ...], kind: type):
        """Begins the file.

        Args:
            path: where to.
            shape: of one item.
            kind: NumPy type of the values.

        Raises:
            OSError: the file cannot be written; so do the methods.
        """
        self._shape, self._type = tuple(shape), np.dtype(kind)
        self.count = 0
        self._file: BinaryIO = path.open("wb", buffering=_BUFFER)
        self._write_header()

    def append(self, item: np.ndarray | int) -> None:
        """Adds an item of the shape and type that the file has.

        Raises:
            ValueError: it is of another shape.
        """
        item = np.asarray(item, self._type)
        if item.shape != self._shape:
            raise ValueError(f"An item is {self._shape}. Received: {item.shape}")
        self._file.write(item.tobytes())
        self.count += 1

    def finish(self) -> None:
        """Writes how many there are, and returns when all is on the disk."""
        self._file.flush()
        self._file.seek(0)
        self._write_header()
        self._file.flush()
        os.fsync(self._file.fileno())
        self.close()

    def close(self) -> None:
        """Ends writing; the file is of use only after `finish`."""
        # What is still in the buffer may find no room, after a write that did not.
        with contextlib.suppress(OSError):
            self._file.close()

    def _write_header(self) -> None:
        # NumPy pads headers so that the first axis may grow and the length is the same.
        about = {
            "descr": np.lib.format.dtype_to_descr(self._type),
            "fortran_order": False,
            "shape": (self.count, *self._shape),
        }
        np.lib.format.write_array_header_1_0(self._file, about)
