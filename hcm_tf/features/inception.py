"""The Inception network of 2015, from a file that the user names.

Only with its features is a Frechet distance the FID (Heusel et al. 2017). The file is
the frozen graph `classify_image_graph_def.pb` of the archive inception-2015-12-05.tgz.
Its tensor `ExpandDims:0` takes images in [0, 255] of any size, which the graph resizes
itself (bilinear, to 299), and `pool_3:0` gives 2048 features. torch-fidelity's
`inception-v3-compat` and clean-fid's `legacy_tensorflow` are ports of this graph with
this resizing; clean-fid's default resizes otherwise, and gives other numbers.
"""

import hashlib
import os
import pathlib
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from hcm_tf.errors import UserError
from hcm_tf.features.extractor import check, in_batches
from hcm_tf.images import to_uint8

INPUT = "ExpandDims:0"
OUTPUT = "pool_3:0"
FEATURES = 2048


class Inception:
    """The 2048 pooled features of the 2015 graph; an `Extractor`.

    Attributes:
        sha256: of the file, to be told beside every number: this code cannot know
            whether the graph is the published one.
    """

    name = "inception"
    size = FEATURES

    def __init__(self, path: str | os.PathLike) -> None:
        """Reads the graph.

        Raises:
            UserError: there is no such file, or it is another graph.
        """
        path = pathlib.Path(path)
        try:
            content = path.read_bytes()
        except OSError as error:
            raise UserError(
                f"{path} cannot be read: {error.strerror}. {_WANTED}"
            ) from error
        self.sha256 = hashlib.sha256(content).hexdigest()
        self.sees = (
            "what tells the thousand classes of ImageNet's photographs apart, of the "
            f"graph with SHA-256 {self.sha256[:12]}. It was trained on no drawings, "
            "and everything is enlarged to 299 pixels."
        )
        self._run = _read(path, content)

    def features(self, images: np.ndarray) -> np.ndarray:
        """See `Extractor`; grey images become colour ones.

        Values are rounded to 256 steps first, as all published implementations do.
        """
        grey = np.shape(images)[-1:] == (1,)
        check(images, 1 if grey else 3)

        def forward(batch: np.ndarray) -> np.ndarray:
            colors = np.broadcast_to(to_uint8(batch), (*batch.shape[:3], 3))
            return self._run(colors.astype(np.float32)).reshape(len(batch), FEATURES)

        return in_batches(forward, images, self.size)


_WANTED = (
    "Name classify_image_graph_def.pb of inception-2015-12-05.tgz, the frozen graph "
    "that the FID is defined by."
)


def _read(path: pathlib.Path, content: bytes) -> Callable[[np.ndarray], np.ndarray]:
    """The graph from its input to its output, for any number of images."""
    try:
        definition = tf.compat.v1.GraphDef()
        definition.ParseFromString(content)
        # A graph and a session of TensorFlow 1: a function of TensorFlow 2 forgets how
        # old the graph is, and then BatchNormWithGlobalNormalization does not run.
        with tf.Graph().as_default() as graph:
            images = tf.compat.v1.placeholder(tf.float32, [None, None, None, 3])
            (pooled,) = tf.graph_util.import_graph_def(
                definition, input_map={INPUT: images}, return_elements=[OUTPUT]
            )
        run = tf.compat.v1.Session(graph=graph).make_callable(pooled, [images])
        shape = run(np.zeros((2, 32, 32, 3), np.float32)).shape
    # Protocol buffers, the importer and the operations each fail in their own way.
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"{path} is not the Inception graph of 2015: {reason}. {_WANTED}"
        ) from error
    if shape != (2, 1, 1, FEATURES):
        raise UserError(
            f"{path} is not the Inception graph of 2015: its {OUTPUT} gives "
            f"{shape[1:]} and not (1, 1, {FEATURES}). {_WANTED}"
        )
    return run
