"""What hides what, by hand."""

import numpy as np

from hcm_tf.data.scene import brightest, layered, seen
from hcm_tf.data.sprites import sprite


def test_a_later_object_hides_the_earlier():
    masks = np.zeros((3, 2, 4), bool)
    masks[0, 0, :3] = masks[1, 0, 2:] = masks[2, :, 0] = True
    assert layered(masks).tolist() == [[3, 1, 2, 2], [3, 0, 0, 0]]


def test_wholly_hidden_objects_are_dropped():
    placed = list(map(_square, [(16, 16, 0.5), (16, 16, 1.0), (48, 16, 0.6)]))
    labels = layered(placed)
    scene = seen(
        image=labels[..., np.newaxis],
        labels=labels,
        masks=placed,
        shapes=["hidden", "large", "aside"],
        positions=np.array([[16, 16], [16, 16], [48, 16]]),
        scales=np.array([0.5, 1.0, 0.6]),
        angles=np.zeros(3),
        colours=np.array([[[1]], [[2]], [[3]]], np.uint8),
        background=np.zeros((1, 1), np.uint8),
    )
    assert scene.shapes == ("large", "aside")
    assert scene.count == 2
    np.testing.assert_array_equal(scene.scales, [1.0, 0.6])
    np.testing.assert_array_equal(scene.masks, placed[1:])
    np.testing.assert_array_equal(scene.labels[scene.masks[1]], 2)
    np.testing.assert_array_equal(scene.colours[:, 0, 0], [2, 3])


def _square(place):
    x, y, scale = place
    return sprite("square", scale, 0, x, y)


def test_the_brighter_item_has_the_pixel():
    layers = np.zeros((2, 64, 64), np.uint8)
    layers[0, 5, 5:8] = 100, 60, 20
    layers[1, 5, 5:8] = 90, 61, 20
    labels = brightest(layers, layers > 25)
    assert labels[5, 4:9].tolist() == [0, 1, 2, 0, 0]


def test_nothing_shines_in_an_empty_scene():
    empty = np.zeros((0, 5, 6), np.uint8)
    labels = brightest(empty, empty > 0)
    assert labels.shape == (5, 6)
    assert labels.dtype == np.uint8
    assert not labels.any()
