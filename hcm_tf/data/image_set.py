"""A set of square images in memory, with their labels."""

import dataclasses
from collections.abc import Mapping, Sequence

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

    def part(self, start: int, stop: int) -> "ImageSet":
        """The images from `start` to `stop`, which is not included."""
        return dataclasses.replace(
            self,
            images=self.images[start:stop],
            labels={kind: label[start:stop] for kind, label in self.labels.items()},
        )


def stack(
    images: Sequence[np.ndarray],
    labels: Mapping[str, Sequence[int]],
    label_names: Mapping[str, Sequence[str]],
    name: str,
) -> ImageSet:
    """An ImageSet of single images, each uint8 `(size, size, channels)`."""
    return ImageSet(
        images=np.stack(images),
        labels={kind: np.asarray(label, np.int64) for kind, label in labels.items()},
        label_names={kind: list(names) for kind, names in label_names.items()},
        name=name,
    )
