"""Whether images are composed as real ones are: what a classifier says, to numbers.

The labels are those of the avatars or of any other labelled images; nothing here knows
how they were found.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

# The share of real images that the rule of `sure_threshold` calls unsure.
UNSURE_REAL = 0.05


def confidence(log_probabilities: Mapping[str, np.ndarray]) -> np.ndarray:
    """How sure a classifier is of each image: its heads' mean.

    Args:
        log_probabilities: for each head, float `(n, classes)`, natural logarithms.

    Returns:
        float64 `(n,)`, at most 0: the mean over the heads of the logarithm of the
        largest probability.
    """
    return np.mean(
        [values.max(axis=1) for values in log_probabilities.values()],
        axis=0,
        dtype=np.float64,
    )


def sure_threshold(real_confidence: np.ndarray) -> float:
    """The rule of one plausible image: as sure as of all but 5 % of real ones.

    An image is sure if its `confidence` is at least this. Of the images given here 95 %
    are, by construction: report the rate on others.

    Args:
        real_confidence: float `(n,)`, of real images that trained nothing.
    """
    return float(np.quantile(real_confidence, UNSURE_REAL))


def sure_rate(confidences: np.ndarray, threshold: float) -> float:
    """Share of images that are sure; see `sure_threshold`."""
    return float(np.mean(np.asarray(confidences) >= threshold))


def predicted(log_probabilities: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The most probable class of each head, integers `(n,)`."""
    return {head: values.argmax(axis=1) for head, values in log_probabilities.items()}


def total_variation(one: np.ndarray, other: np.ndarray) -> float:
    """Half the summed difference of two label frequencies: 0 if equal, 1 if disjoint.

    Args:
        one: integers `(n,)`, from 0.
        other: integers `(m,)`, from 0.
    """
    classes = int(max(one.max(), other.max())) + 1
    frequencies = [
        np.bincount(labels, minlength=classes) / len(labels) for labels in (one, other)
    ]
    return float(np.abs(frequencies[0] - frequencies[1]).sum() / 2)


def label_distances(
    samples: Mapping[str, np.ndarray], real: Mapping[str, np.ndarray]
) -> dict[str, dict[str, float]]:
    """How far the frequencies of each label are from the real ones, beside the floor.

    Both labels should be predictions of one classifier: then its own mistakes are on
    both sides. Total variation grows as samples get fewer, so the floor is measured at
    the same count: one half of the real images against the other.

    Args:
        samples: for each head, integers `(n,)`.
        real: for each head, integers `(m,)`, `m` at least 2.

    Returns:
        For each head: `distance`, of the first `count` samples to the first `count`
        real images; `floor`, of the next `count` real images to those; and `count`.
    """
    report = {}
    for head, labels in samples.items():
        count = min(len(labels), len(real[head]) // 2)
        first, second = real[head][:count], real[head][count : 2 * count]
        report[head] = {
            "distance": total_variation(labels[:count], first),
            "floor": total_variation(second, first),
            "count": count,
        }
    return report


def unseen_share(
    labels: Mapping[str, np.ndarray],
    training: Mapping[str, np.ndarray],
    heads: Sequence[str],
) -> float:
    """Share of images whose combination of labels no training image has.

    Args:
        labels: for each head, integers `(n,)`.
        training: for each head, integers `(m,)`, the training images' own.
        heads: which labels make a combination.
    """
    seen = set(zip(*(training[head].tolist() for head in heads), strict=True))
    own = zip(*(labels[head].tolist() for head in heads), strict=True)
    return float(np.mean([combination not in seen for combination in own]))


def judge(
    samples: Mapping[str, np.ndarray],
    real: Mapping[str, np.ndarray],
    training: Mapping[str, np.ndarray],
    heads: Sequence[str],
) -> dict[str, Any]:
    """All of the above: samples beside real images that trained nothing.

    The rule of sureness is made on one half of the real images, and its rate reported
    on the other.

    Args:
        samples: log-probabilities of the samples, for each head float `(n, classes)`.
        real: log-probabilities of held-out real images, at least 2.
        training: the labels of the training images, for each head integers.
        heads: the labels that make a combination.

    Returns:
        JSON values: `sure_threshold`, `sure`, `labels` (of `label_distances`) and
        `unseen`; the second and the last as `samples` and `real`.
    """
    certain = confidence(real)
    half = len(certain) // 2
    threshold = sure_threshold(certain[:half])
    labels, real_labels = predicted(samples), predicted(real)
    return {
        "sure_threshold": threshold,
        "sure": {
            "samples": sure_rate(confidence(samples), threshold),
            "real": sure_rate(certain[half:], threshold),
        },
        "labels": label_distances(labels, real_labels),
        "unseen": {
            "heads": list(heads),
            "samples": unseen_share(labels, training, heads),
            "real": unseen_share(real_labels, training, heads),
        },
    }
