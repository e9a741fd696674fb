import dataclasses
import hashlib

import numpy as np

from hcm_tf.data.image_set import ImageSet


def test_part_cuts_images_and_labels_alike():
    images = np.arange(10, dtype=np.uint8).reshape(10, 1, 1, 1)
    every = ImageSet(images, {"digit": np.arange(10)}, {"digit": ["a"]}, "digits")
    some = every.part(3, 5)
    assert len(some) == 2
    np.testing.assert_array_equal(some.images.ravel(), [3, 4])
    np.testing.assert_array_equal(some.labels["digit"], [3, 4])
    assert (some.label_names, some.name) == ({"digit": ["a"]}, "digits")


def test_the_digest_is_of_shape_and_pixels_in_one_pass():
    images = np.arange(96, dtype=np.uint8).reshape(2, 4, 4, 3)
    every = ImageSet(images, {}, {}, "some")
    assert (
        every.digest() == hashlib.sha256(b"(2, 4, 4, 3)" + bytes(range(96))).hexdigest()
    )
    known = dataclasses.replace(every, known_digest="known")
    assert known.digest() == "known"
    assert known.part(0, 2).digest() == every.digest()
