"""Known damage to images, of known strength: what a measure must see."""

import math

import numpy as np


def blur(images: np.ndarray, sigma: float) -> np.ndarray:
    """Convolves with a Gaussian; the border is repeated.

    Args:
        images: float `(n, height, width, channels)`.
        sigma: standard deviation in pixels; 0 changes nothing.
    """
    if not sigma:
        return images
    radius = math.ceil(3 * sigma)
    kernel = np.exp(-np.square(np.arange(-radius, radius + 1) / sigma) / 2)
    kernel = (kernel / kernel.sum()).astype(images.dtype)
    for axis in (1, 2):
        edges = [(0, 0)] * 4
        edges[axis] = (radius, radius)
        padded = np.pad(images, edges, mode="edge")
        side = images.shape[axis]
        images = sum(
            weight * padded.take(range(start, start + side), axis=axis)
            for start, weight in enumerate(kernel)
        )
    return images


def noise(
    images: np.ndarray, deviation: float, random: np.random.Generator
) -> np.ndarray:
    """Adds Gaussian noise to every value, and clips to [-1, 1].

    Args:
        images: float `(n, height, width, channels)`, in [-1, 1].
        deviation: of the noise.
        random: where it comes from.
    """
    added = random.standard_normal(images.shape, np.float32) * np.float32(deviation)
    return np.clip(images + added, -1, 1).astype(images.dtype)


def speckle(
    images: np.ndarray, fraction: float, random: np.random.Generator
) -> np.ndarray:
    """Gives some pixels a random colour, each channel -1 or 1.

    Args:
        images: float `(n, height, width, channels)`, in [-1, 1].
        fraction: of the pixels.
        random: where places and colours come from.
    """
    hit = random.random(images.shape[:3], np.float32) < fraction
    colors = random.integers(0, 2, images.shape).astype(images.dtype) * 2 - 1
    return np.where(hit[..., np.newaxis], colors, images)


def halves(images: np.ndarray) -> np.ndarray:
    """The left half of each image beside the right half of the one before it.

    Args:
        images: `(n, height, width, channels)`; the first one takes from the last.
    """
    middle = images.shape[2] // 2
    return np.concatenate(
        [images[:, :, :middle], np.roll(images, 1, axis=0)[:, :, middle:]], axis=2
    )


def contrast(images: np.ndarray, factor: float) -> np.ndarray:
    """Multiplies the distance from each image's mean, and clips to [-1, 1].

    Args:
        images: float `(n, height, width, channels)`, in [-1, 1].
        factor: above 1 stretches.
    """
    mean = images.mean(axis=(1, 2, 3), keepdims=True)
    return np.clip((images - mean) * factor + mean, -1, 1).astype(images.dtype)
