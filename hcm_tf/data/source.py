"""What a data set is before it is stored: images that come one after the other."""

import dataclasses
import math
from collections.abc import Callable, Iterator

import numpy as np

from hcm_tf.data.image_set import ImageSet

Example = tuple[np.ndarray, dict[str, int]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Source:
    """Images of one size, which can be read as often as wanted, always the same.

    Attributes:
        name: the data set's name, as in `DataConfig.dataset`.
        shape: of every image: (size, size, channels).
        label_names: for each kind of label, the names.
        most: images that come, at most.
        examples: begins a reading; yields images, uint8 `shape`, each with a label of
            every kind. Held-out images come first.
        divide: from how many came, how many of them are held out.
        limit: training images at most; 0 for all that come.
        notes: what the user must know of what was read, a sentence each; `examples`
            fills it.
    """

    name: str
    shape: tuple[int, int, int]
    label_names: dict[str, list[str]]
    most: int
    examples: Callable[[], Iterator[Example]]
    divide: Callable[[int], int]
    limit: int = 0
    notes: list[str] = dataclasses.field(default_factory=list)

    @property
    def bytes(self) -> int:
        """Bytes of all pixels, at most."""
        return self.most * math.prod(self.shape)


def divided(every: ImageSet, held_out: int, limit: int) -> tuple[ImageSet, ImageSet]:
    """The training and the held-out images, of one array that has both."""
    stop = held_out + limit if limit else len(every)
    return every.part(held_out, stop), every.part(0, held_out)


def in_memory(source: Source) -> tuple[ImageSet, ImageSet]:
    """Reads a source into memory, where its images then are once."""
    images = np.empty((source.most, *source.shape), np.uint8)
    labels = {kind: np.empty(source.most, np.int64) for kind in source.label_names}
    count = 0
    source.notes.clear()
    for count, (image, label) in enumerate(source.examples(), start=1):
        images[count - 1] = image
        for kind, values in labels.items():
            values[count - 1] = label[kind]
    every = ImageSet(
        images=images[:count],
        labels={kind: values[:count] for kind, values in labels.items()},
        label_names=source.label_names,
        name=source.name,
    )
    return divided(every, source.divide(count), source.limit)
