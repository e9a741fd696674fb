"""Finding the latent of a real image: the encoder's guess, refined through the mask.

The top-k selection passes the gradient to the values it keeps, and the kept set changes
as the latent moves: a few hundred Adam steps on the latent work.
"""

import dataclasses

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from hcm_tf.networks import Encoder, Generator

STEPS = 200
LEARNING_RATE = 0.02


@dataclasses.dataclass(frozen=True)
class Refined:
    """Latents of real images.

    Attributes:
        latents: the best found, float32 `(n, latent_size)`, in [-1, 1].
        error_before: mean squared error of the encoder's latents, a float64 each.
        error_after: that of `latents`; never larger.
    """

    latents: np.ndarray
    error_before: np.ndarray
    error_after: np.ndarray


def encode(encoder: Encoder, images: np.ndarray) -> np.ndarray:
    """The encoder's latents of images `(n, size, size, channels)` in [-1, 1]."""
    return encoder(tf.constant(images, tf.float32)).numpy()


def refine(
    generator: Generator,
    images: np.ndarray,
    latents: np.ndarray,
    *,
    steps: int = STEPS,
    learning_rate: float = LEARNING_RATE,
    progress: bool | None = None,
) -> Refined:
    """Moves latents by Adam until their pictures resemble the images more.

    Args:
        generator: draws from the latents.
        images: float32 `(n, size, size, channels)` in [-1, 1].
        latents: where to start, float32 `(n, latent_size)`; labels behind them stay.
        steps: gradient steps; 0 only measures.
        learning_rate: of Adam, on latents that are clipped to [-1, 1].
        progress: whether to show a progress bar; None: on a terminal.

    Returns:
        For each image the best latent of all steps.

    Raises:
        ValueError: `steps` is negative or `learning_rate` not positive.
    """
    if steps < 0 or not learning_rate > 0:
        raise ValueError(
            "`steps` must not be negative, and `learning_rate` must be positive. "
            f"Received: {steps} and {learning_rate}"
        )
    target = tf.constant(images, tf.float32)
    # Classes, which stand behind the latents, are not half of one and half of another.
    free = np.ones(latents.shape[1], "float32")
    free[len(free) - sum(generator.classes) :] = 0.0

    @tf.function
    def measure(latent: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(latent)
            difference = generator(latent) - target
            errors = tf.reduce_mean(tf.square(difference), axis=(1, 2, 3))
            loss = tf.reduce_sum(errors)
        return errors, tape.gradient(loss, latent) * free

    moving = keras.Variable(np.clip(latents, -1.0, 1.0), dtype="float32")
    adam = keras.optimizers.Adam(learning_rate, beta_2=0.99, epsilon=1e-8)
    best, before = moving.numpy(), None
    hidden = None if progress is None else not progress
    bar = tqdm(range(steps + 1), desc="Refining", disable=hidden, leave=False)
    for step in bar:
        latent = moving.numpy()
        errors, gradient = measure(tf.constant(latent))
        errors = errors.numpy()
        if before is None:
            before = after = errors
        better = errors < after
        best = np.where(better[:, None], latent, best)
        after = np.minimum(errors, after)
        bar.set_postfix_str(f"error {after.mean():.4f}", refresh=False)
        if step < steps:
            adam.apply([gradient], [moving])
            moving.assign(tf.clip_by_value(moving.value, -1.0, 1.0))
    return Refined(
        latents=best,
        error_before=before.astype("float64"),
        error_after=after.astype("float64"),
    )
