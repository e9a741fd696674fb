"""Latents: their distribution, and the latent that a seed stands for.

A seed is one row of noise, with the same bits on a server, on a device and in NumPy:
it and an index give 24 random bits by a Feistel network of six rounds. A uniform latent
has the same bits too; a Gaussian one (log, cos, a product, tanh) is the same within
1e-6 in float32. The seed's 32 bits are two halves of 16, and each round replaces

    (left, right) -> (right, left ^ scramble(right ^ key)),
    scramble(x) = (x * m ^ (x * m >> 11)) mod 2**16,

with a multiplier m of its own and
key = (index * (2 round + 1) + 14201 round) mod 2**16; their upper 24 bits count. No
product reaches 2**31, so that nothing depends on how a runtime treats overflow, and the
operations (multiply, xor, shift, floor mod of int32) are TFLite builtins. At every
index the map from seeds to the 32 bits is one to one.
"""

import dataclasses
import math

import keras
import numpy as np
import tensorflow as tf

MULTIPLIERS = (0x6A35, 0x7F4B, 0x5E8D, 0x6C9B, 0x4EA7, 0x75D3)
KEY_STEP = 14201
HALF = 1 << 16
BITS = 24  # What a float32 in [-1, 1) holds exactly.


@dataclasses.dataclass(frozen=True)
class Uniform:
    """The published prior: latents uniform in [-1, 1), each entry by itself.

    Attributes:
        size: length of a latent.
    """

    size: int
    noise = "uniform"

    @property
    def drawn(self) -> int:
        """Numbers that a seed's latent takes of its noise."""
        return self.size

    def from_noise(self, noise: tf.Tensor) -> tf.Tensor:
        """Latents from noise uniform in [0, 1), `(batch, size)`."""
        return 2.0 * noise - 1.0

    def from_seeds(self, seeds: tf.Tensor, truncation: float = 1.0) -> tf.Tensor:
        """Latents of seeds; each row depends on its own seed alone.

        Args:
            seeds: int32 `(batch,)`, any value.
            truncation: from 0 to 1; scales the latents towards the middle.

        Returns:
            float32 `(batch, size)`: at truncation 1 multiples of 2**-23 in [-1, 1).
        """
        latent = self.from_noise(uniform_noise(seeds, self.size))
        return latent if truncation == 1.0 else truncation * latent


@dataclasses.dataclass(frozen=True)
class Gaussian:
    """Latents tanh(mean + factor n), n standard normal.

    Attributes:
        mean: float32 `(size,)`, of atanh(latent).
        factor: float32 `(size, size)`, lower triangular; factor factor^T is the
            covariance of atanh(latent).
    """

    mean: np.ndarray | tf.Tensor
    factor: np.ndarray | tf.Tensor
    noise = "normal"

    @property
    def size(self) -> int:
        """Length of a latent."""
        return self.mean.shape[0]

    @property
    def drawn(self) -> int:
        """Numbers that a seed's latent takes of its noise."""
        return 2 * self.size

    def from_noise(self, noise: tf.Tensor) -> tf.Tensor:
        """Latents from standard normal noise, `(batch, size)`."""
        spread = tf.linalg.matmul(noise, tf.transpose(self.factor))
        return tf.tanh(self.mean + spread)

    def from_seeds(self, seeds: tf.Tensor, truncation: float = 1.0) -> tf.Tensor:
        """Latents of seeds; each row depends on its own seed alone.

        Args:
            seeds: int32 `(batch,)`, any value.
            truncation: from 0 to 1; scales the noise, towards the mean latent.

        Returns:
            float32 `(batch, size)` in (-1, 1).
        """
        noise = normal_noise(seeds, self.size)
        return self.from_noise(noise if truncation == 1.0 else truncation * noise)


@dataclasses.dataclass(frozen=True)
class Labelled:
    """Latents with labels behind them, one-hot (`hcm_tf.labels`).

    A seed stands for a latent and for classes, as probable as the shares say.

    Attributes:
        base: of the latents.
        shares: for each label, of images, what part has each class.
        chosen: of some labels, by their number, the class that all latents have.
    """

    base: Uniform | Gaussian
    shares: tuple[tuple[float, ...], ...]
    chosen: dict[int, int] = dataclasses.field(default_factory=dict)

    @property
    def size(self) -> int:
        """Length of a latent with its labels."""
        return self.base.size + sum(map(len, self.shares))

    @property
    def noise(self) -> str:
        """That of the latents."""
        return self.base.noise

    def from_seeds(
        self,
        seeds: tf.Tensor,
        truncation: float = 1.0,
        classes: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Latents of seeds, each with its classes; each row depends on its own seed.

        Args:
            seeds: int32 `(batch,)`, any value.
            truncation: of the latents, see `Uniform` and `Gaussian`.
            classes: int32 `(batch, labels)`, a class or, where the seed decides, -1.

        Returns:
            float32 `(batch, size)`.
        """
        latents = self.base.from_seeds(seeds, truncation)
        return tf.concat([latents, self.labels(seeds, classes)], axis=1)

    def labels(self, seeds: tf.Tensor, classes: tf.Tensor | None = None) -> tf.Tensor:
        """What stands behind the latents of seeds, float32: a 1 for each label.

        Arguments as of `from_seeds`.
        """
        first = self.base.drawn
        noise = uniform_noise(seeds, first + len(self.shares))[:, first:]
        found = []
        for index, shares in enumerate(self.shares):
            bounds = np.cumsum(shares)[:-1].astype("float32")
            below = tf.cast(noise[:, index : index + 1] >= bounds, tf.int32)
            number = tf.reduce_sum(below, axis=1)
            if index in self.chosen:
                number = tf.zeros_like(number) + self.chosen[index]
            if classes is not None:
                asked = classes[:, index]
                number = tf.where(asked < 0, number, asked)
            found.append(tf.one_hot(number, len(shares)))
        return tf.concat(found, axis=1)

    def choose(self, chosen: dict[int, int]) -> "Labelled":
        """The same with these classes, by the number of the label, for all latents."""
        return dataclasses.replace(self, chosen={**self.chosen, **chosen})


Prior = Uniform | Gaussian | Labelled


def labelled(base: Uniform | Gaussian, shares: tuple[tuple[float, ...], ...]) -> Prior:
    """A prior with labels of these shares; itself if there are none."""
    return Labelled(base, shares) if shares else base


def without_labels(prior: Prior) -> Uniform | Gaussian:
    """The prior of the latents alone."""
    return prior.base if isinstance(prior, Labelled) else prior


class Posterior(keras.layers.Layer):
    """A moving Gaussian fit to atanh(encoder(images)): the aggregate posterior.

    The encoder is free to use any region of the latent space, and a generator learns
    nothing from reconstruction elsewhere; latents drawn from where the encoder puts
    images close that gap (compare Ghosh et al. 2020, ex-post density estimation; here
    the fit moves along with training).

    Args:
        size: length of a latent.
        momentum: share of the newest batch in mean and covariance.
    """

    def __init__(self, size: int, momentum: float = 0.01) -> None:
        super().__init__(name="posterior", dtype="float32")
        self.momentum = momentum
        self.mean = self.add_weight(
            name="mean", shape=(size,), initializer="zeros", trainable=False
        )
        # tanh of a standard normal is nearly as wide as the uniform prior.
        self.covariance = self.add_weight(
            name="covariance",
            shape=(size, size),
            initializer=keras.initializers.Constant(np.eye(size)),
            trainable=False,
        )
        self.built = True

    def gaussian(self) -> Gaussian:
        """The fit as it is now."""
        covariance = tf.convert_to_tensor(self.covariance.value)
        # Directions that the encoder does not use at all keep a positive variance.
        floor = 1e-6 * tf.eye(covariance.shape[0])
        factor = tf.linalg.cholesky(covariance + floor)
        return Gaussian(tf.convert_to_tensor(self.mean.value), factor)

    def moments(self, unbounded: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Mean, and covariance about the fit's mean, of a batch of atanh(latent).

        Args:
            unbounded: float32 `(batch, size)`.
        """
        offsets = unbounded - tf.convert_to_tensor(self.mean.value)
        count = tf.cast(tf.shape(offsets)[0], offsets.dtype)
        return (
            tf.reduce_mean(unbounded, axis=0),
            tf.linalg.matmul(offsets, offsets, transpose_a=True) / count,
        )


def draw(prior: Prior, seed: int, count: int, truncation: float = 1.0) -> np.ndarray:
    """The latents of the seeds `seed`, `seed` + 1, ...: float32 `(count, size)`.

    Server, device, client and every command number their pictures like this.

    Args:
        prior: a fixed one.
        seed: int32, the first; after 2**31 - 1 comes -2**31.
        count: how many, at least 1.
        truncation: from 0 to 1, see `from_seeds`.
    """
    return prior.from_seeds(numbers(seed, count), truncation).numpy()


def numbers(seed: int, count: int) -> np.ndarray:
    """The seeds from `seed` on: int32 `(count,)`; after 2**31 - 1 comes -2**31."""
    seeds = (np.arange(count) + seed + 2**31) % 2**32 - 2**31
    return seeds.astype("int32")


def between(
    prior: Prior, seeds: np.ndarray, frames: int, truncation: float = 1.0
) -> np.ndarray:
    """Latents on a closed way through those of several seeds.

    Normal noise is turned from one seed's to the next's, cos a n_1 + sin a n_2, which
    is normal again; uniform noise is mixed, and so are labels.

    Args:
        prior: a fixed one.
        seeds: int32 `(stops,)`, at least 2.
        frames: latents from each seed to the next, whose own is not counted.
        truncation: from 0 to 1, see `from_seeds`.

    Returns:
        float32 `(stops * frames, size)`, the first those of the first seed.
    """
    share = np.tile(np.arange(frames) / frames, len(seeds))[:, np.newaxis]
    here, there = seeds.repeat(frames), np.roll(seeds, -1).repeat(frames)
    return _mixed(prior, here, there, share, truncation)


def towards(
    prior: Prior, seed: int, other: int, share: float, truncation: float = 1.0
) -> np.ndarray:
    """The latent at a share of the way, as of `between`, from one seed's to another's.

    Args:
        prior: a fixed one.
        seed, other: int32.
        share: from 0, the seed's own, to 1, the other's.
        truncation: from 0 to 1, see `from_seeds`.

    Returns:
        float32 `(size,)`.
    """
    here, there = np.array([[seed], [other]], "int32")
    return _mixed(prior, here, there, share, truncation)[0]


def _mixed(
    prior: Prior,
    here: np.ndarray,
    there: np.ndarray,
    share: np.ndarray | float,
    truncation: float,
) -> np.ndarray:
    """Latents between those of seeds."""
    if isinstance(prior, Labelled):
        ends = [prior.labels(seeds).numpy() for seeds in (here, there)]
        labels = (1.0 - share) * ends[0] + share * ends[1]
        latents = _mixed(prior.base, here, there, share, truncation)
        return np.concatenate([latents, labels.astype("float32")], axis=1)
    normal = prior.noise == "normal"
    make = normal_noise if normal else uniform_noise
    here, there = (make(seeds, prior.size).numpy() for seeds in (here, there))
    angle = 0.5 * math.pi * share
    weights = (np.cos(angle), np.sin(angle)) if normal else (1.0 - share, share)
    mixed = weights[0] * here + weights[1] * there
    middle = 0.0 if normal else 0.5
    mixed = (middle + truncation * (mixed - middle)).astype("float32")
    return np.asarray(prior.from_noise(mixed))


def frozen(gaussian: Gaussian) -> Gaussian:
    """The same with constants, as an export needs it."""
    return Gaussian(np.asarray(gaussian.mean), np.asarray(gaussian.factor))


def uniform_noise(seeds: tf.Tensor, size: int) -> tf.Tensor:
    """Uniform noise of seeds, the same in every runtime.

    Args:
        seeds: int32 `(batch,)`, any value.
        size: numbers a seed, at most 65536.

    Returns:
        float32 `(batch, size)`: multiples of 2**-24 in [0, 1).
    """
    seeds = tf.convert_to_tensor(seeds, tf.int32)[:, tf.newaxis]
    indices = tf.range(size)[tf.newaxis, :]
    left = _half(tf.bitwise.right_shift(seeds, 16)) + tf.zeros_like(indices)
    right = _half(seeds) + tf.zeros_like(indices)
    for number, multiplier in enumerate(MULTIPLIERS):
        key = _half(indices * (2 * number + 1) + KEY_STEP * number)
        product = tf.bitwise.bitwise_xor(right, key) * multiplier
        scrambled = tf.bitwise.bitwise_xor(product, tf.bitwise.right_shift(product, 11))
        left, right = right, tf.bitwise.bitwise_xor(left, _half(scrambled))
    bits = left * 256 + tf.bitwise.right_shift(right, 8)
    return tf.cast(bits, tf.float32) * 2.0**-BITS


def normal_noise(seeds: tf.Tensor, size: int) -> tf.Tensor:
    """Standard normal noise of seeds (Box and Muller 1958).

    Args:
        seeds: int32 `(batch,)`, any value.
        size: numbers a seed, at most 32768.

    Returns:
        float32 `(batch, size)`, at most 5.8 in size.
    """
    noise = uniform_noise(seeds, 2 * size)
    # In (0, 1]: the logarithm of zero is none.
    radius = tf.sqrt(-2.0 * tf.math.log(noise[:, :size] + 2.0**-BITS))
    return radius * tf.cos(2.0 * math.pi * noise[:, size:])


def _half(x: tf.Tensor) -> tf.Tensor:
    return tf.math.floormod(x, HALF)
