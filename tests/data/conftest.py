"""A data set that a test can count, and its images."""

import numpy as np
import pytest

from hcm_tf.data.source import Source


class Counted:
    """Random images with a label, which know how often they were read.

    Attributes:
        images: uint8 `(count, 4, 4, 3)`; the first five are held out.
        readings: how often they were begun to be read.
        before: called with the number of each image before it comes.
    """

    def __init__(self, count=30, limit=0):
        random = np.random.default_rng(0)
        self.images = random.integers(0, 256, (count, 4, 4, 3), np.uint8)
        self.readings = 0
        self.before = lambda number: None
        self.source = Source(
            name="counted",
            shape=(4, 4, 3),
            label_names={"parity": ["even", "odd"], "tens": list("0123456789")},
            most=count + 3,  # As if three could not be read.
            examples=self._examples,
            divide=lambda came: 5,
            limit=limit,
        )

    def _examples(self):
        self.readings += 1
        for number, image in enumerate(self.images):
            self.before(number)
            yield image, {"parity": number % 2, "tens": number // 10}
        self.source.notes.append("3 files are left out")


@pytest.fixture
def make_counted():
    return Counted


@pytest.fixture
def counted():
    return Counted()
