import numpy as np

from hcm_tf.explain import rendering


def blob(size=16, channels=3):
    picture = np.zeros((size, size, channels), "float32")
    picture[4:7, 9:14] = 0.5
    picture[5, 10] = -1.0
    return picture


def test_signed_pixels_are_grey_at_zero():
    pixels = rendering.signed_pixels(blob())
    assert pixels.dtype == np.uint8
    assert pixels[0, 0].tolist() == [128] * 3
    assert pixels[5, 10].tolist() == [0] * 3
    assert pixels[4, 9].tolist() == [191] * 3
    assert rendering.signed_pixels(np.zeros((2, 2, 1))).tolist() == [[[128]] * 2] * 2


def test_image_pixels_are_tanh():
    pixels = rendering.image_pixels(np.array([-50.0, 0.0, 50.0]))
    assert pixels.tolist() == [0, 128, 255]


def test_bounding_box_is_the_published_crop():
    assert rendering.bounding_box(blob()) == (4, 9, 7, 14)
    assert rendering.bounding_box(blob() * 1e-5) is None
    # Colours that cancel in the mean do not count, as published.
    cancel = np.zeros((4, 4, 3))
    cancel[1, 1] = 1, -1, 0
    assert rendering.bounding_box(cancel) is None


def test_tile_enlarges_by_whole_factors_and_centres():
    tile = rendering.tile(blob(), 12)
    assert tile.shape == (12, 12, 3)
    # A 3 x 5 crop, twice as large, in the middle of grey.
    lit = np.any(tile != 128, axis=-1)
    assert lit.sum() == 60
    assert lit[3:9, 1:11].all()
    assert rendering.tile(np.zeros((8, 8, 1)), 4).tolist() == [[[128]] * 4] * 4
    assert rendering.tile(np.ones((64, 64, 1)), 16).shape == (16, 16, 1)
