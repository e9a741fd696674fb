"""How many objects a scene has: by placed parts, by bright spots, and by rote."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from hcm_tf.evaluate import scene_objects
from hcm_tf.evaluate.groupings import Drawn
from hcm_tf.evaluate.scene_scores import Summary, summary
from hcm_tf.explain import absence, placed_parts

# Of which a bright spot is an object: on the others colours and pieces touch, or are
# darker than the background.
BRIGHT = ("binarized", "fashion_items")
MOST_FREQUENT = "the most frequent count"
ACCURACY = "accuracy"
ERROR = "mean absolute error"

# From what was drawn to a number of objects, which never sees the scene's own.
Counter = Callable[[Drawn], int]


def counters(recipe: str, *, placed: bool) -> dict[str, Counter]:
    """How the objects of what a run draws are counted, by name.

    Args:
        recipe: the name of the scenes.
        placed: whether the run places its parts freely; on the grid they are always 16.
    """
    found: dict[str, Counter] = {}
    if placed:
        found["placed parts"] = lambda drawn: int(
            placed_parts.present(drawn.recording.placing).sum()
        )
        found["parts that are missed"] = lambda drawn: int(
            absence.missed(drawn.absences).sum()
        )
    if recipe in BRIGHT:
        found["bright spots of the input"] = lambda drawn: bright_spots(drawn.image)
        found["bright spots of the reconstruction"] = lambda drawn: bright_spots(
            drawn.recording.image
        )
    return found


def bright_spots(image: np.ndarray) -> int:
    """Connected parts of what is brighter than the mid grey.

    A spot must be larger than a placed part's least mass, a hundredth of the image.

    Args:
        image: float `(height, width, channels)`, in [-1, 1]; its channels' mean counts.
    """
    return len(scene_objects.bright(image))


def summaries(
    truth: Sequence[int], counts: Mapping[str, Sequence[int]]
) -> dict[str, dict[str, Summary]]:
    """How often each count is right, and how far from it on average.

    Beside them the most frequent of the true counts, as if it were found in every
    scene: no other constant is right more often.

    Args:
        truth: how many objects are seen in each scene.
        counts: of each way to count, the number found in each scene.
    """
    truth = np.asarray(truth)
    constant = np.full_like(truth, np.argmax(np.bincount(truth)))
    away = {
        name: np.abs(truth - np.asarray(found))
        for name, found in {**counts, MOST_FREQUENT: constant}.items()
    }
    return {
        name: {ACCURACY: summary(1.0 * (one == 0)), ERROR: summary(1.0 * one)}
        for name, one in away.items()
    }
