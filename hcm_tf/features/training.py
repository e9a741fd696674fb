"""Training and calibrating a classifier that will judge generated images.

Those are soft, noisy, shifted and too bright or too dark. So it trains on images that
are damaged in these ways, mildly, and its features do not explode there. And an image
that is not one thing must not look certain: halves of two images beside each other have
to be called half one and half the other, and an image that is heavily damaged partly
what it is and partly what a random other one is.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from hcm_tf.data import ImageSet
from hcm_tf.features import damage
from hcm_tf.features.classifier import (
    Classifier,
    features_of,
    initial_weights,
    log_softmax,
    rounded,
)
from hcm_tf.images import to_float
from hcm_tf.metrics.composition import (
    confidence,
    predicted,
    sure_rate,
    sure_threshold,
)

BATCH = 100
# Parts of each batch: halves of two images, and heavily damaged ones.
_HALVES = 0.15
_HEAVY = 0.25
_ROOT_3 = math.sqrt(3)
_LEARNING_RATE = 2e-3
_WARM_UP = 100

Labels = Mapping[str, np.ndarray]


def trained_weights(
    images: np.ndarray,
    labels: Labels,
    heads: Mapping[str, tuple[str, ...]],
    *,
    epochs: int,
    seed: int = 0,
    report: Callable[[int, int, float], None] = lambda step, steps, loss: None,
) -> dict[str, np.ndarray]:
    """Trains a classifier: Adam, a cosine decay, the sum of the heads' cross-entropies.

    Args:
        images: uint8 `(n, side, side, channels)`, at least `BATCH` of them.
        labels: for each head, integers `(n,)`.
        heads: the names of each head's classes.
        epochs: passes over the images.
        seed: of the weights, the order and the damage.
        report: called after every step with its number, their count, and the loss.

    Returns:
        float32 arrays, as `initial_weights` names them.
    """
    side, channels = images.shape[1], images.shape[3]
    start = initial_weights(side, channels, heads, seed)
    variables = {name: tf.Variable(array) for name, array in start.items()}
    steps = epochs * (len(images) // BATCH)
    adam = tf.keras.optimizers.Adam(_schedule(steps), beta_2=0.99)
    adam.build(list(variables.values()))
    targets = np.stack([labels[head] for head in heads], axis=1)

    @tf.function
    def step(batch: tf.Tensor, target: tf.Tensor, number: tf.Tensor) -> tf.Tensor:
        damaged, other, share = _augmented(batch, tf.stack([seed, number]))
        with tf.GradientTape() as tape:
            features = features_of(variables, damaged)
            loss = tf.zeros([])
            for index, head in enumerate(heads):
                logits = features @ variables[f"{head}/kernel"]
                logits += variables[f"{head}/bias"]
                for label, weight in (
                    (target[:, index], 1 - share),
                    (tf.gather(target[:, index], other), share),
                ):
                    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(
                        label, logits
                    )
                    loss += tf.reduce_mean(weight * losses)
        values = list(variables.values())
        adam.apply_gradients(zip(tape.gradient(loss, values), values, strict=True))
        return loss

    number = 0
    for epoch in range(epochs):
        order = np.random.default_rng([seed, epoch]).permutation(len(images))
        for first in range(0, len(images) - BATCH + 1, BATCH):
            chosen = order[first : first + BATCH]
            loss = step(
                tf.constant(images[chosen]),
                tf.constant(targets[chosen], tf.int32),
                tf.constant(number, tf.int32),
            )
            number += 1
            report(number, steps, float(loss))
    return {name: variable.numpy() for name, variable in variables.items()}


def temperatures(
    classifier: Classifier,
    features: np.ndarray,
    labels: Labels,
    others: Labels,
    share: np.ndarray,
) -> dict[str, float]:
    """The temperature of each head that makes held-out labels most probable.

    Guo et al. (2017): the logits divided by one number. It is found to a hundredth in
    the logarithm, between 1/4 and 4.

    Args:
        classifier: not calibrated yet.
        features: float `(n, 128)`, of images that did not train it.
        labels: for each head, integers `(n,)`.
        others: likewise, the labels that some of the images have as well.
        share: float `(n,)`, how much these count, from 0 to 0.5.
    """
    candidates = np.exp(np.arange(-139, 140) / 100)
    rows = np.arange(len(features))
    found = {}
    for head, logits in classifier.log_probabilities(features).items():
        likelihoods = []
        for temperature in candidates:
            values = log_softmax(logits / temperature)
            own, other = values[rows, labels[head]], values[rows, others[head]]
            likelihoods.append(np.mean((1 - share) * own + share * other))
        found[head] = float(candidates[int(np.argmax(likelihoods))])
    return found


def calibrated(
    weights: Mapping[str, np.ndarray], temperature: Mapping[str, float]
) -> dict[str, np.ndarray]:
    """Weights whose heads give the logits divided by their temperature."""
    weights = dict(weights)
    for head, value in temperature.items():
        for kind in ("kernel", "bias"):
            name = f"{head}/{kind}"
            weights[name] = weights[name] / np.float32(value)
    return weights


def _schedule(steps: int) -> Callable[[], tf.Tensor]:
    return tf.keras.optimizers.schedules.CosineDecay(
        0.0,
        max(steps - _WARM_UP, 1),
        warmup_target=_LEARNING_RATE,
        warmup_steps=min(_WARM_UP, steps),
    )


def _augmented(
    batch: tf.Tensor, seed: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Damages images: all mildly, some heavily, some by another's half.

    Which ones is settled by their place, for the batch was drawn at random.

    Args:
        batch: uint8 `(n, side, side, channels)`.
        seed: integers `(2,)`.

    Returns:
        The images, float32 in [-1, 1]; for each the place of another; and the share of
        that one's label in what it has to be called, float32 `(n,)`, from 0 to 0.5.
    """
    count = batch.shape[0]
    seeds = tf.unstack(tf.random.split(seed, 4))
    images = _mildly(tf.cast(batch, tf.float32) / 127.5 - 1, seeds[0])
    mixed, heavy = int(_HALVES * count), int(_HEAVY * count)
    other = tf.roll(tf.range(count), 1, 0)
    right = (tf.range(batch.shape[2]) >= batch.shape[2] // 2)[None, None, :, None]
    pairs = tf.where(right, tf.gather(images, other[:mixed]), images[:mixed])
    strength = tf.random.stateless_uniform([heavy, 1, 1, 1], seeds[1])
    broken = _heavily(images[mixed : mixed + heavy], strength, seeds[2])
    images = tf.concat([pairs, broken, images[mixed + heavy :]], axis=0)
    share = tf.concat(
        [
            tf.fill([mixed], 0.5),
            0.5 * strength[:, 0, 0, 0],
            tf.zeros([count - mixed - heavy]),
        ],
        axis=0,
    )
    return tf.clip_by_value(images, -1, 1), other, share


def _mildly(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Shift, blur, contrast, brightness and noise; each kind on half of the images."""
    count = images.shape[0]
    seeds = iter(tf.unstack(tf.random.split(seed, 9)))

    def uniform(shape: list[int], low: float, high: float) -> tf.Tensor:
        return tf.random.stateless_uniform(shape, next(seeds), low, high)

    def strength(low: float, high: float, nothing: float) -> tf.Tensor:
        drawn = uniform([count, 1, 1, 1], low, high)
        return tf.where(uniform([count, 1, 1, 1], 0, 1) < 0.5, drawn, nothing)

    images = _shifted(images, uniform([count, 2], -2.5, 2.5))
    images += strength(0, 1, 0) * (_blurred(images, 1.0) - images)
    images = _stretched(images, strength(0.85, 1.15, 1))
    images += uniform([count, 1, 1, 1], -0.08, 0.08)
    # Uniform, which is quicker to draw: of a deviation up to 0.1.
    return images + strength(0, 0.1, 0) * uniform(images.shape, -_ROOT_3, _ROOT_3)


def _heavily(images: tf.Tensor, strength: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """One quarter each: blur, contrast, noise and speckle.

    Args:
        images: float32 `(n, side, side, channels)`.
        strength: float32 `(n, 1, 1, 1)`, from 0 to 1.
        seed: integers `(2,)`.
    """
    seeds = tf.unstack(tf.random.split(seed, 3))
    quarter = images.shape[0] // 4
    parts = [slice(i * quarter, (i + 1) * quarter) for i in range(3)]
    parts.append(slice(3 * quarter, None))
    (soft, stark, noisy, speckled), (a, b, c, d) = (
        [values[part] for part in parts] for values in (images, strength)
    )
    soft += a * (_blurred(soft, 2.5) - soft)
    stark = _stretched(stark, 1.15 + 1.35 * b)
    drawn = tf.random.stateless_uniform(noisy.shape, seeds[0], -_ROOT_3, _ROOT_3)
    noisy += (0.1 + 0.3 * c) * drawn
    hit = tf.random.stateless_uniform([*speckled.shape[:3], 1], seeds[1]) < 0.15 * d
    colors = tf.sign(tf.random.stateless_uniform(speckled.shape, seeds[2], -1, 1))
    return tf.concat([soft, stark, noisy, tf.where(hit, colors, speckled)], axis=0)


def _stretched(images: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    mean = tf.reduce_mean(images, [1, 2, 3], keepdims=True)
    return mean + (images - mean) * factor


def _shifted(images: tf.Tensor, offsets: tf.Tensor) -> tf.Tensor:
    """Moves each image by its whole pixels, `(n, 2)`; the border is repeated."""
    side = images.shape[1]
    offsets = tf.cast(tf.round(offsets), tf.int32)
    places = tf.clip_by_value(
        tf.range(side)[None, None] + offsets[..., None], 0, side - 1
    )
    images = tf.gather(images, places[:, 0], axis=1, batch_dims=1)
    images = tf.transpose(images, [0, 2, 1, 3])
    images = tf.gather(images, places[:, 1], axis=1, batch_dims=1)
    return tf.transpose(images, [0, 2, 1, 3])


def _blurred(images: tf.Tensor, sigma: float) -> tf.Tensor:
    radius, channels = math.ceil(2 * sigma), images.shape[-1]
    kernel = np.exp(-np.square(np.arange(-radius, radius + 1) / sigma) / 2)
    kernel = np.tile(kernel[:, None, None, None] / kernel.sum(), [1, 1, channels, 1])
    edges = [[0, 0], [radius, radius], [radius, radius], [0, 0]]
    images = tf.pad(images, edges, "SYMMETRIC")
    for filters in (kernel, kernel.transpose(1, 0, 2, 3)):
        images = tf.nn.depthwise_conv2d(
            images, filters.astype(np.float32), [1] * 4, "VALID"
        )
    return images


def calibrate(
    weights: Mapping[str, np.ndarray],
    heads: Mapping[str, tuple[str, ...]],
    about: Mapping[str, Any],
    held_out: ImageSet,
) -> Classifier:
    """A classifier whose temperatures and threshold of sureness are known.

    They are chosen on one half of the held-out images; everything that `about` then
    says of the classifier is measured on the other half. The temperatures are those of
    images damaged as in training: on clean ones, where some heads never err, they would
    fall without end, and make halves of two faces look certain.

    Args:
        weights: of `trained_weights`.
        heads: the names of each head's classes.
        about: what `Classifier.about` must have.
        held_out: images that trained nothing.
    """
    half = len(held_out) // 2
    calibration, test = held_out.part(0, half), held_out.part(half, len(held_out))
    raw = Classifier(rounded(weights), heads, about)
    temperature = temperatures(raw, *_damaged_features(raw, calibration))
    made = Classifier(rounded(calibrated(raw.weights, temperature)), heads, about)
    features = made.features(to_float(calibration.images))
    certain = confidence(made.log_probabilities(features))
    measured = {
        "temperature": temperature,
        "sure_threshold": sure_threshold(certain),
        **_measured(made, test),
    }
    measured["damage"] = damaged(made, test, measured["sure_threshold"])
    return Classifier(made.weights, heads, {**about, **measured})


def _damaged_features(
    made: Classifier, images: ImageSet
) -> tuple[np.ndarray, Labels, Labels, np.ndarray]:
    """Damaged as in training: features, labels, the others' labels, their shares."""
    features, order, shares = [], [], []
    for first in range(0, len(images), BATCH):
        batch = images.images[first : first + BATCH]
        damaged, other, share = _augmented(tf.constant(batch), tf.constant([1, first]))
        features.append(made.features(damaged.numpy()))
        order.append(first + other.numpy())
        shares.append(share.numpy())
    order = np.concatenate(order)
    others = {head: labels[order] for head, labels in images.labels.items()}
    return np.concatenate(features), images.labels, others, np.concatenate(shares)


def _measured(made: Classifier, test: ImageSet) -> dict[str, dict[str, float]]:
    found = predicted(made.log_probabilities(made.features(to_float(test.images))))
    accuracy, most_frequent = {}, {}
    for head, labels in test.labels.items():
        accuracy[head] = float(np.mean(found[head] == labels))
        most_frequent[head] = float(np.bincount(labels).max() / len(labels))
    return {"accuracy": accuracy, "most_frequent": most_frequent}


def damaged(
    made: Classifier, test: ImageSet, threshold: float
) -> dict[str, dict[str, float]]:
    """Mean confidence and share of sure images under known damage, growing by kind.

    Args:
        made: calibrated.
        test: real images, new to it.
        threshold: from which on an image is sure.
    """
    images = to_float(test.images)
    random = np.random.default_rng(0)
    kinds = {
        "nothing": [("", images)],
        "blur, sigma": [(s, damage.blur(images, s)) for s in (0.5, 1.0, 1.5, 2.0)],
        "noise, deviation": [
            (d, damage.noise(images, d, random)) for d in (0.1, 0.2, 0.3, 0.5)
        ],
        "speckle, fraction": [
            (f, damage.speckle(images, f, random)) for f in (0.01, 0.03, 0.1, 0.2)
        ],
        "halves of two": [("", damage.halves(images))],
        "contrast, factor": [(c, damage.contrast(images, c)) for c in (1.5, 2.0, 3.0)],
    }
    report = {}
    for kind, versions in kinds.items():
        for strength, version in versions:
            certain = confidence(made.log_probabilities(made.features(version)))
            report[f"{kind} {strength}".strip()] = {
                "confidence": float(certain.mean()),
                "sure": sure_rate(certain, threshold),
            }
    return report
