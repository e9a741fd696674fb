"""Segmentations that need no training: what a model of scenes must be better than.

Each takes one image and gives a label map, integers `(height, width)`. Colours are in
[0, 1]; places in [0, 1] as well, from one edge of the image to the other.
"""

import numpy as np

from hcm_tf.metrics.kmeans import kmeans


def clusters_of_pixels(
    image: np.ndarray,
    segments: int,
    seed: int = 0,
    *,
    colour: float = 1.0,
    place: float = 0.0,
) -> np.ndarray:
    """K-means of pixels by their colours, their places, or both.

    Args:
        image: float `(height, width, channels)`, in [0, 1].
        segments: how many clusters.
        seed: of k-means, which begins once.
        colour: weight of the colours; 0 does not look at the image.
        place: weight of x and y.
    """
    height, width, channels = image.shape
    features = np.concatenate(
        [
            colour * image.reshape(-1, channels),
            place * _places(height, width),
        ],
        axis=1,
    )
    return kmeans(features, segments, seed).labels.reshape(height, width)


def clusters_of_foreground(
    image: np.ndarray, segments: int, seed: int = 0, *, threshold: float = 0.5
) -> np.ndarray:
    """What is brighter than a threshold, cut by k-means of its places.

    Args:
        image: float `(height, width, channels)`, in [0, 1].
        segments: parts of the foreground; the rest is a segment of its own.
        seed: of k-means, which begins once.
        threshold: of the mean over channels.
    """
    labels = np.zeros(image.shape[:2], np.int64)
    inside = image.mean(axis=2) > threshold
    if inside.any():
        places = _places(*image.shape[:2])[inside.ravel()]
        labels[inside] = 1 + kmeans(places, segments, seed).labels
    return labels


def chroma(image: np.ndarray) -> np.ndarray:
    """Colours without their brightness: each divided by its largest channel.

    Rounded to 0 or 1 in each channel they are eight: white, six hues, and black.

    Args:
        image: float `(height, width, channels)`, in [0, 1].

    Returns:
        float of the same shape; black stays black.
    """
    largest = image.max(axis=2, keepdims=True)
    return np.divide(image, largest, out=np.zeros_like(image), where=largest > 0)


def connected_components(image: np.ndarray) -> np.ndarray:
    """Pixels that are connected by neighbours of exactly their colour.

    Neighbours are left, right, above and below.

    Args:
        image: of any type, `(height, width, channels)`.
    """
    height, width = image.shape[:2]
    numbers = np.arange(height * width).reshape(height, width)
    across = (image[:, 1:] == image[:, :-1]).all(axis=2)
    down = (image[1:] == image[:-1]).all(axis=2)
    first = np.concatenate([numbers[:, :-1][across], numbers[:-1][down]])
    second = np.concatenate([numbers[:, 1:][across], numbers[1:][down]])
    # Each pixel's root, a smaller number of its component; the smallest in the end.
    root = numbers.ravel().copy()
    while True:
        one, other = root[first], root[second]
        if np.array_equal(one, other):
            return root.reshape(height, width)
        lower = np.minimum(one, other)
        np.minimum.at(root, one, lower)
        np.minimum.at(root, other, lower)
        while True:
            shorter = root[root]
            if np.array_equal(shorter, root):
                break
            root = shorter


def tiles(image: np.ndarray, across: int = 4) -> np.ndarray:
    """A grid of equal tiles: with 4, the locations that the generator composes of.

    Args:
        image: of any type, `(height, width, channels)`; its values are not looked at.
        across: tiles in a row and in a column.
    """
    height, width = image.shape[:2]
    rows = np.arange(height) * across // height
    columns = np.arange(width) * across // width
    return rows[:, np.newaxis] * across + columns


def _places(height: int, width: int) -> np.ndarray:
    """y and x of every pixel's centre: float64 `(height * width, 2)`, in [0, 1]."""
    rows, columns = np.mgrid[:height, :width]
    places = np.stack([(rows + 0.5) / height, (columns + 0.5) / width], axis=-1)
    return places.reshape(-1, 2)
