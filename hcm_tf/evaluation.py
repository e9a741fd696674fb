"""What a run shows of itself: fixed samples, held-out reconstructions, sparsity."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from hcm_tf.networks import Encoder, Generator

SHOWN_SAMPLES = 64
SHOWN_RECONSTRUCTIONS = 32
STATISTICS_SAMPLES = 256
BATCH = 32
# Far from the training streams, which are keyed on (seed, step * streams + stream).
PREVIEW_STREAM = -1


def fixed_latents(count: int, latent_size: int, seed: int) -> np.ndarray:
    """Latents for pictures that can be compared between steps: `(count, size)`."""
    return tf.random.stateless_uniform(
        (count, latent_size), seed=(seed, PREVIEW_STREAM), minval=-1.0, maxval=1.0
    ).numpy()


class Preview:
    """Draws and measures two networks on fixed latents and held-out images.

    Args:
        generator: the network that samples are drawn with.
        encoder: finds the latents of held-out images.
        held_out: float32 `(count, size, size, channels)` in [-1, 1].
        seed: seed of the latents.
    """

    def __init__(
        self, generator: Generator, encoder: Encoder, held_out: np.ndarray, seed: int
    ) -> None:
        self.generator = generator
        self.encoder = encoder
        self.held_out = held_out
        self.latents = fixed_latents(STATISTICS_SAMPLES, generator.latent_size, seed)
        self.pixel_variance = float(np.var(held_out))
        self.image_variance = float(np.mean(np.var(held_out, axis=0)))
        self._draw = _compile(generator.call)
        self._reconstruct = _compile(lambda images: generator(encoder(images)))
        self._codes = _compile(
            lambda latents: [code != 0 for code in generator.trace(latents).codes]
        )

    def samples(self) -> np.ndarray:
        """Images of the first fixed latents, in [-1, 1]."""
        return _in_batches(self._draw, self.latents[:SHOWN_SAMPLES])

    def reconstructions(self) -> np.ndarray:
        """Rows of eight held-out images, each above a row of their reconstructions."""
        images = self.held_out[:SHOWN_RECONSTRUCTIONS]
        images = images[: max(1, len(images) // 8 * 8)]
        drawn = _in_batches(self._reconstruct, images)
        rows = [
            part[start : start + 8]
            for start in range(0, len(images), 8)
            for part in (images, drawn)
        ]
        return np.concatenate(rows)

    def measure(self) -> dict[str, float]:
        """Held-out reconstruction error, and the sparsity of every level.

        Returns:
            `held_out_error`: mean squared error per pixel and channel, images in
            [-1, 1]; `held_out_of_pixel_variance`: that error over the variance of all
            pixel values; `held_out_of_image_variance`: over the variance around the
            mean image, so that 1 is what one picture for all would give; and for each
            level `active_<level>`, the fraction of activations that
            are not zero, and `never_active_<level>`, the fraction of its units (a
            feature map; an attribute at its location) that are zero on every one of
            the fixed latents.
        """
        drawn = _in_batches(self._reconstruct, self.held_out)
        error = float(np.mean(np.square(drawn - self.held_out)))
        measured = {
            "held_out_error": error,
            "held_out_of_pixel_variance": error / max(self.pixel_variance, 1e-12),
            "held_out_of_image_variance": error / max(self.image_variance, 1e-12),
        }
        names = self.generator.level_names
        active = [0.0] * len(names)
        used = [False] * len(names)
        for start in range(0, len(self.latents), BATCH):
            for level, code in enumerate(
                self._codes(self.latents[start : start + BATCH])
            ):
                code = code.numpy()
                active[level] += float(code.mean()) * len(code) / len(self.latents)
                # Attributes are units of their own location, maps of all positions.
                axes = (0,) if level == 0 else (0, 1, 2)
                used[level] = used[level] | code.any(axis=axes)
        for level, name in enumerate(names):
            measured[f"active_{name}"] = active[level]
            measured[f"never_active_{name}"] = 1.0 - float(np.mean(used[level]))
        return measured


def _compile(function: Callable) -> Callable:
    # Without autograph, which would read sources that may change while a run trains.
    return tf.function(function, reduce_retracing=True, autograph=False)


def _in_batches(
    function: Callable[[np.ndarray], tf.Tensor], inputs: np.ndarray
) -> np.ndarray:
    outputs = [
        np.asarray(function(inputs[start : start + BATCH]))
        for start in range(0, len(inputs), BATCH)
    ]
    return np.concatenate(outputs)
