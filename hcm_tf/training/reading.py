"""How the encoder learns to read labels and discovered classes, and latents beside."""

import tensorflow as tf

from hcm_tf import losses
from hcm_tf.networks import Encoder
from hcm_tf.training import averaging
from hcm_tf.training.drawing import beside
from hcm_tf.training.selection import FOLLOWING


def misread(
    encoder: Encoder,
    labels: tf.Tensor | None,
    scores: list[tf.Tensor],
    classes: tf.Tensor | None,
    fake: tf.Tensor | None,
    of_real: tf.Tensor | None,
) -> tf.Tensor:
    """The encoder's loss in reading labels: `(batch,)`.

    Nobody knows the discovered classes of real images: there the critic teaches, whose
    trunk has learnt what real images are like; a network that knows fakes alone is
    misled by what only they have.

    Args:
        encoder: reads.
        labels: of real images, one-hot; None where only classes are discovered.
        scores: what it reads of those, for each label `(batch, classes)`.
        classes: discovered ones, of fakes, one-hot; None without.
        fake: the fakes, in [-1, 1]; None without classes.
        of_real: what the critic reads of real images, `(batch, discovered)`.
    """
    if classes is None:
        return losses.label_loss(labels, scores)
    _, of_fakes = encoder.read(tf.stop_gradient(fake))
    missed = losses.label_loss(beside(labels, of_real), scores)
    return missed + losses.label_loss(classes, of_fakes[-1:])


def chosen(scores: tf.Tensor) -> tf.Tensor:
    """The class of the highest score, one-hot, with the gradient of the softmax.

    Straight-through (Bengio et al. 2013): reconstruction says which class would have
    been better.

    Args:
        scores: `(batch, classes)`.
    """
    chances = tf.nn.softmax(scores)
    hard = tf.one_hot(tf.argmax(scores, axis=1), scores.shape[1], dtype=scores.dtype)
    return hard + chances - tf.stop_gradient(chances)


def centre(encoder: Encoder, unbounded: tf.Tensor, labels: tf.Tensor) -> None:
    """Moves the encoder's offsets by what latents of a class still share.

    Args:
        encoder: has offsets, one for each class.
        unbounded: latents before tanh, `(batch, latent_size)`.
        labels: one-hot, `(batch, classes of all labels)`.
    """
    count = tf.cast(tf.shape(labels)[0], labels.dtype)
    sums = tf.linalg.matmul(labels, unbounded, transpose_a=True) / count
    shares = tf.reduce_mean(labels, axis=0)[:, tf.newaxis]
    replica = tf.distribute.get_replica_context()
    sums, shares = replica.all_reduce(tf.distribute.ReduceOp.MEAN, [sums, shares])
    shared = tf.math.divide_no_nan(sums, shares)
    shared = tf.where(tf.math.is_finite(shared), shared, 0.0)
    offsets = encoder.offsets
    moved = tf.convert_to_tensor(offsets.value) + shared
    averaging.update([offsets.value], [moved], FOLLOWING)
