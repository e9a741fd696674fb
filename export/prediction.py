"""What the client asks a model server for, and how it may fail, over any protocol."""

import pathlib
import re
from collections.abc import Callable, Sequence

import numpy as np

from hcm_tf.command import printable
from hcm_tf.errors import UserError

SIGNATURE, INPUT, OUTPUT = "sample_png", "seed", "image_bytes"
# Of a model with labels: classes by name, for each image as many texts as labels.
LABEL_SIGNATURE, LABEL = "sample_label_png", "label"
# A float image of 64x64x3 is 49 KB; gRPC's own limit of 4 MB ends at 85 of them.
MAXIMUM_MESSAGE = 256 * 2**20
LONGEST_REASON = 300
MOST_LABELS = 1000  # That a server is believed to have.
BATCHING_FILE = pathlib.Path(__file__).parent / "serving" / "batching.config"

# Seeds, int32 `(n,)`, and the seconds left -> n PNG files. Raises Unavailable, or
# TimeoutError without a message when the seconds are over.
Predict = Callable[[np.ndarray, float], list[bytes]]


class Unavailable(Exception):
    """The server cannot answer now; it may a little later."""


def padded(classes: Sequence[str], labels: int | None) -> list[str]:
    """The texts of an image: its classes, and an empty one for each label beyond them.

    So callers who ask for different labels send tensors of one shape, the only ones
    that a server merges into one batch.

    Args:
        classes: that are asked for.
        labels: how many texts the model takes; -1: any number, as models did that were
            exported by earlier versions; None: it takes none.

    Raises:
        UserError: it takes none, fewer, or so many that it cannot be.
    """
    asked = f"--label={','.join(classes)}"
    if labels is None:
        raise UserError(f"{asked}: the server's model was trained without labels.")
    if labels > MOST_LABELS:
        raise UserError(f"{asked}: the server says that its model has {labels} labels.")
    if len(classes) > labels >= 0:
        raise UserError(
            f"{asked}: more classes than the {labels} labels of the server's model. "
            "Name one class of a label."
        )
    return [*classes, *[""] * (labels - len(classes))]


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
