"""What an AIR found in scenes: scored, and drawn with the windows it looked through."""

from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks import air_model
from benchmarks.air_model import Air
from hcm_tf.images import grid

_ZOOM = 4
COLOURS = np.array([[255, 140, 0], [0, 200, 255], [255, 0, 200]], np.uint8)


def score(
    air: Air,
    images: np.ndarray,
    truth: np.ndarray,
    *,
    success: float,
    samples: int = 10,
) -> dict[str, Any]:
    """How well an AIR counts and draws.

    Args:
        air: a trained one.
        images: uint8 `(n, SIDE, SIDE, 1)`, never trained on.
        truth: how many items each shows, 0 to 2.
        success: prior probability of another item, for the bound.
        samples: of each image's latents, for the bound.

    Returns:
        accuracy and mean absolute error of the most likely counts; how often each
        count was found for each true one; the mean evidence lower bound, in nats; and
        the squared error of the reconstructions, of the pixels' variance.
    """
    pixels = tf.constant(images[..., 0] / np.float32(255))
    counts, drawn, _ = found(air, images)
    confusion = np.zeros((truth.max() + 1, air_model.STEPS + 1), int)
    np.add.at(confusion, (truth, counts), 1)
    shape = (air_model.STEPS, len(images), air_model.WHERE + air_model.WHAT)
    elbos = [
        air_model.bound(
            pixels,
            air.look(pixels, tf.random.stateless_normal(shape, [0, sample])),
            tf.constant(success),
        ).elbo
        for sample in range(samples)
    ]
    errors = np.square(drawn - pixels.numpy()).mean()
    return {
        "accuracy": float((counts == truth).mean()),
        "mean absolute error": float(np.abs(counts - truth).mean()),
        "confusion": confusion.tolist(),
        "elbo": float(np.mean(elbos)),
        "error": float(errors / pixels.numpy().var()),
    }


def found(air: Air, images: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Most likely counts, what is drawn with these, and all windows.

    Args:
        air: a trained one.
        images: uint8 `(n, SIDE, SIDE, 1)`.

    Returns:
        int `(n,)`; float `(n, SIDE, SIDE)`; and `where` of all looks.
    """
    pixels = tf.constant(images[..., 0] / np.float32(255))
    size = air_model.WHERE + air_model.WHAT
    looks = air.look(pixels, tf.zeros((air_model.STEPS, len(images), size)))
    counts = air_model.most_likely_count(looks.logits).numpy()
    drawn = air_model.reconstructions(looks.drawn).numpy()
    return counts, drawn[np.arange(len(images)), counts], looks.where.numpy()


def picture(air: Air, images: np.ndarray) -> np.ndarray:
    """Images with the windows of what is there above reconstructions.

    Args:
        air: a trained one.
        images: uint8 `(n, SIDE, SIDE, 1)`.

    Returns:
        uint8 `(height, width, 3)`; the first look is orange, the second blue, the
        third pink.
    """
    counts, drawn, where = found(air, images)
    shown = np.rint(255 * np.clip(drawn, 0, 1)).astype(np.uint8)[..., np.newaxis]
    cells = np.concatenate([images, shown]).repeat(_ZOOM, 1).repeat(_ZOOM, 2)
    cells = np.broadcast_to(cells, (*cells.shape[:3], 3)).copy()
    for cell, count, places in zip(cells[: len(images)], counts, where, strict=True):
        scale, middle = map(np.asarray, air_model.windows(places))
        for look in range(count):
            half = scale[look] * air_model.WINDOW / 2
            corners = np.stack([middle[look] - half, middle[look] + half]) + 0.5
            _frame(cell, np.rint(_ZOOM * corners).astype(int), COLOURS[look])
    return grid(cells, len(images), gap=_ZOOM)


def _frame(cell: np.ndarray, corners: np.ndarray, colour: np.ndarray) -> None:
    """Draws the frame of a window into a picture, in place."""
    (top, left), (bottom, right) = np.clip(corners, 0, len(cell) - 1)
    cell[[top, bottom], left : right + 1] = colour
    cell[top : bottom + 1, [left, right]] = colour
