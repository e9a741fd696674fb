"""Placed parts as segments: what the picture loses without each of them.

Parts are taken out, one at a time and all together, and the levels above decide anew:
what comes in their place is what they hid. Where the picture without any part is
another, a part has the pixel: the one without which it changes most. So it is, whatever
opacities say (`placed_parts`), whatever else a location draws (`grouping.by_location`),
and also where two parts lie over each other and one alone is not missed.
"""

import numpy as np

from hcm_tf.explain.decoder import Decoder, Recording
from hcm_tf.explain.placed_parts import LEAST_MASS, LEAST_PRESENCE

LEAST_CHANGE = 0.5  # A quarter of the range of images.


def changes(decoder: Decoder, recording: Recording) -> np.ndarray:
    """How much the image changes in each pixel without each part, and without any.

    Returns:
        float32 `(locations + 1, size, size)`, the mean over channels of the absolute
        difference of images in [-1, 1]; 0 for parts whose presence is
        `placed_parts.LEAST_PRESENCE` or less. The last is without any part.
    """
    placing, image = recording.placing, recording.image
    presence = np.asarray(placing.presence)[0]
    there = np.flatnonzero(presence > LEAST_PRESENCE)
    found = np.zeros((len(presence) + 1, *image.shape[:2]), "float32")
    if not len(there):
        return found
    without = np.repeat(presence[np.newaxis], len(there) + 1, axis=0)
    without[np.arange(len(there)), there] = 0
    without[-1] = 0
    others = [np.repeat(field, len(without), axis=0) for field in placing]
    matrices = decoder.generator.sums(placing._make(others)._replace(presence=without))
    codes = np.repeat(recording.codes[0][np.newaxis], len(without), axis=0)
    images = np.tanh(decoder.redraw(0, codes, matrices))
    found[[*there, -1]] = np.abs(images - image).mean(axis=-1)
    return found


def missed(found: np.ndarray) -> np.ndarray:
    """Which parts' absence alone changes more than LEAST_MASS of the image's pixels.

    Args:
        found: of `changes`.

    Returns:
        bool `(locations,)`.
    """
    return (found[:-1] > LEAST_CHANGE).mean(axis=(1, 2)) > LEAST_MASS


def labels(found: np.ndarray) -> np.ndarray:
    """Segments: the part whose absence changes a pixel most, where parts change it.

    They do where without any part it is another by more than LEAST_CHANGE.

    Args:
        found: of `changes`.

    Returns:
        int64 `(size, size)`: 0 for the background, 1 + l for the part of location l.
    """
    return np.where(found[-1] > LEAST_CHANGE, 1 + np.argmax(found[:-1], axis=0), 0)
