"""One pass over images, batch by batch: features and patches stay, images do not."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping

import numpy as np
import tensorflow as tf

from hcm_tf.data import face_stream
from hcm_tf.features import Extractor
from hcm_tf.images import to_float, to_uint8
from hcm_tf.metrics.sliced_wasserstein import Patches
from hcm_tf.prior import draw
from hcm_tf.runs.checkpoint import Run

BATCH = 64
# Only so many images of a set are kept, for pictures and for pixels' distances.
KEPT = 1000


@dataclasses.dataclass(frozen=True)
class Gathered:
    """What is known of one set of images.

    Attributes:
        features: by the extractor's name, float32 `(count, size)`.
        patches: of the pyramid's levels; None for images that have no pyramid.
        first: the first `KEPT` images themselves, uint8.
    """

    features: dict[str, np.ndarray]
    patches: Patches | None
    first: np.ndarray

    @property
    def count(self) -> int:
        return len(next(iter(self.features.values())))

    def head(self, count: int) -> "Gathered":
        """The features of the first `count` images; patches as they are."""
        features = {name: rows[:count] for name, rows in self.features.items()}
        return dataclasses.replace(self, features=features, first=self.first[:count])


def gather(
    batches: Iterable[np.ndarray],
    extractors: Mapping[str, Extractor],
    *,
    patches: Patches | None = None,
    patch_count: int | None = None,
    advance: Callable[[int], object] = lambda count: None,
) -> Gathered:
    """Goes through images once.

    Args:
        batches: uint8 `(batch, size, size, channels)` each.
        extractors: by name.
        patches: filled from the images; None leaves them out.
        patch_count: only the first so many images give patches; None: all.
        advance: told how many images are done, for a progress bar.
    """
    features: dict[str, list[np.ndarray]] = {name: [] for name in extractors}
    kept: list[np.ndarray] = []
    seen = 0
    for pixels in batches:
        images = to_float(pixels)
        for name, extractor in extractors.items():
            features[name].append(extractor.features(images))
        if patches is not None:
            some = images if patch_count is None else images[: patch_count - seen]
            if seen < (patch_count or seen + 1) and len(some):
                patches.update(some)
        if seen < KEPT:
            kept.append(pixels[: KEPT - seen])
        seen += len(pixels)
        advance(len(pixels))
    return Gathered(
        features={name: np.concatenate(rows) for name, rows in features.items()},
        patches=patches,
        first=np.concatenate(kept),
    )


def samples(
    run: Run,
    count: int,
    seed: int,
    *,
    batch: int = BATCH,
    watch: Callable[[list[np.ndarray]], object] = lambda codes: None,
) -> Iterator[np.ndarray]:
    """The pictures of the seeds from `seed`, in 256 steps as real images are.

    Args:
        run: draws them.
        count: how many.
        seed: the first.
        batch: images at a time.
        watch: told the codes of every level of each batch.
    """
    trace = compiled(run, run.generator.trace)
    for start in range(0, count, batch):
        latents = draw(run.prior, seed + start, min(batch, count - start))
        drawn = trace(tf.constant(latents))
        watch([np.asarray(code) for code in drawn.codes])
        yield to_uint8(np.asarray(drawn.image))


def compiled(run: Run, function: Callable) -> Callable:
    """A function of latents as one graph for every size of batch."""
    latents = tf.TensorSpec([None, run.generator.latent_size], tf.float32)
    return tf.function(function, input_signature=[latents])


def in_batches(images: np.ndarray, batch: int = BATCH) -> Iterator[np.ndarray]:
    """Slices of images that are in memory."""
    for start in range(0, len(images), batch):
        yield images[start : start + batch]


def drawn_faces(
    indices: range, batch: int = BATCH
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Avatars drawn for the occasion: uint8 images, and their labels in slot order."""
    images, labels = [], []
    for record in face_stream.stream(indices):
        images.append(record["image"])
        labels.append(record["labels"])
        if len(images) == batch:
            yield np.stack(images), np.stack(labels)
            images, labels = [], []
    if images:
        yield np.stack(images), np.stack(labels)
