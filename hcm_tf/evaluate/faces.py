"""Whether samples are composed as real images are, and whether they are copies."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hcm_tf.features.classifier import Classifier
from hcm_tf.metrics import composition
from hcm_tf.metrics.memorisation import Memorisation, memorisation

# What is large enough to make a face another one; all 13 labels together are new in
# almost every real face as well.
COMBINATIONS = {
    "hair and colours": ("hair", "hair_color", "skin_color", "background_color"),
    "parts": ("hair", "eyes", "mouth", "glasses"),
}
RULE = (
    "an image is sure if the classifier's confidence (the mean over its heads of the "
    "logarithm of the largest probability) is at least that of the least sure 5 % of "
    "one half of the held-out real images; the rate of real images is that of the "
    "other half"
)
NEIGHBOURS = 3


def composed(
    classifier: Classifier,
    samples: np.ndarray,
    real: np.ndarray,
    training: Mapping[str, np.ndarray],
) -> dict[str, Any]:
    """Sure rate, frequencies of labels, and combinations never seen in training.

    Args:
        classifier: of these labels.
        samples: its features, `(n, size)`.
        real: those of real images that trained nothing.
        training: the labels of the training images.

    Returns:
        JSON values of `composition.judge`, with `rule` and `unseen` by name.
    """
    heads = [head for head in classifier.heads if head in training]
    said = [
        {head: classifier.log_probabilities(features)[head] for head in heads}
        for features in (samples, real)
    ]
    found = composition.judge(*said, training, heads)
    sets = {
        name: chosen
        for name, chosen in COMBINATIONS.items()
        if set(chosen) <= set(heads)
    } or {"all labels": tuple(heads)}
    labels, own = (composition.predicted(each) for each in said)
    found["unseen"] = {
        name: {
            "heads": list(chosen),
            "samples": composition.unseen_share(labels, training, chosen),
            "floor": composition.unseen_share(own, training, chosen),
        }
        for name, chosen in sets.items()
    }
    found["mean_label_distance"] = {
        kind: float(np.mean([each[kind] for each in found["labels"].values()]))
        for kind in ("distance", "floor")
    }
    return {"rule": RULE, **found}


def confidences(classifier: Classifier, features: np.ndarray) -> np.ndarray:
    """How sure the classifier is of each image, float64 `(n,)`."""
    return composition.confidence(classifier.log_probabilities(features))


def accuracy_kept(
    classifier: Classifier,
    images: Mapping[str, np.ndarray],
    labels: Mapping[str, np.ndarray],
) -> dict[str, Any]:
    """Whether each part is still recognised after reconstruction.

    Args:
        classifier: of these labels.
        images: sets of images by name, `real` among them, each set a part of the
            first images; float `(n, size, size, channels)`.
        labels: the true ones of `real`, -1 where the data keep them secret: those
            images do not count.

    Returns:
        For each head, and for `mean`: the accuracy on every set, and as `count` the
        sizes of the sets. A head is left out if a set has no true label of it; without
        any head nothing is returned.
    """
    found: dict[str, Any] = {}
    for name, pictures in images.items():
        said = composition.predicted(
            classifier.log_probabilities(classifier.features(pictures))
        )
        for head in said:
            if head not in labels:
                continue
            true = labels[head][: len(pictures)]
            told = true >= 0
            if told.any():
                right = said[head][told] == true[told]
                found.setdefault(head, {})[name] = float(right.mean())
    found = {head: sets for head, sets in found.items() if len(sets) == len(images)}
    if not found:
        return {}
    mean = {
        name: float(np.mean([head[name] for head in found.values()])) for name in images
    }
    counts = {name: len(pictures) for name, pictures in images.items()}
    return {"count": counts, "mean": mean, "heads": found}


def copies(
    samples: np.ndarray, training: np.ndarray, held_out: np.ndarray
) -> tuple[dict[str, Any], Memorisation]:
    """Memorisation in features or in pixels; see `metrics.memorisation`.

    Returns:
        JSON values, and what pictures are made of.
    """
    neighbours = min(NEIGHBOURS, len(training))
    found = memorisation(samples, training, held_out, neighbours)
    return {
        "share": found.share,
        "held_out_share": float(np.mean(found.held_out_distances < found.threshold)),
        "ratio": found.ratio,
        "median": float(np.median(found.distances[:, 0])),
        "held_out_median": float(np.median(found.held_out_distances)),
        "count": len(samples),
        "held_out_count": len(held_out),
        "training_count": len(training),
    }, found


def usable(classifier: object, label_names: Mapping[str, Sequence[str]]) -> bool:
    """Whether an extractor is a classifier of labels that the images have."""
    return isinstance(classifier, Classifier) and any(
        list(names) == list(label_names.get(head, ()))
        for head, names in classifier.heads.items()
    )
