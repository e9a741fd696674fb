"""Attend, Infer, Repeat (Eslami et al. 2016): objects found one after the other.

A recurrent network looks at an image up to three times. Each time it says whether there
is another object (presence), where (scale and shift of a window, which a spatial
transformer reads and writes) and what (the latent of a small VAE of the window). The
first absence ends it. Published names: z_pres, z_where, z_what.

Published, presence is sampled, and learnt by a score function. Here the expectation
over it is a sum: objects do not depend on whether later ones are there, so that one
sample of three objects gives the likelihood of each of the four counts. The bound is
then exact in the count: no score function, no baseline to learn, no noise of either.
"""

import math
from typing import NamedTuple

import keras
import tensorflow as tf

SIDE = 32  # Of the image, in pixels.
WINDOW = 12  # Pixels of a side of the window, which at scale 1 are those of the image.
STEPS = 3  # Looks at the image, one more than a scene has items.
WHERE = 3  # Numbers: scale, down, right.
WHAT = 16
HIDDEN = 128
# From standard normal latents to windows. Scales stay between 0.82 and 1.22 (items have
# sides of 9 to 13 pixels): a window that may grow grew to hold two items at once, which
# were then never counted as two. Items' middles are spread by 4.2 around the image's.
SCALE_SPREAD = 0.2
SHIFT_SPREAD = 4.5
NOISE = 0.2  # Standard deviation of a pixel in [0, 1] around its reconstruction.

_LOG_NORMALIZER = 0.5 * math.log(2 * math.pi)


class Looks(NamedTuple):
    """What all looks at a batch of images found, whether there or not.

    Attributes:
        logits: `(batch, STEPS)`: of presence, given that all before are there.
        where: `(batch, STEPS, WHERE)`, standard normal a priori.
        costs: `(batch, STEPS)`: Kullback-Leibler divergence of where and what from
            the prior, in nats.
        drawn: `(batch, STEPS, SIDE, SIDE)`: each object alone, on black.
    """

    logits: tf.Tensor
    where: tf.Tensor
    costs: tf.Tensor
    drawn: tf.Tensor


class Bound(NamedTuple):
    """The evidence lower bound of each image, `(batch,)`, in nats, and its terms.

    Attributes:
        elbo: likelihood less the costs of the count and of the objects.
        likelihood: expected log density of the pixels.
        count_cost: divergence of the count from its prior.
        object_cost: divergence of where and what, of those that are there.
    """

    elbo: tf.Tensor
    likelihood: tf.Tensor
    count_cost: tf.Tensor
    object_cost: tf.Tensor


class Air(keras.Model):
    """The networks; `look` runs them, `bound` is what they are trained by."""

    def __init__(self) -> None:
        super().__init__()
        dense = keras.layers.Dense
        self.features = _sequence(
            SIDE * SIDE, dense(256, "relu"), dense(HIDDEN, "relu")
        )
        self.cell = keras.layers.GRUCell(HIDDEN)
        self.cell.build((None, HIDDEN + WHERE + WHAT))
        self.presence = _sequence(HIDDEN, dense(1, bias_initializer=_constant(1.0)))
        self.place = _sequence(HIDDEN, dense(2 * WHERE, kernel_initializer=_small()))
        self.glimpse = _sequence(
            WINDOW * WINDOW, dense(HIDDEN, "relu"), dense(2 * WHAT)
        )
        self.decoder = _sequence(
            WHAT,
            dense(HIDDEN, "relu"),
            dense(WINDOW * WINDOW, "sigmoid", bias_initializer=_constant(-2.0)),
        )
        self.built = True

    def look(self, images: tf.Tensor, noise: tf.Tensor) -> Looks:
        """Finds `STEPS` objects in every image.

        Args:
            images: float32 `(batch, SIDE, SIDE)`, in [0, 1].
            noise: float32 `(STEPS, batch, WHERE + WHAT)`, standard normal; zeros take
                the means.
        """
        batch = tf.shape(images)[0]
        features = self.features(tf.reshape(images, (batch, SIDE * SIDE)))
        state = tf.zeros((batch, HIDDEN))
        found = tf.zeros((batch, WHERE + WHAT))
        looks = []
        for step in range(STEPS):
            state, _ = self.cell(tf.concat([features, found], axis=1), [state])
            where, where_cost = _sampled(self.place(state), noise[step, :, :WHERE])
            seen = read(images, where)
            seen = tf.reshape(seen, (batch, WINDOW * WINDOW))
            what, what_cost = _sampled(self.glimpse(seen), noise[step, :, WHERE:])
            painted = tf.reshape(self.decoder(what), (batch, WINDOW, WINDOW))
            found = tf.concat([where, what], axis=1)
            logit = self.presence(state)[:, 0]
            looks.append((logit, where, where_cost + what_cost, write(painted, where)))
        return Looks(*(tf.stack(one, axis=1) for one in zip(*looks, strict=True)))


def bound(images: tf.Tensor, looks: Looks, success: tf.Tensor) -> Bound:
    """The evidence lower bound, exact in the number of objects.

    With q(n) and p(n) the posterior and prior of the count n, c_k the cost of object k
    and x_n the sum of the first n objects,

        sum_n q(n) (log N(x; x_n, NOISE^2) - log(q(n) / p(n)) - sum_{k <= n} c_k).

    Args:
        images: float32 `(batch, SIDE, SIDE)`, in [0, 1].
        looks: of these images.
        success: prior probability of another object: the count's prior is geometric,
            and ends at `STEPS`.
    """
    log_posterior = log_counts(looks.logits)
    log_odds = tf.math.log(success) - tf.math.log1p(-success)
    log_prior = log_counts(tf.fill((1, STEPS), log_odds))
    posterior = tf.exp(log_posterior)
    misses = tf.expand_dims(images, 1) - reconstructions(looks.drawn)
    squares = tf.reduce_sum(tf.square(misses), axis=(2, 3))
    pixels = math.prod(images.shape[1:])
    likelihoods = -squares / (2 * NOISE**2) - pixels * (
        math.log(NOISE) + _LOG_NORMALIZER
    )
    costs = tf.pad(tf.cumsum(looks.costs, axis=1), ((0, 0), (1, 0)))
    likelihood, count_cost, object_cost = (
        tf.reduce_sum(posterior * each, axis=1)
        for each in (likelihoods, log_posterior - log_prior, costs)
    )
    elbo = likelihood - count_cost - object_cost
    return Bound(elbo, likelihood, count_cost, object_cost)


def log_counts(logits: tf.Tensor) -> tf.Tensor:
    """Log probabilities of all counts, of which the first absence decides.

    Args:
        logits: `(batch, steps)`: of presence, given that all before are there.

    Returns:
        `(batch, steps + 1)`: of 0, 1, ... objects.
    """
    there = tf.cumsum(tf.math.log_sigmoid(logits), axis=1)
    ends = tf.pad(tf.math.log_sigmoid(-logits), ((0, 0), (0, 1)))
    return tf.pad(there, ((0, 0), (1, 0))) + ends


def most_likely_count(logits: tf.Tensor) -> tf.Tensor:
    """Objects before the first whose presence is below one half: `(batch,)`."""
    there = tf.cast(logits > 0, tf.int32)
    return tf.reduce_sum(tf.math.cumprod(there, axis=1), axis=1)


def reconstructions(drawn: tf.Tensor) -> tf.Tensor:
    """Images of the first 0, 1, ... objects: `(batch, STEPS + 1, SIDE, SIDE)`."""
    return tf.pad(tf.cumsum(drawn, axis=1), ((0, 0), (1, 0), (0, 0), (0, 0)))


def windows(where: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Scale, `(batch,)`, and the window's middle, `(batch, 2)`: pixels down and right.

    Args:
        where: `(batch, WHERE)`. Zeros are a window of scale 1 in the middle.
    """
    scale = tf.exp(SCALE_SPREAD * tf.tanh(where[:, 0]))
    return scale, (SIDE - 1) / 2 + SHIFT_SPREAD * where[:, 1:]


def read(images: tf.Tensor, where: tf.Tensor) -> tf.Tensor:
    """What is in the windows, bilinear: `(batch, WINDOW, WINDOW)`; 0 outside."""
    scale, middle = windows(where)
    steps = tf.range(WINDOW, dtype=tf.float32) - (WINDOW - 1) / 2
    places = middle[:, :, tf.newaxis] + scale[:, tf.newaxis, tf.newaxis] * steps
    down, right = _hats(places[:, 0], SIDE), _hats(places[:, 1], SIDE)
    return down @ images @ tf.transpose(right, (0, 2, 1))


def write(painted: tf.Tensor, where: tf.Tensor) -> tf.Tensor:
    """Puts windows back where they were read: `(batch, SIDE, SIDE)`; 0 outside."""
    scale, middle = windows(where)
    away = tf.range(SIDE, dtype=tf.float32) - middle[:, :, tf.newaxis]
    places = away / scale[:, tf.newaxis, tf.newaxis] + (WINDOW - 1) / 2
    down, right = _hats(places[:, 0], WINDOW), _hats(places[:, 1], WINDOW)
    return down @ painted @ tf.transpose(right, (0, 2, 1))


def normal_cost(mean: tf.Tensor, log_deviation: tf.Tensor) -> tf.Tensor:
    """Divergence of normals from the standard one, summed over the last axis."""
    variance = tf.exp(2 * log_deviation)
    terms = 0.5 * (tf.square(mean) + variance - 1) - log_deviation
    return tf.reduce_sum(terms, axis=-1)


def _hats(places: tf.Tensor, size: int) -> tf.Tensor:
    """Bilinear weights of `size` pixels at places `(batch, n)`: `(batch, n, size)`."""
    pixels = tf.range(size, dtype=tf.float32)
    return tf.maximum(1 - tf.abs(places[:, :, tf.newaxis] - pixels), 0.0)


def _sampled(statistics: tf.Tensor, noise: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """A sample by means and log deviations, side by side, and its cost."""
    mean, log_deviation = tf.split(statistics, 2, axis=1)
    sample = mean + tf.exp(log_deviation) * noise
    return sample, normal_cost(mean, log_deviation)


def _sequence(inputs: int, *layers: keras.layers.Layer) -> keras.Sequential:
    return keras.Sequential([keras.Input((inputs,)), *layers])


def _constant(value: float) -> keras.initializers.Initializer:
    return keras.initializers.Constant(value)


def _small() -> keras.initializers.Initializer:
    return keras.initializers.RandomNormal(stddev=0.01)
