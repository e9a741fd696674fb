"""What a run shows of itself: samples, held-out reconstructions, sparsity."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from hcm_tf.config import Label
from hcm_tf.labels import behind
from hcm_tf.networks import Encoder, Generator
from hcm_tf.prior import Posterior, Prior, draw, labelled

SHOWN_SAMPLES = 64
SHOWN_RECONSTRUCTIONS = 32
STATISTICS_SAMPLES = 256
BATCH = 32


class Preview:
    """Draws and measures two networks from fixed seeds and held-out images.

    Args:
        generator: the network that samples are drawn with.
        encoder: finds the latents of held-out images.
        held_out: float32 `(count, size, size, channels)` in [-1, 1].
        prior: the latents' distribution; samples are drawn from seeds 0, 1, ...
        labels: that the networks draw by and read.
        numbers: the classes of the held-out images, int64 `(count, given labels)`, -1
            where the data keep them secret: not of discovered classes, which stand
            behind the given ones.
    """

    def __init__(
        self,
        generator: Generator,
        encoder: Encoder,
        held_out: np.ndarray,
        prior: Prior | Posterior,
        labels: tuple[Label, ...] = (),
        numbers: np.ndarray | None = None,
    ) -> None:
        self.generator = generator
        self.encoder = encoder
        self.held_out = held_out
        self.prior = prior
        self.labels = labels
        self.numbers = numbers
        self.pixel_variance = float(np.var(held_out))
        self.image_variance = float(np.mean(np.var(held_out, axis=0)))
        self._draw = _compile(generator.call)
        self._reconstruct = _compile(lambda images: generator(encoder(images)))
        self._encode = _compile(encoder.call)
        self._codes = _compile(
            lambda latents: [code != 0 for code in generator.trace(latents).codes]
        )

    def samples(self) -> np.ndarray:
        """Images of the seeds from 0, in [-1, 1]."""
        return _in_batches(self._draw, self._latents()[:SHOWN_SAMPLES])

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
            those seeds. With labels `misread_<label>`, the fraction of held-out images
            of which the encoder reads another class, of those whose class is known.
        """
        drawn = _in_batches(self._reconstruct, self.held_out)
        error = float(np.mean(np.square(drawn - self.held_out)))
        measured = {
            "held_out_error": error,
            "held_out_of_pixel_variance": error / max(self.pixel_variance, 1e-12),
            "held_out_of_image_variance": error / max(self.image_variance, 1e-12),
        }
        measured |= self._misread()
        levels = self.generator.levels
        active = [0.0] * len(levels)
        used = [False] * len(levels)
        latents = self._latents()
        for start in range(0, len(latents), BATCH):
            codes = self._codes(latents[start : start + BATCH])
            for index, (level, code) in enumerate(zip(levels, codes, strict=True)):
                code = code.numpy()
                active[index] += float(code.mean()) * len(code) / len(latents)
                shared = tuple(axis + 1 for axis in level.shared_axes)
                used[index] = used[index] | code.any(axis=(0, *shared))
        for index, level in enumerate(levels):
            measured[f"active_{level.name}"] = active[index]
            measured[f"never_active_{level.name}"] = 1.0 - float(np.mean(used[index]))
        return measured

    def _misread(self) -> dict[str, float]:
        if self.numbers is None or not self.numbers.size:
            return {}
        given = self.numbers.shape[1]
        read = behind(self.labels, _in_batches(self._encode, self.held_out))
        known = self.numbers >= 0
        return {
            f"misread_{label.name}": float(np.mean((own != true)[told]))
            for label, own, true, told in zip(
                self.labels[:given],
                *(read[:, :given].T, self.numbers.T, known.T),
                strict=True,
            )
            if told.any()
        }

    def _latents(self) -> np.ndarray:
        prior = self.prior
        if isinstance(prior, Posterior):
            prior = prior.gaussian()
        shares = tuple(label.shares for label in self.labels)
        return draw(labelled(prior, shares), 0, STATISTICS_SAMPLES)


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
