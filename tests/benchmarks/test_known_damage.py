"""The damage of `benchmarks.damage` is what its name says."""

import numpy as np
import pytest

from benchmarks import damage
from hcm_tf.data import faces

COUNT = 8


@pytest.fixture(scope="module")
def kinds():
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (4 * COUNT, 16, 16, 3)).astype("uint8")
    hair = np.arange(len(pixels)) % len(faces.SLOTS["hair"])
    labels = np.stack([hair] * len(faces.SLOTS), axis=1)
    training = random.integers(0, 256, (COUNT, 16, 16, 3)).astype("uint8")
    made = damage._kinds(pixels, labels, training, COUNT, np.random.default_rng(1))
    return {name: make() for name, make in made.items()}, pixels, training, hair


def test_every_kind_has_as_many_images(kinds):
    made, *_ = kinds
    for name, images in made.items():
        assert images.shape == (COUNT, 16, 16, 3), name
        assert images.dtype == np.uint8, name


def test_more_of_a_kind_changes_more(kinds):
    made, *_ = kinds
    for kind in ("blur", "noise", "speckle", "contrast"):
        changes = [
            np.abs(images.astype(float) - made["none"]).mean()
            for name, images in made.items()
            if name.startswith(kind)
        ]
        assert changes == sorted(changes)
        assert changes[0] > 0


def test_copies_are_training_images_and_modes_are_dropped(kinds):
    made, pixels, training, hair = kinds
    np.testing.assert_array_equal(made["copies, 100%"], training)
    np.testing.assert_array_equal(made["copies, 50%"][4:], pixels[4:COUNT])
    kept = {tuple(image.reshape(-1)) for image in made["3 of 24 kinds of hair"]}
    allowed = {tuple(image.reshape(-1)) for image in pixels[hair < 3]}
    assert kept <= allowed


def test_what_is_given_in_multiples_of_the_floor():
    names = ("sliced Wasserstein, 64", "parts, frechet", "parts, kernel", "sure")
    assert [damage.is_distance(name) for name in names] == [True, True, False, False]
