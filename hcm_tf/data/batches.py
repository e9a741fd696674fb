"""Endless batches whose content is a pure function of (seed, step)."""

from typing import TYPE_CHECKING

import numpy as np

from hcm_tf.errors import UserError

if TYPE_CHECKING:
    import tensorflow as tf

# Independent streams of random numbers from one seed.
_ORDER, _FLIP = 0, 1


def make_batches(
    images: np.ndarray,
    batch_size: int,
    *,
    seed: int,
    start_step: int = 0,
    horizontal_flip: bool = False,
    batch_order: np.ndarray | None = None,
    rows: slice = slice(None),
) -> "tf.data.Dataset":
    """Shuffled batches without end; a resumed run gets the batches it would have got.

    Every epoch is a new permutation of the images, keyed on (seed, epoch), and drops
    what does not fill a batch. Nothing is stored between steps, so starting at a later
    step gives the same batches, without touching the images of the skipped ones.

    Args:
        images: uint8 `(n, height, width, channels)`; kept in memory once, as uint8.
        batch_size: images in a batch, over all replicas.
        seed: key of the order and of the flips.
        start_step: first step, counted from the start of training.
        horizontal_flip: mirror each image with probability one half, keyed on (seed,
            step).
        batch_order: a permutation of `range(batch_size)`: image `i` of a batch is the
            one that would be at `batch_order[i]`. It lays a batch out for replicas.
        rows: of each batch so laid out, the part that is wanted: several workers share
            a batch, and the images of the others are not touched.

    Returns:
        Dataset of dictionaries: `image`, float32 `(rows, height, width, channels)` in
        [-1, 1].

    Raises:
        UserError: the batch is larger than the data.
        ValueError: `batch_order` is not a permutation of `range(batch_size)`.
    """
    import tensorflow as tf

    count = len(images)
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
    steps_per_epoch = count // batch_size
    with tf.device("CPU"):  # Not on the accelerator, whose memory is for the networks.
        # Captured by the functions below, so never a constant of a 2 GB graph.
        pixels = tf.constant(images, tf.uint8)
        layout = tf.constant(batch_order[rows], tf.int64)

    def key(stream: int, number: "tf.Tensor") -> "tf.Tensor":
        base = tf.constant([seed, stream], tf.int64)
        return tf.random.experimental.stateless_fold_in(base, number)

    def epoch_of_indices(epoch: "tf.Tensor") -> "tf.data.Dataset":
        order = tf.random.experimental.stateless_shuffle(
            tf.range(count, dtype=tf.int64), seed=key(_ORDER, epoch)
        )
        order = order[: steps_per_epoch * batch_size]
        order = tf.reshape(order, (steps_per_epoch, batch_size))
        steps = epoch * steps_per_epoch + tf.range(steps_per_epoch, dtype=tf.int64)
        return tf.data.Dataset.from_tensor_slices((steps, order))

    def batch(step: "tf.Tensor", indices: "tf.Tensor") -> dict[str, "tf.Tensor"]:
        chosen = tf.gather(pixels, tf.gather(indices, layout))
        if horizontal_flip:
            flip = tf.random.stateless_uniform([batch_size], key(_FLIP, step)) < 0.5
            flip = tf.gather(flip, layout)[:, tf.newaxis, tf.newaxis, tf.newaxis]
            chosen = tf.where(flip, chosen[:, :, ::-1], chosen)
        # As images.to_float does.
        return {"image": tf.cast(chosen, tf.float32) / 127.5 - 1.0}

    first_epoch, skipped = divmod(start_step, steps_per_epoch)
    dataset = (
        tf.data.Dataset.counter(first_epoch)
        .flat_map(epoch_of_indices)
        .skip(skipped)
        .map(batch, num_parallel_calls=tf.data.AUTOTUNE)
        .apply(tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY))
        .prefetch(tf.data.AUTOTUNE)
    )
    options = tf.data.Options()
    # There are no files to shard by.
    options.experimental_distribute.auto_shard_policy = (
        tf.data.experimental.AutoShardPolicy.DATA
    )
    return dataset.with_options(options)
