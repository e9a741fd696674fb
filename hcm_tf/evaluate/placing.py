"""Whether parts that may leave the grid do so, and what it is worth."""

from typing import Any

import numpy as np
import tensorflow as tf

from hcm_tf.evaluate.gather import BATCH, compiled
from hcm_tf.operations import placing
from hcm_tf.runs.checkpoint import Run


def measure(
    run: Run, images: np.ndarray, latents: np.ndarray, *, batch: int = BATCH
) -> dict[str, Any]:
    """Where the parts of encoded images are, and the error without their moving.

    Parts that are placed but not used stay where they are for all images: then their
    spread is small, and the error at home is no larger.

    Args:
        run: of a generator that places its parts freely.
        images: float32 `(n, size, size, channels)`, in [-1, 1].
        latents: what the encoder makes of them, `(n, latent_size)`.
        batch: images at a time.

    Returns:
        JSON values: `spread`, the standard deviation of a location's positions over
        images, in cells of the 8x8 map (root of the mean square over locations and
        directions), `scale_spread` and `stretch_spread`, those of the scales and of the
        stretches, all weighted by presence, since what is absent is nowhere;
        `presence`, the mean; `covered`, how much of an image its parts cover, in
        [0, 1], on average;
        `error`, the mean squared error, `error_at_home`, with all positions 0 and
        everything above decided anew, and `ratio`, the latter over the former.
    """

    def draw(latent: tf.Tensor) -> tuple[tf.Tensor, ...]:
        trace = run.generator.trace(latent)
        found = trace.placing
        home = run.generator.sums(
            found._replace(position=tf.zeros_like(found.position))
        )
        at_home = run.generator.redraw(0, trace.codes[0], home)
        return (
            trace.image,
            tf.tanh(at_home),
            (*found[:3], found.stretch, placing.masks(found)),
        )

    draw = compiled(run, draw)
    errors, found = [], []
    for start in range(0, len(images), batch):
        some = images[start : start + batch]
        *drawn, where = draw(tf.constant(latents[start : start + batch]))
        errors.append([np.mean(np.square(d - some), axis=(1, 2, 3)) for d in drawn])
        found.append([part.numpy() for part in where])
    as_is, at_home = np.concatenate(errors, axis=1).mean(axis=1, dtype="float64")
    position, scale, presence, stretch, masks = map(
        np.concatenate, zip(*found, strict=True)
    )
    return {
        "spread": _deviation(position, presence),
        "scale_spread": _deviation(scale[..., np.newaxis], presence),
        "stretch_spread": _deviation(stretch, presence),
        "presence": float(np.mean(presence)),
        "covered": float(np.mean(np.sum(masks, axis=2))),
        "error": float(as_is),
        "error_at_home": float(at_home),
        "ratio": float(at_home / as_is) if as_is > 0 else 1.0,
    }


def _deviation(values: np.ndarray, presence: np.ndarray) -> float:
    """Of values `(n, locations, numbers)` from their location's mean, weighted."""
    weights = np.asarray(presence, "float64")[..., np.newaxis]
    total = weights.sum(axis=0)
    means = (weights * values).sum(axis=0) / np.where(total > 0, total, 1)
    squares = np.square(values - means).mean(axis=-1, keepdims=True)
    return float(np.sqrt((weights * squares).sum() / max(total.sum(), 1e-12)))
