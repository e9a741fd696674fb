"""A set of square images in memory, with their labels."""

import dataclasses
import hashlib
from collections.abc import Iterable

import numpy as np


@dataclasses.dataclass(frozen=True)
class ImageSet:
    """Images of one size, and what is known about each.

    Attributes:
        images: uint8 `(n, size, size, channels)`, in [0, 255].
        labels: for each kind of label, int64 `(n,)`: indices into its names.
        label_names: for each kind of label, the names.
        name: the data set's name, as in `DataConfig.dataset`.
    """

    images: np.ndarray
    labels: dict[str, np.ndarray]
    label_names: dict[str, list[str]]
    name: str

    def __len__(self) -> int:
        return len(self.images)

    def digest(self) -> str:
        """SHA-256 of the pixels and their shape, in hexadecimal."""
        found = hashlib.sha256(str(self.images.shape).encode())
        found.update(np.ascontiguousarray(self.images))
        return found.hexdigest()

    def part(self, start: int, stop: int) -> "ImageSet":
        """The images from `start` to `stop`, which is not included."""
        return dataclasses.replace(
            self,
            images=self.images[start:stop],
            labels={kind: label[start:stop] for kind, label in self.labels.items()},
        )


def fill(images: Iterable[np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
    """Stacks images as they come, so that they are in memory only once.

    Args:
        images: uint8, each of shape `shape[1:]`.
        shape: of the result, if there are `shape[0]` images; fewer give fewer.
    """
    stacked = np.empty(shape, np.uint8)
    count = 0
    for count, image in enumerate(images, start=1):
        stacked[count - 1] = image
    return stacked[:count]
