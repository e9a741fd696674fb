"""What every extractor refuses, and how it goes through many images."""

import numpy as np
import pytest

from hcm_tf.features import extractor


def test_batches_are_whole_and_in_order():
    images = np.arange(250.0).reshape(250, 1, 1, 1)
    counts = []

    def double(batch):
        counts.append(len(batch))
        assert batch.dtype == np.float32
        return 2 * batch[:, 0, 0]

    result = extractor.in_batches(double, images, 1)
    np.testing.assert_array_equal(result[:, 0], 2 * np.arange(250))
    assert counts == [100, 100, 50]


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((2, 16, 16, 3), np.uint8), "to_float"),
        (np.zeros((16, 16, 3), np.float32), r"Received: \(16, 16, 3\)"),
        (np.zeros((0, 16, 16, 3), np.float32), "at least one"),
        (np.zeros((2, 16, 8, 3), np.float32), r"\(2, 16, 8, 3\)"),
        (np.zeros((2, 16, 16, 1), np.float32), r"side, 3\)"),
        (np.full((2, 16, 16, 3), 2, np.float32), "from 2 to 2"),
        (np.full((2, 16, 16, 3), np.nan, np.float32), "nan"),
        ([[1.0]], "Received: list"),
    ],
)
def test_what_is_no_image_is_refused(images, message):
    with pytest.raises(ValueError, match=message):
        extractor.check(images, 3)


def test_the_whole_range_of_tanh_is_let_pass():
    extractor.check(np.array([-1.0, 1.0] * 2, np.float32).reshape(1, 2, 2, 1), 1)
