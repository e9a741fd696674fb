"""Drawing many faces at once, in worker processes.

A worker is a plain `python -m hcm_tf.data.face_stream`, and not multiprocessing: that
would import the caller's main module, and TensorFlow with it, in every worker.
"""

import os
import pathlib
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from hcm_tf.data import faces

_MAXIMUM_WORKERS = 16
# One face: its image, the label of each slot, and, if asked for, the masks.
_FACE = np.dtype(
    [
        ("image", np.uint8, (faces.SIZE, faces.SIZE, 3)),
        ("labels", np.uint8, (len(faces.SLOTS),)),
    ]
)
_FACE_WITH_MASKS = np.dtype(
    [
        *((name, *_FACE.fields[name][:1]) for name in _FACE.names),
        ("masks", np.bool_, (len(faces.PARTS), faces.SIZE, faces.SIZE)),
    ]
)


def stream(
    indices: range, *, masks: bool = False, workers: int | None = None
) -> Iterator[np.void]:
    """Draws faces in parallel, and yields them in order.

    Args:
        indices: numbers of the faces, as `faces.draw` takes them.
        masks: whether each record has the field `masks`.
        workers: processes; None for one on each core. It changes nothing but speed.

    Yields:
        Records with the fields `image`, uint8 `(64, 64, 3)`, `labels`, uint8, in the
        order of `faces.SLOTS`, and `masks`, bool `(parts, 64, 64)`, in the order of
        `faces.PARTS`.

    Raises:
        RuntimeError: a worker ended early; its error is on stderr.
    """
    kind = _FACE_WITH_MASKS if masks else _FACE
    workers = min(workers or os.cpu_count() or 1, _MAXIMUM_WORKERS)
    processes = [
        start_drawing(indices[worker::workers], masks) for worker in range(workers)
    ]
    try:
        for position, index in enumerate(indices):
            record = processes[position % workers].stdout.read(kind.itemsize)
            if len(record) < kind.itemsize:
                raise RuntimeError(f"The process that draws face {index} ended early.")
            yield np.frombuffer(record, kind)[0]
    finally:
        for process in processes:
            process.kill()
            process.stdout.close()
            process.wait()


def start_drawing(indices: range, masks: bool) -> subprocess.Popen:
    """Starts a process that draws faces, and their masks, to its standard output."""
    bounds = (indices.start, indices.stop, indices.step, int(masks))
    root = pathlib.Path(__file__).parents[2]
    path = os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")]))
    return subprocess.Popen(
        [sys.executable, "-m", __spec__.name, *map(str, bounds)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": path},
    )


def _write(output: BinaryIO, indices: range, masks: bool) -> None:
    record = np.zeros((), _FACE_WITH_MASKS if masks else _FACE)
    for index in indices:
        image, labels = faces.draw(index)
        record["image"] = image
        record["labels"] = [labels[slot] for slot in faces.SLOTS]
        if masks:
            visible = faces.part_masks(index)
            record["masks"] = [visible[part] for part in faces.PARTS]
        output.write(record.tobytes())
    output.flush()


if __name__ == "__main__":
    # The reader alone decides: Ctrl-C is its business, and without it the worker ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    start, stop, step, with_masks = map(int, sys.argv[1:])
    _write(sys.stdout.buffer, range(start, stop, step), bool(with_masks))
