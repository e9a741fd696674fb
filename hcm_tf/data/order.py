"""Which images each step takes: in an epoch every image once, in a random order."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tensorflow as tf

# Independent streams of random numbers from one seed.
ORDER, FLIP = 0, 1
# Up to so many images an epoch's order is shuffled in memory: 8 bytes each, and as much
# again while that is done (together 270 MB). It never changes, or runs would not go on
# with the images they would have had.
LONGEST_SHUFFLE = 2**24
# Of the Feistel network; four make a pseudorandom permutation of a random function.
_ROUNDS = 8


def key(seed: int, stream: int, number: "tf.Tensor") -> "tf.Tensor":
    """The seed of TensorFlow's stateless operations: of one stream, epoch or step."""
    import tensorflow as tf

    base = tf.constant([seed, stream], tf.int64)
    return tf.random.experimental.stateless_fold_in(base, number)


def chosen_images(
    count: int, batch_size: int, *, seed: int, start_step: int = 0
) -> "tf.data.Dataset":
    """For every step from `start_step` on, without end, the images it takes.

    Every epoch is a new permutation of the images, a pure function of (seed, epoch),
    and drops what does not fill a batch. Of up to LONGEST_SHUFFLE images all
    permutations are possible. Of more, an epoch's is `permuted`, which is computed for
    the step alone, so that memory does not grow with their number.

    Args:
        count: of images, at least `batch_size`.
        batch_size: images of a step.
        seed: of the order.
        start_step: first step, counted from the start of training.

    Returns:
        Dataset of pairs: the step, int64, and numbers of images, int64 `(batch_size,)`.
    """
    if count > LONGEST_SHUFFLE:
        return _computed(count, batch_size, seed, start_step)
    return _shuffled(count, batch_size, seed, start_step)


def _shuffled(
    count: int, batch_size: int, seed: int, start_step: int
) -> "tf.data.Dataset":
    import tensorflow as tf

    steps_per_epoch = count // batch_size

    def epoch_of_indices(epoch: "tf.Tensor") -> "tf.data.Dataset":
        order = tf.random.experimental.stateless_shuffle(
            tf.range(count, dtype=tf.int64), seed=key(seed, ORDER, epoch)
        )
        order = order[: steps_per_epoch * batch_size]
        order = tf.reshape(order, (steps_per_epoch, batch_size))
        steps = epoch * steps_per_epoch + tf.range(steps_per_epoch, dtype=tf.int64)
        return tf.data.Dataset.from_tensor_slices((steps, order))

    first_epoch, skipped = divmod(start_step, steps_per_epoch)
    epochs = tf.data.Dataset.counter(first_epoch)
    return epochs.flat_map(epoch_of_indices).skip(skipped)


def _computed(
    count: int, batch_size: int, seed: int, start_step: int
) -> "tf.data.Dataset":
    import tensorflow as tf

    steps_per_epoch = count // batch_size

    def indices(step: "tf.Tensor") -> tuple["tf.Tensor", "tf.Tensor"]:
        first = step % steps_per_epoch * batch_size
        order = permuted(
            first + tf.range(batch_size, dtype=tf.int64),
            count,
            key(seed, ORDER, step // steps_per_epoch),
        )
        return step, order

    return tf.data.Dataset.counter(start_step).map(indices)


def permuted(places: "tf.Tensor", count: int, seed: "tf.Tensor") -> "tf.Tensor":
    """Where a pseudorandom permutation of `range(count)` puts some places.

    A Feistel network permutes the numbers of as many bits as the images need, an even
    number. Where it leads beyond them it is walked again until it does not (at most
    four times on average), which permutes the images. See Black and Rogaway 2002,
    "Ciphers with arbitrary finite domains". TensorFlow's `index_shuffle` is much the
    same, but of 4^k + 1 numbers it gives one twice (2.21), and it stops before
    neighbours are unrelated.

    Args:
        places: int64 `(n,)`, from 0 to `count - 1`.
        count: what is permuted; at least 2.
        seed: int64 `(2,)`, of the permutation.

    Returns:
        int64 `(n,)`.
    """
    import tensorflow as tf

    half = ((count - 1).bit_length() + 1) // 2
    low = tf.constant(2**half - 1, tf.uint64)
    keys = tf.unstack(
        tf.random.stateless_uniform(
            [_ROUNDS], seed, minval=None, maxval=None, dtype=tf.uint64
        )
    )

    def shifted(values: "tf.Tensor", bits: int) -> "tf.Tensor":
        return tf.bitwise.right_shift(values, tf.constant(bits, tf.uint64))

    def mixed(values: "tf.Tensor") -> "tf.Tensor":
        # The finaliser of SplitMix64: every bit changes every other.
        for bits, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            values = tf.bitwise.bitwise_xor(values, shifted(values, bits))
            values *= tf.constant(factor, tf.uint64)
        return tf.bitwise.bitwise_xor(values, shifted(values, 31))

    def network(values: "tf.Tensor") -> "tf.Tensor":
        left, right = shifted(values, half), tf.bitwise.bitwise_and(values, low)
        for round_key in keys:
            change = mixed(tf.bitwise.bitwise_xor(right, round_key))
            change = tf.bitwise.bitwise_and(change, low)
            left, right = right, tf.bitwise.bitwise_xor(left, change)
        return left * tf.constant(2**half, tf.uint64) + right

    def beyond(values: "tf.Tensor") -> "tf.Tensor":
        # Compared as int64, which has a kernel everywhere.
        return tf.cast(values, tf.int64) >= count

    (found,) = tf.while_loop(
        lambda values: tf.reduce_any(beyond(values)),
        lambda values: (tf.where(beyond(values), network(values), values),),
        (network(tf.cast(places, tf.uint64)),),
    )
    return tf.cast(found, tf.int64)
