"""What the client asks a model server for, and how it may fail, over any protocol."""

import pathlib
import re
from collections.abc import Callable

import numpy as np

from hcm_tf.command import printable

SIGNATURE, INPUT, OUTPUT = "sample_png", "seed", "image_bytes"
# Of a model with labels: classes by name, as many for each image.
LABEL_SIGNATURE, LABEL = "sample_label_png", "label"
# A float image of 64x64x3 is 49 KB; gRPC's own limit of 4 MB ends at 85 of them.
MAXIMUM_MESSAGE = 256 * 2**20
LONGEST_REASON = 300
BATCHING_FILE = pathlib.Path(__file__).parent / "serving" / "batching.config"

# Seeds, int32 `(n,)`, and the seconds left -> n PNG files. Raises Unavailable, or
# TimeoutError without a message when the seconds are over.
Predict = Callable[[np.ndarray, float], list[bytes]]


class Unavailable(Exception):
    """The server cannot answer now; it may a little later."""


def maximum_batch() -> int:
    """The most images that the server of `export/serving/` draws for one request."""
    found = re.search(
        r"^max_batch_size\s*\{\s*value:\s*(\d+)", BATCHING_FILE.read_text(), re.M
    )
    return int(found[1])


def shown(text: object) -> str:
    """What a server sent, fit to stand in a message: one line of text, not too long."""
    line = printable(str(text))
    return line if len(line) <= LONGEST_REASON else f"{line[:LONGEST_REASON]}..."
