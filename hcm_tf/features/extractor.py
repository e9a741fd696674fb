"""What turns images into vectors that a distance can be measured between."""

import math
from collections.abc import Callable, Iterator
from typing import Protocol

import numpy as np

# Images that go through an extractor at once: it bounds memory, and changes no number.
BATCH = 100


class Extractor(Protocol):
    """A fixed function from images to vectors.

    It is deterministic, and what one image gives does not depend on the others that it
    is given with (to 1e-5 of the largest feature).

    Attributes:
        name: as `hcm_tf.features.load` takes it; it belongs beside every number.
        sees: one sentence: what the features can and cannot see.
        size: features of an image.
    """

    name: str
    sees: str
    size: int

    def features(self, images: np.ndarray) -> np.ndarray:
        """Features of images.

        Args:
            images: float `(n, height, width, channels)`, in [-1, 1].

        Returns:
            float32 `(n, size)`.

        Raises:
            ValueError: the images are of another shape, type or range.
        """
        ...


def in_batches(
    function: Callable[[np.ndarray], np.ndarray], images: np.ndarray, size: int
) -> np.ndarray:
    """Applies a function to `BATCH` images at a time.

    Args:
        function: from float32 images to float32 `(n, size)`.
        images: as `check` lets pass.
        size: features of an image.
    """
    result = np.empty((len(images), size), np.float32)
    for batch in slices(len(images)):
        result[batch] = function(np.asarray(images[batch], np.float32))
    return result


def slices(count: int) -> Iterator[slice]:
    """Consecutive slices of at most `BATCH`."""
    for number in range(math.ceil(count / BATCH)):
        yield slice(number * BATCH, (number + 1) * BATCH)


def check(images: np.ndarray, channels: int) -> None:
    """Raises ValueError unless images are float, square, finite and in [-1, 1].

    Args:
        images: of any kind.
        channels: that they must have.
    """
    if not (
        isinstance(images, np.ndarray)
        and images.ndim == 4
        and len(images)
        and images.shape[1] == images.shape[2]
        and images.shape[3] == channels
    ):
        raise ValueError(
            f"`images` must be an array (n, side, side, {channels}) of at least one "
            f"image. Received: {getattr(images, 'shape', type(images).__name__)}"
        )
    if not np.issubdtype(images.dtype, np.floating):
        raise ValueError(
            "`images` must be floating point, in [-1, 1]: see hcm_tf.images.to_float. "
            f"Received: {images.dtype}"
        )
    lowest, highest = float(images.min()), float(images.max())
    # NaN fails every comparison.
    if not (lowest >= -1 - 1e-4 and highest <= 1 + 1e-4):
        raise ValueError(
            f"`images` must be in [-1, 1]. Received: from {lowest:.4g} to {highest:.4g}"
        )
