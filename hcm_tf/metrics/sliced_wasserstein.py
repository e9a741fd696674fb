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

    @property
    def patch_size(self) -> int:
        """Values of a patch: 49 times the channels."""
        return PATCH * PATCH * self._shape[2]

    def normalised(self, level: int) -> np.ndarray:
        """The patches of a level, by their keys, see `normalise`.

        Raises:
            ValueError: there are none yet.
        """
        if not self.count:
            raise ValueError("No patches: give at least one image.")
        return normalise(self._levels[level].chosen()[1])

    def owners(self, level: int) -> np.ndarray:
        """The number of the image that each of them comes from, int64 `(patches,)`."""
        return self._levels[level].chosen()[0]

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


def patch_distances(reference: Patches, samples: Patches) -> dict[int, float]:
    """Distance times 1,000 of two gathered sets at each level.

    The larger set gives as many patches as the smaller one has.

    Args:
        reference: what is compared with.
        samples: what is compared, of the same seed and shape of images.

    Returns:
        The level's smaller side in pixels, from the finest, to the distance.

    Raises:
        ValueError: the sets differ in seed or shape of images, or one is empty.
    """
    _check_sets(reference, samples)
    found = {}
    for level, size in enumerate(reference.sizes):
        one, other = reference.normalised(level), samples.normalised(level)
        count = min(len(one), len(other))
        directions = random_directions(reference.seed, size, one.shape[1], DIRECTIONS)
        found[size] = SCALE * mean_distance(one[:count], other[:count], directions)
    return found


def resampled_distances(
    reference: Patches,
    samples: Patches,
    kept_reference: np.ndarray,
    kept_samples: np.ndarray,
    directions: int,
) -> dict[int, np.ndarray]:
    """The distance of some images' patches, for many choices of images.

    Each choice is normalised by itself, but projected only once, channel by channel:
    mean and deviation can be put in afterwards.

    Args:
        reference: as of `patch_distances`.
        samples: likewise.
        kept_reference: bool `(choices, images)`.
        kept_samples: likewise.
        directions: how many of the random directions.

    Returns:
        The level's smaller side to float64 `(choices,)`.

    Raises:
        ValueError: as `patch_distances`.
    """
    _check_sets(reference, samples)
    found = {}
    for level, size in enumerate(reference.sizes):
        axes = random_directions(reference.seed, size, reference.patch_size, directions)
        projected = _Projected(reference, level, axes), _Projected(samples, level, axes)
        distances = []
        for one, other in zip(kept_reference, kept_samples, strict=True):
            parts = projected[0].of(one), projected[1].of(other)
            count = min(part.shape[1] for part in parts)
            gaps = _gaps(parts[0][:, :count], parts[1][:, :count])
            distances.append(SCALE * gaps.mean(dtype="float64"))
        found[size] = np.array(distances)
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


class _Projected:
    """Projections of a level's patches, of which some images' can be normalised."""

    def __init__(self, patches: Patches, level: int, directions: np.ndarray) -> None:
        rows = patches.normalised(level)
        rows = rows.reshape(len(rows), PATCH * PATCH, -1)
        axes = directions.reshape(PATCH * PATCH, rows.shape[2], -1)
        self._owners = patches.owners(level)
        self._means = rows.mean(axis=1, dtype="float64")
        self._squares = np.einsum("npc,npc->nc", rows, rows) / rows.shape[1]
        self._sums = axes.sum(axis=0)
        self._parts = [
            axes[:, channel].T @ rows[:, :, channel].T
            for channel in range(rows.shape[2])
        ]

    def of(self, kept: np.ndarray) -> np.ndarray:
        """Of the images that are kept, float32 `(directions, patches)`."""
        chosen = np.asarray(kept, bool)[self._owners]
        means = self._means[chosen].mean(axis=0)
        squares = self._squares[chosen].mean(axis=0, dtype="float64")
        deviations = np.sqrt(np.maximum(squares - means**2, 0))
        scales = 1 / np.where(deviations > 0, deviations, 1)
        whole = np.float32(0)
        for part, sums, mean, scale in zip(
            self._parts, self._sums, means, scales, strict=True
        ):
            offsets = (sums * mean)[:, None].astype("float32")
            whole = whole + (part[:, chosen] - offsets) * np.float32(scale)
        return whole


def random_directions(
    seed: int, level_size: int, patch_size: int, count: int
) -> np.ndarray:
    """Unit vectors `(patch_size, count)`, uniform on the sphere."""
    random = np.random.default_rng((seed, level_size))
    directions = random.standard_normal((patch_size, count))
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
        total += _gaps(part.T @ one.T, part.T @ other.T).sum(dtype="float64")
    return float(total / (directions.shape[1] * len(one)))


def _gaps(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Between the sorted values of each row; sorts in place."""
    one.sort(axis=1)
    other.sort(axis=1)
    return np.abs(one - other)


def _check_sets(reference: Patches, samples: Patches) -> None:
    if (reference.seed, reference._shape) != (samples.seed, samples._shape):
        raise ValueError(
            "Both sets must be of one seed and one shape of images. Received: seeds "
            f"{reference.seed} and {samples.seed}, "
            f"shapes {reference._shape} and {samples._shape}"
        )
    if not (reference.count and samples.count):
        raise ValueError("No patches: give at least one image.")
