import numpy as np
import pytest

from hcm_tf.metrics import locality


def test_area_of_one_pixel_of_some_and_of_all():
    one = np.zeros(100)
    one[7] = -3.0
    half = np.where(np.arange(100) < 50, 1.0, 0.0)
    maps = np.stack([one, half, np.ones(100), np.zeros(100)])
    assert locality.area(maps).tolist() == [0.01, 0.45, 0.9, 0.0]
    assert locality.area(7 * maps).tolist() == locality.area(maps).tolist()
    assert locality.area(half[None], fraction=1.0) == pytest.approx(0.5)


def test_visible():
    maps = np.array([[0.0, 1.0, 2.0, 8.0], [0.0, 0.0, 0.0, 0.0]])
    assert locality.visible(maps).tolist() == [[False, False, True, True], [False] * 4]
