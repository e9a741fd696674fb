"""Endless batches whose content is a pure function of (seed, step)."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from hcm_tf.data.order import FLIP, chosen_images, key
from hcm_tf.errors import UserError

if TYPE_CHECKING:
    import tensorflow as tf

# Batches that are prepared before they are needed. Left to TensorFlow, they grew to
# hundreds of megabytes over an epoch; one takes a millisecond.
AHEAD = 4


def make_batches(
    images: np.ndarray,
    batch_size: int,
    *,
    seed: int,
    start_step: int = 0,
    horizontal_flip: bool = False,
    batch_order: np.ndarray | None = None,
    rows: slice = slice(None),
    labels: Callable[[np.ndarray], np.ndarray] | None = None,
    balanced: np.ndarray | None = None,
) -> "tf.data.Dataset":
    """Shuffled batches without end; a resumed run gets the batches it would have got.

    Every epoch has each image once, in an order of its own (`chosen_images`), and drops
    what does not fill a batch. Nothing is stored between steps, so starting at a later
    step gives the same batches, without touching the images of the skipped ones.

    Args:
        images: uint8 `(n, height, width, channels)`, in memory or mapped from a file;
            never copied, but for the images of a batch.
        batch_size: images in a batch, over all replicas.
        seed: key of the order and of the flips.
        start_step: first step, counted from the start of training.
        horizontal_flip: mirror each image with probability one half, keyed on (seed,
            step).
        batch_order: a permutation of `range(batch_size)`: image `i` of a batch is the
            one that would be at `batch_order[i]`. It lays a batch out for replicas.
        rows: of each batch so laid out, the part that is wanted: several workers share
            a batch, and the images of the others are not touched.
        labels: from numbers of images, int64 `(rows,)`, to what they are, float32
            `(rows, classes)`: a table of all may be larger than the images.
        balanced: int64 `(n,)`, a class of each image: an epoch then has every class
            as often as the largest, the images of smaller ones several times.

    Returns:
        Dataset of dictionaries: `image`, float32 `(rows, height, width, channels)` in
        [-1, 1], and `label`, float32 `(rows, classes)`, if there are labels.

    Raises:
        UserError: the batch is larger than the data.
        ValueError: `batch_order` is not a permutation of `range(batch_size)`.
    """
    import tensorflow as tf

    pool = None if balanced is None else repeated(balanced)
    count = len(images) if pool is None else len(pool)
    if batch_size > count:
        raise UserError(
            f"A batch of {batch_size} images does not fit {count} training images: "
            "lower --batch_size, or add images."
        )
    if batch_order is None:
        batch_order = np.arange(batch_size)
    if not np.array_equal(np.sort(batch_order), np.arange(batch_size)):
        raise ValueError(
            f"`batch_order` must be a permutation of range({batch_size}). "
            f"Received: {batch_order}"
        )
    with tf.device("CPU"):
        layout = tf.constant(batch_order[rows], tf.int64)

    def gathered(indices: "tf.Tensor") -> "tf.Tensor":
        # By NumPy, because a tensor of all images would be a copy in memory. It takes
        # as long as `tf.gather` (BUILD_NOTES.md).
        chosen = tf.numpy_function(
            lambda numbers: images[numbers],
            [indices],
            tf.uint8,
            stateful=False,
        )
        return tf.ensure_shape(chosen, (layout.shape[0], *images.shape[1:]))

    classes = None if labels is None else labels(np.arange(0)).shape[1]

    def batch(step: "tf.Tensor", indices: "tf.Tensor") -> dict[str, "tf.Tensor"]:
        numbers = tf.gather(indices, layout)
        if pool is not None:
            numbers = tf.gather(pool, numbers)
        chosen = gathered(numbers)
        if horizontal_flip:
            flip = tf.random.stateless_uniform([batch_size], key(seed, FLIP, step))
            flip = tf.gather(flip < 0.5, layout)[:, tf.newaxis, tf.newaxis, tf.newaxis]
            chosen = tf.where(flip, chosen[:, :, ::-1], chosen)
        # As images.to_float does.
        found = {"image": tf.cast(chosen, tf.float32) / 127.5 - 1.0}
        if labels is not None:
            found["label"] = tf.ensure_shape(
                tf.numpy_function(labels, [numbers], tf.float32, stateful=False),
                (layout.shape[0], classes),
            )
        return found

    dataset = (
        chosen_images(count, batch_size, seed=seed, start_step=start_step)
        .map(batch, num_parallel_calls=AHEAD)
        .apply(tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY))
        .prefetch(AHEAD)
    )
    options = tf.data.Options()
    # Everything has its number: nothing is left to tune.
    options.autotune.enabled = False
    # There are no files to shard by.
    options.experimental_distribute.auto_shard_policy = (
        tf.data.experimental.AutoShardPolicy.DATA
    )
    return dataset.with_options(options)


def repeated(classes: np.ndarray) -> np.ndarray:
    """Indices in which every class is as often as the largest: int64 `(m,)`.

    Args:
        classes: int64 `(n,)`, of each image; those of small classes come several times,
            all about equally often.
    """
    members = [np.flatnonzero(classes == one) for one in np.unique(classes)]
    most = max(map(len, members))
    return np.concatenate([np.resize(one, most) for one in members])
