"""Finding the latent of a real image: the encoder's guess, refined through the mask.

The top-k selection passes the gradient to the values it keeps, and the kept set changes
as the latent moves: a few hundred Adam steps on the latent work.
"""

import dataclasses

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
        latents: where to start, float32 `(n, latent_size)`.
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

    @tf.function
    def measure(latent: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(latent)
            difference = generator(latent) - target
            errors = tf.reduce_mean(tf.square(difference), axis=(1, 2, 3))
            loss = tf.reduce_sum(errors)
        return errors, tape.gradient(loss, latent)

    adam = _Adam(learning_rate)
    latent = np.clip(latents, -1.0, 1.0).astype("float32")
    best, before = latent, None
    hidden = None if progress is None else not progress
    bar = tqdm(range(steps + 1), desc="Refining", disable=hidden, leave=False)
    for step in bar:
        errors, gradient = (x.numpy() for x in measure(tf.constant(latent)))
        if before is None:
            before = after = errors
        better = errors < after
        best = np.where(better[:, None], latent, best)
        after = np.minimum(errors, after)
        bar.set_postfix_str(f"error {after.mean():.4f}", refresh=False)
        if step < steps:
            latent = np.clip(latent - adam.step(gradient), -1.0, 1.0)
    return Refined(
        latents=best,
        error_before=before.astype("float64"),
        error_after=after.astype("float64"),
    )


class _Adam:
    """Adam for one array, kept outside of any Keras variable."""

    def __init__(self, learning_rate: float) -> None:
        self.learning_rate = learning_rate
        self.count = 0
        self.mean = self.square = np.float32(0)

    def step(self, gradient: np.ndarray) -> np.ndarray:
        self.count += 1
        self.mean = 0.9 * self.mean + 0.1 * gradient
        self.square = 0.99 * self.square + 0.01 * np.square(gradient)
        mean = self.mean / (1 - 0.9**self.count)
        square = self.square / (1 - 0.99**self.count)
        change = self.learning_rate * mean / (np.sqrt(square) + 1e-8)
        return change.astype("float32")
