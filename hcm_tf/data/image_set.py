"""A set of square images, in memory or in a file, with their labels."""

import dataclasses
import hashlib

import numpy as np


@dataclasses.dataclass(frozen=True)
class ImageSet:
    """Images of one size, and what is known about each.

    Attributes:
        images: uint8 `(n, size, size, channels)`, in [0, 255]; an array mapped from a
            file where they come from the cache, which stays on the disk until it is
            used.
        labels: for each kind of label, int64 `(n,)`: indices into its names.
        label_names: for each kind of label, the names.
        name: the data set's name, as in `DataConfig.dataset`.
        known_digest: what `digest` gives, where it is known.
    """

    images: np.ndarray
    labels: dict[str, np.ndarray]
    label_names: dict[str, list[str]]
    name: str
    known_digest: str | None = None

    def __len__(self) -> int:
        return len(self.images)

    def digest(self) -> str:
        """SHA-256 of the pixels and their shape, in hexadecimal."""
        if self.known_digest:
            return self.known_digest
        found = hashlib.sha256(str(self.images.shape).encode())
        found.update(np.ascontiguousarray(self.images))
        return found.hexdigest()

    def part(self, start: int, stop: int) -> "ImageSet":
        """The images from `start` to `stop`, which is not included."""
        return dataclasses.replace(
            self,
            images=self.images[start:stop],
            labels={kind: label[start:stop] for kind, label in self.labels.items()},
            known_digest=None,
        )
