"""How well held-out images are drawn again, by the encoder and after refinement."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from hcm_tf.evaluate.gather import BATCH, compiled
from hcm_tf.explain.refine import STEPS, encode, refine
from hcm_tf.images import to_float
from hcm_tf.metrics import bootstrap, similarity
from hcm_tf.runs.checkpoint import Run

MEASURES = {
    "psnr": similarity.psnr,
    "ssim": similarity.ssim,
    "ms_ssim": similarity.ms_ssim,
}


class Redrawn(NamedTuple):
    """Real images and what the networks make of them, float32 in [-1, 1].

    latents: the encoder's, `(n, latent_size)`.
    encoded: the pictures of those, of the shape of `images`.
    refined: the pictures of refined latents, of the first images only.
    """

    images: np.ndarray
    latents: np.ndarray
    encoded: np.ndarray
    refined: np.ndarray


def redraw(
    run: Run,
    pixels: np.ndarray,
    refined_count: int,
    *,
    batch: int = BATCH,
    advance: Callable[[int], object] = lambda count: None,
) -> Redrawn:
    """Encodes and draws images; refines the latents of the first ones.

    Args:
        run: the networks.
        pixels: uint8 `(n, size, size, channels)`.
        refined_count: how many are refined as well; it is the slowest step.
        batch: images at a time.
        advance: told how many images are done.
    """
    images = to_float(pixels)
    draw = compiled(run, run.generator.call)
    latents, drawn = [], []
    for start in range(0, len(images), batch):
        some = images[start : start + batch]
        latents.append(encode(run.encoder, some))
        drawn.append(draw(tf.constant(latents[-1])).numpy())
        advance(len(some))
    latents = np.concatenate(latents)
    refined = np.empty((0, *images.shape[1:]), "float32")
    if refined_count:
        some = slice(refined_count)
        found = refine(run.generator, images[some], latents[some])
        refined = draw(tf.constant(found.latents)).numpy()
    return Redrawn(images, latents, np.concatenate(drawn), refined)


def measure(redrawn: Redrawn, seed: int) -> dict[str, Any]:
    """Error, PSNR, SSIM and MS-SSIM, each with its 95 % interval.

    The floor of an error is 0 and that of a similarity 1: the image itself. What one
    picture for all images would give stands beside as `mean_image`.

    Returns:
        JSON values: `count`, `encoded`, `refined` (with a count and a number of steps
        of its own, and `same_images_encoded`) and `mean_image`.
    """
    images = redrawn.images
    spread = {
        "pixel_variance": float(np.var(images, dtype="float64")),
        "mean_image_error": float(np.mean(np.var(images, axis=0, dtype="float64"))),
    }
    found = {
        "count": len(images),
        **spread,
        "encoded": scores(images, redrawn.encoded, spread["pixel_variance"], seed),
    }
    count = len(redrawn.refined)
    if count:
        pixel_variance = spread["pixel_variance"]
        found["refined"] = {
            "count": count,
            "steps": STEPS,
            **scores(images[:count], redrawn.refined, pixel_variance, seed),
            "same_images_encoded": scores(
                images[:count], redrawn.encoded[:count], pixel_variance, seed
            ),
        }
    return found


def scores(
    images: np.ndarray, drawn: np.ndarray, pixel_variance: float, seed: int
) -> dict[str, Any]:
    """Means over images: mean squared error, of pixel variance, and similarities."""
    errors = similarity.squared_error(images, drawn)
    measures = {name: of(images, drawn) for name, of in MEASURES.items()}
    # An image that is drawn exactly has an infinite ratio; 100 dB is one part in 10^5.
    measures["psnr"] = np.minimum(measures["psnr"], 100)
    if pixel_variance > 0:
        measures["of_pixel_variance"] = errors / pixel_variance
    return {
        name: bootstrap.mean_interval(values, seed)._asdict()
        for name, values in {"error": errors, **measures}.items()
    }
