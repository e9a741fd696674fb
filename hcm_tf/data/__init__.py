"""Training images: from a source to float32 batches in [-1, 1]."""

from hcm_tf.data.batches import make_batches
from hcm_tf.data.image_set import ImageSet
from hcm_tf.data.loading import (
    has_test_split,
    load,
    load_parts,
    load_scenes,
)

__all__ = [
    "ImageSet",
    "has_test_split",
    "load",
    "load_parts",
    "load_scenes",
    "make_batches",
]
