"""The classifier of faces that comes with hcm_tf, on faces that nothing has seen."""

import importlib.resources
import itertools

import numpy as np
import pytest

from hcm_tf import features
from hcm_tf.errors import UserError
from hcm_tf.features import damage, sources
from hcm_tf.images import to_float
from hcm_tf.metrics import composition

FRESH = range(3_000_000, 3_000_300)
# Hair, beards and glasses hide some of these: no classifier can tell all.
LOWEST = {"eyes": 0.87, "eyebrows": 0.84, "nose": 0.82, "mouth": 0.80}


@pytest.fixture(scope="module")
def parts():
    return features.parts()


@pytest.fixture(scope="module")
def fresh():
    return sources.drawn_faces(FRESH)


@pytest.fixture(scope="module")
def images(fresh):
    return to_float(fresh.images)


def certain(parts, images):
    return composition.confidence(parts.log_probabilities(parts.features(images)))


def test_the_file_is_small():
    file = importlib.resources.files("hcm_tf.features") / "parts.npz"
    assert 100_000 < len(file.read_bytes()) < 2 * 2**20


def test_every_label_of_fresh_faces_is_told(parts, fresh, images):
    found = composition.predicted(parts.log_probabilities(parts.features(images)))
    for head, labels in fresh.labels.items():
        # Four standard errors of 300 around what the file says of itself.
        stated = parts.about["accuracy"][head]
        allowed = 4 * np.sqrt(max(stated * (1 - stated), 0.005) / len(labels))
        assert np.mean(found[head] == labels) == pytest.approx(stated, abs=allowed)
        assert stated > LOWEST.get(head, 0.95)


def test_fresh_faces_are_sure_and_damaged_ones_are_not(parts, images):
    threshold = parts.about["sure_threshold"]
    rate = composition.sure_rate(certain(parts, images), threshold)
    assert rate == pytest.approx(0.95, abs=0.03)
    random = np.random.default_rng(0)
    broken = (
        damage.speckle(images, 0.1, random),
        damage.noise(images, 0.5, random),
        damage.halves(images),
        damage.contrast(images, 3),
    )
    for version in broken:
        assert composition.sure_rate(certain(parts, version), threshold) < 0.2


def test_confidence_falls_as_damage_grows(parts, images):
    random = np.random.default_rng(0)
    images = images[:150]
    growing = (
        [damage.blur(images, sigma) for sigma in (0, 1, 1.5, 2)],
        [damage.noise(images, deviation, random) for deviation in (0, 0.2, 0.3, 0.5)],
        [damage.speckle(images, part, random) for part in (0, 0.01, 0.03, 0.1)],
        [damage.contrast(images, factor) for factor in (1, 1.5, 2, 3)],
    )
    for versions in growing:
        means = [certain(parts, version).mean() for version in versions]
        for less, more in itertools.pairwise(means):
            assert more < less


def test_features_do_not_explode_on_damage(parts, images):
    clean = np.linalg.norm(parts.features(images), axis=1).max()
    random = np.random.default_rng(0)
    for version in (
        damage.speckle(images, 0.2, random),
        damage.noise(images, 0.5, random),
        damage.contrast(images, 3),
        random.uniform(-1, 1, images.shape).astype(np.float32),
    ):
        assert np.linalg.norm(parts.features(version), axis=1).max() < 2 * clean


def test_the_extractors_by_name():
    for name, channels in (("random", 1), ("random", 3), ("parts", 3)):
        made = features.load(name, channels=channels)
        assert made.name == name
        assert made.sees.endswith(".")
        flat = np.zeros((2, 64, 64, channels), np.float32)
        assert made.features(flat).shape == (2, made.size)
    path = str(importlib.resources.files("hcm_tf.features") / "parts.npz")
    assert features.load("labels", path=path).size == 128


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "fid"}, "choose random, parts, labels, inception"),
        ({"name": "labels"}, r"python -m hcm_tf\.features\.train"),
        ({"name": "random", "path": "x.npz"}, "take no file"),
        ({"name": "parts", "channels": 1}, "these have 1"),
    ],
)
def test_what_an_extractor_needs_is_said(arguments, message):
    with pytest.raises(UserError, match=message):
        features.load(**arguments)
