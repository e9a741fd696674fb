import numpy as np
import pytest

from hcm_tf.data.image_set import ImageSet, fill


def test_part_cuts_images_and_labels_alike():
    images = np.arange(10, dtype=np.uint8).reshape(10, 1, 1, 1)
    every = ImageSet(images, {"digit": np.arange(10)}, {"digit": ["a"]}, "digits")
    some = every.part(3, 5)
    assert len(some) == 2
    np.testing.assert_array_equal(some.images.ravel(), [3, 4])
    np.testing.assert_array_equal(some.labels["digit"], [3, 4])
    assert (some.label_names, some.name) == ({"digit": ["a"]}, "digits")


@pytest.mark.parametrize("count", [0, 2, 3])
def test_fill_takes_as_many_as_come(count):
    images = [np.full((2, 2, 1), value, np.uint8) for value in range(count)]
    filled = fill(iter(images), (3, 2, 2, 1))
    assert filled.shape == (count, 2, 2, 1)
    np.testing.assert_array_equal(filled[:, 0, 0, 0], range(count))
