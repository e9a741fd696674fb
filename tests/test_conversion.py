import numpy as np

from hcm_tf.images import to_float, to_uint8


def test_ends_and_middle_of_the_range():
    images = np.array([0, 51, 255], np.uint8)
    expected = np.array([-1.0, -0.6, 1.0], np.float32)
    assert to_float(images).dtype == np.float32
    np.testing.assert_allclose(to_float(images), expected, atol=1e-7)


def test_every_value_survives_the_round_trip():
    values = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(to_uint8(to_float(values)), values)


def test_to_uint8_rounds_and_clips():
    half_a_step = 0.5 / 127.5
    images = [-7.0, -1 + 0.98 * half_a_step, -1 + 1.02 * half_a_step, 1.2]
    np.testing.assert_array_equal(to_uint8(images), [0, 0, 1, 255])
    assert to_uint8(images).dtype == np.uint8
