"""Sliced Wasserstein distance of patches, scale by scale (Karras et al. 2018, sec. 5).

Each image becomes a Laplacian pyramid: its detail at full size, at half, and so on down
to 16 pixels, where the rest is. From every level come 128 patches of 7x7 pixels at
random places; each channel of all patches of a set is brought to mean 0 and standard
deviation 1. The distance of two sets of patches is the mean, over 512 random
directions, of the Wasserstein distance of their projections, which sorting solves.

Fine levels tell sharpness and texture, the coarsest one what the image is made of. It
does not see where in the image a patch lies, nor, since each set is normalised by
itself, a colour cast or a contrast that all images share; nor copies.

Ours: the number of patches is bounded (the published ones of 5,000 images of 64 pixels
would fill 2.3 GB for each set). Every patch draws a key, and the smallest keys stay,
which is a uniform choice; keys and places depend on the seed and on the number of the
image alone, so that the size of batches changes nothing, and a set is at distance 0
from itself.
"""

import numpy as np

from hcm_tf.metrics.checks import check_images

PATCH = 7
PATCHES_PER_IMAGE = 128
SMALLEST_LEVEL = 16
DIRECTIONS = 512
# As published, directions are drawn in 4 sets of 128.
DIRECTIONS_PER_REPEAT = 128
# As the published numbers are printed.
SCALE = 1e3
# 39 MB of colour patches a level.
CAPACITY = 2**16
_BINOMIAL = np.array([1, 4, 6, 4, 1], "float32") / 16


class Patches:
    """A bounded, uniform choice of a set's patches, for each level of the pyramid.

    Args:
        seed: of places and choice; to be the same for sets that are compared.
        capacity: the most patches that a level keeps.
    """

    def __init__(self, seed: int = 0, capacity: int = CAPACITY) -> None:
        if capacity < 1:
            raise ValueError(f"`capacity` must be positive. Received: {capacity}")
        self.seed = seed
        self.count = 0
        self._capacity = capacity
        self._shape: tuple[int, ...] | None = None
        self._levels: list[_Level] = []

    def update(self, images: np.ndarray) -> None:
        """Adds a batch of images.

        Args:
            images: float `(batch, height, width, 1 or 3)`, in [-1, 1]; every side a
                multiple of 2 for each halving, and at least 16.

        Raises:
            ValueError: not such images, or of another shape than those before.
        """
        images = check_images("images", images, SMALLEST_LEVEL)
        if self._shape is None:
            self._shape = images.shape[1:]
            self._levels = [
                _Level(size, images.shape[3], self._capacity)
                for size in level_sizes(*self._shape[:2])
            ]
        if images.shape[1:] != self._shape:
            raise ValueError(
                f"`images` must have the shape {self._shape} of those before. "
                f"Received: {images.shape[1:]}"
            )
        numbers = np.arange(self.count, self.count + len(images))
        draws = [self._draw(number) for number in numbers]
        pyramid = laplacian_pyramid(images, len(self._levels))
        for index, (level, maps) in enumerate(zip(self._levels, pyramid, strict=True)):
            keys = np.stack([draw[0][index] for draw in draws])
            places = np.stack([draw[1][index] for draw in draws])
            level.add(maps, numbers, keys, places)
        self.count += len(images)

    @property
    def sizes(self) -> list[int]:
        """The smaller side of each level, from the finest."""
        return [min(level.size) for level in self._levels]

    def normalised(self, level: int, kept: np.ndarray | None = None) -> np.ndarray:
        """The patches of a level, by their keys; each channel of mean 0, deviation 1.

        Args:
            level: its index.
            kept: bool `(images,)`, the images whose patches are wanted.

        Returns:
            float32 `(patches, 49 * channels)`.
        """
        images, patches = self._levels[level].chosen()
        if kept is not None:
            patches = patches[np.asarray(kept, bool)[images]]
        if not len(patches):
            raise ValueError("No patches: give at least one image.")
        return normalise(patches)

    def _draw(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Keys `(levels, 128)` and places, from 0 to 1, `(levels, 128, 2)`."""
        random = np.random.default_rng((self.seed, number))
        shape = len(self._levels), PATCHES_PER_IMAGE
        return random.random(shape), random.random((*shape, 2))


class _Level:
    """The patches with the smallest keys, in no order until they are asked for."""

    def __init__(self, size: tuple[int, int], channels: int, capacity: int) -> None:
        self.size = size
        self._capacity = capacity
        self._limit = np.inf
        self._keys = np.empty(0)
        self._images = np.empty(0, "int64")
        self._patches = np.empty((0, PATCH, PATCH, channels), "float32")
        self._waiting: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []

    def add(
        self,
        maps: np.ndarray,
        numbers: np.ndarray,
        keys: np.ndarray,
        places: np.ndarray,
    ) -> None:
        index, which = np.nonzero(keys < self._limit)
        room = np.array(self.size) - PATCH + 1
        corners = (places[index, which] * room).astype("int64")
        windows = np.lib.stride_tricks.sliding_window_view(
            maps, (PATCH, PATCH), axis=(1, 2)
        )
        patches = windows[index, corners[:, 0], corners[:, 1]]
        self._waiting.append(
            (keys[index, which], numbers[index], np.moveaxis(patches, 1, -1))
        )
        if sum(len(waiting[0]) for waiting in self._waiting) > self._capacity // 4:
            self._settle()

    def chosen(self) -> tuple[np.ndarray, np.ndarray]:
        """(numbers of the images, patches), by ascending keys."""
        self._settle()
        order = np.argsort(self._keys)
        return self._images[order], self._patches[order]

    def _settle(self) -> None:
        """Takes in what waits, and leaves the smallest keys."""
        keys = np.concatenate([self._keys, *(each[0] for each in self._waiting)])
        images = np.concatenate([self._images, *(each[1] for each in self._waiting)])
        patches = np.concatenate([self._patches, *(each[2] for each in self._waiting)])
        self._waiting = []
        if len(keys) > self._capacity:
            kept = np.argpartition(keys, self._capacity - 1)[: self._capacity]
            keys, images, patches = keys[kept], images[kept], patches[kept]
            self._limit = keys.max()
        self._keys, self._images, self._patches = keys, images, patches


def sliced_wasserstein(
    reference: np.ndarray,
    samples: np.ndarray,
    seed: int = 0,
    capacity: int = CAPACITY,
) -> dict[int, float]:
    """Distance of two sets of images at each level, see `patch_distances`.

    Args:
        reference: float `(n, height, width, 1 or 3)`, in [-1, 1].
        samples: `(m, height, width, channels)`, likewise.
        seed: of patches and directions.
        capacity: the most patches of a level.
    """
    sets = Patches(seed, capacity), Patches(seed, capacity)
    for patches, images in zip(sets, (reference, samples), strict=True):
        for start in range(0, len(images), 256):
            patches.update(images[start : start + 256])
    return patch_distances(*sets)


def patch_distances(
    reference: Patches,
    samples: Patches,
    directions: int = DIRECTIONS,
    kept_reference: np.ndarray | None = None,
    kept_samples: np.ndarray | None = None,
) -> dict[int, float]:
    """Distance times 1,000 of two gathered sets at each level.

    The larger set gives as many patches as the smaller one has.

    Args:
        reference: what is compared with.
        samples: what is compared, of the same seed and shape of images.
        directions: how many random projections.
        kept_reference: bool `(images,)`, to use some images only.
        kept_samples: likewise.

    Returns:
        The level's smaller side in pixels, from the finest, to the distance.

    Raises:
        ValueError: the sets differ in seed or shape of images, or one is empty.
    """
    if (reference.seed, reference._shape) != (samples.seed, samples._shape):
        raise ValueError(
            "Both sets must be of one seed and one shape of images. Received: seeds "
            f"{reference.seed} and {samples.seed}, "
            f"shapes {reference._shape} and {samples._shape}"
        )
    if reference._shape is None:
        raise ValueError("No patches: give at least one image.")
    found = {}
    for level, size in enumerate(reference.sizes):
        one = reference.normalised(level, kept_reference)
        other = samples.normalised(level, kept_samples)
        count = min(len(one), len(other))
        random = np.random.default_rng((reference.seed, size))
        found[size] = SCALE * mean_distance(
            one[:count], other[:count], random_directions(random, one, directions)
        )
    return found


def normalise(patches: np.ndarray) -> np.ndarray:
    """Each channel brought to mean 0 and deviation 1; rows of float32.

    Args:
        patches: float `(n, 7, 7, channels)`.

    Returns:
        float32 `(n, 49 * channels)`.
    """
    flat = patches.reshape(-1, patches.shape[-1])
    mean = flat.mean(axis=0, dtype="float64")
    deviation = flat.std(axis=0, dtype="float64")
    # A channel without any contrast has nothing to normalise.
    scale = 1 / np.where(deviation > 0, deviation, 1)
    normalised = (patches - mean.astype("float32")) * scale.astype("float32")
    return normalised.reshape(len(patches), -1)


def random_directions(
    random: np.random.Generator, patches: np.ndarray, count: int
) -> np.ndarray:
    """Unit vectors `(size of a patch, count)`, uniform on the sphere."""
    directions = random.standard_normal((patches.shape[1], count))
    return (directions / np.linalg.norm(directions, axis=0)).astype("float32")


def level_sizes(height: int, width: int) -> list[tuple[int, int]]:
    """Sizes of the pyramid's levels, halved as long as both sides are at least 16.

    Raises:
        ValueError: a side that has to be halved is odd, or is smaller than 16.
    """
    sizes = [(height, width)]
    while min(sizes[-1]) // 2 >= SMALLEST_LEVEL:
        if sizes[-1][0] % 2 or sizes[-1][1] % 2:
            raise ValueError(
                "`images` must have sides that can be halved down to "
                f"{SMALLEST_LEVEL} pixels. Received: {height} x {width}"
            )
        sizes.append((sizes[-1][0] // 2, sizes[-1][1] // 2))
    if min(sizes[-1]) < SMALLEST_LEVEL:
        raise ValueError(
            f"`images` must be at least {SMALLEST_LEVEL} pixels high and wide. "
            f"Received: {height} x {width}"
        )
    return sizes


def laplacian_pyramid(images: np.ndarray, levels: int) -> list[np.ndarray]:
    """Detail of each level, and the rest as the last one (Burt and Adelson 1983).

    Args:
        images: float `(batch, height, width, channels)`.
        levels: how many; the sides must be multiples of 2 ** (levels - 1).

    Returns:
        float32 arrays, each half as high and wide as the one before. Adding every
        level, enlarged by `enlarge`, to the one above it gives back the images.
    """
    pyramid = []
    rest = np.asarray(images, "float32")
    for _ in range(levels - 1):
        smaller = reduce(rest)
        pyramid.append(rest - enlarge(smaller))
        rest = smaller
    return [*pyramid, rest]


def reduce(images: np.ndarray) -> np.ndarray:
    """Binomial blur and every second pixel; mirrored at the border."""
    for axis in (1, 2):
        images = _blur(images, axis)
        images = images[:, ::2] if axis == 1 else images[:, :, ::2]
    return images


def enlarge(images: np.ndarray) -> np.ndarray:
    """Zeros between the pixels, and four times the binomial blur."""
    batch, height, width, channels = images.shape
    spread = np.zeros((batch, 2 * height, 2 * width, channels), "float32")
    spread[:, ::2, ::2] = images
    return 4 * _blur(_blur(spread, 1), 2)


def _blur(images: np.ndarray, axis: int) -> np.ndarray:
    """Binomial filter of five taps along an axis."""
    half = len(_BINOMIAL) // 2
    margins = [(half, half) if each == axis else (0, 0) for each in range(4)]
    padded = np.pad(images, margins, mode="reflect")
    before = (slice(None),) * axis
    blurred = np.zeros_like(images)
    for start, weight in enumerate(_BINOMIAL):
        blurred += weight * padded[(*before, slice(start, start + images.shape[axis]))]
    return blurred


def mean_distance(one: np.ndarray, other: np.ndarray, directions: np.ndarray) -> float:
    """Mean over directions of the Wasserstein distance of equally many projections."""
    total = 0.0
    for start in range(0, directions.shape[1], 32):
        part = directions[:, start : start + 32]
        # Rows of projections: a sort runs along contiguous memory.
        projections = part.T @ one.T, part.T @ other.T
        for projection in projections:
            projection.sort(axis=1)
        gaps = np.abs(projections[0] - projections[1])
        total += gaps.sum(dtype="float64")
    return float(total / (directions.shape[1] * len(one)))
