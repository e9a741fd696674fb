"""Which metric sees what: known damage, in three strengths, on pictures of shapes.

Each metric of a damage's row must lie above (below, for the scores) the floor and get
worse with every step; those of `BLIND` must stay at the floor, which is as much a
property to know. Features are fixed random convolutions: nothing is trained here.
"""

import itertools

import numpy as np
import pytest

from hcm_tf.metrics import frechet, kernel, manifold
from hcm_tf.metrics.memorisation import memorisation
from hcm_tf.metrics.sliced_wasserstein import sliced_wasserstein

COUNT = 240
MODES = 8
SIDE = 32
STRENGTHS = {
    "blur": (1, 2, 6),
    "noise": (0.05, 0.15, 0.4),
    "speckle": (0.01, 0.04, 0.16),
    "dropped": (1, 3, 5),
    "copies": (0.25, 0.5, 1.0),
}
SEES = {
    "blur": ["frechet", "density", "coverage", "precision", "sliced_32"],
    "noise": ["frechet", "kernel", "density", "coverage", "sliced_32"],
    "speckle": ["frechet", "kernel", "density", "coverage", "sliced_32"],
    "dropped": ["frechet", "kernel", "recall", "coverage"],
    "copies": ["memorised"],
}
# Fidelity does not fall when modes are dropped, and only neighbours tell copies.
BLIND = {
    "dropped": ["precision", "memorised"],
    "copies": ["frechet", "kernel", "recall", "sliced_32"],
}
SCORES = ("precision", "recall", "density", "coverage")


def pictures(random, count, modes=MODES):
    """A disc and a bar, at a place and in a colour of their mode, a little moved."""
    looks = np.random.default_rng(99).uniform(-0.8, 0.8, (MODES, 3, 3))
    places = np.random.default_rng(98).uniform(0.3, 0.7, (MODES, 4))
    mode = random.integers(0, modes, count)
    place = (places[mode] + random.normal(0, 0.05, (count, 4)))[..., None, None]
    look = looks[mode] + random.normal(0, 0.05, (count, 3, 3))
    rows, columns = np.mgrid[:SIDE, :SIDE] / SIDE
    disc = np.hypot(rows - place[:, 0], columns - place[:, 1]) < 0.2
    bar = np.abs(rows - place[:, 2] + 0.5 * (columns - place[:, 3])) < 0.06
    images = np.broadcast_to(look[:, 0, None, None], (count, SIDE, SIDE, 3))
    images = np.where(disc[..., None], look[:, 1, None, None], images)
    images = np.where(bar[..., None], look[:, 2, None, None], images)
    return np.clip(images, -1, 1).astype("float32")


def features(images):
    """Responses of random 5x5 filters, rectified, by quarters of the image.

    Half of the filters sum to zero: they answer to edges alone.
    """
    random = np.random.default_rng(7)
    filters = random.normal(size=(5, 5, 3, 12)) / np.sqrt(75)
    filters[..., 6:] -= filters[..., 6:].mean(axis=(0, 1))
    windows = np.lib.stride_tricks.sliding_window_view(images, (5, 5), axis=(1, 2))
    maps = np.einsum("nhwcij,ijco->nhwo", windows, filters, optimize=True)
    maps = np.maximum(maps, 0).reshape(len(images), 2, 14, 2, 14, 12)
    return maps.mean(axis=(2, 4)).reshape(len(images), -1)


def blurred(images, times):
    for _ in range(times):
        for axis in (1, 2):
            near = np.roll(images, 1, axis) + np.roll(images, -1, axis)
            images = (near + 2 * images) / 4
    return images


def damaged(damage, strength, training):
    random = np.random.default_rng(5)
    modes = MODES - strength if damage == "dropped" else MODES
    images = pictures(random, COUNT, modes)
    if damage == "blur":
        return blurred(images, strength)
    if damage == "noise":
        noise = random.normal(0, strength, images.shape)
        return np.clip(images + noise, -1, 1).astype("float32")
    if damage == "speckle":
        where = random.random(images.shape[:3]) < strength
        images[where] = random.choice([-1.0, 1.0], (where.sum(), 3))
    if damage == "copies":
        copied = int(strength * COUNT)
        images[:copied] = training[:copied]
    return images


def measure(reference, training, held_out, samples):
    pair = features(reference), features(samples)
    near = memorisation(pair[1], features(training), features(held_out))
    return manifold.manifold_scores(*pair) | {
        "frechet": frechet.frechet_distance(*pair),
        "kernel": kernel.squared_discrepancy(*pair),
        "sliced_32": sliced_wasserstein(reference, samples, capacity=4096)[32],
        "memorised": near.share,
    }


@pytest.fixture(scope="module")
def table():
    """Of each damage: the floor, then every strength. Reference: the training images'
    distribution, but other images, so that copies are not simply their own reference.
    """
    random = np.random.default_rng(0)
    reference, training, held_out = (pictures(random, COUNT) for _ in range(3))
    floor = measure(reference, training, held_out, pictures(random, COUNT))
    found = {
        damage: [floor]
        + [
            measure(reference, training, held_out, damaged(damage, each, training))
            for each in strengths
        ]
        for damage, strengths in STRENGTHS.items()
    }
    for damage, steps in found.items():
        for name in floor:
            values = "  ".join(f"{step[name]:9.4f}" for step in steps)
            print(f"{damage:8} {name:10} {values}")
    return found


@pytest.mark.parametrize(
    ("damage", "name"), [(d, name) for d, names in SEES.items() for name in names]
)
def test_worse_with_every_step(table, damage, name):
    sign = -1 if name in SCORES else 1
    values = [sign * step[name] for step in table[damage]]
    assert all(a < b for a, b in itertools.pairwise(values)), values


@pytest.mark.parametrize(
    ("damage", "name"), [(d, name) for d, names in BLIND.items() for name in names]
)
def test_blind(table, damage, name):
    """Nearer to the floor than a quarter of what the damage it sees best does to it."""
    floor = table[damage][0][name]
    seen = max(
        abs(step[name] - floor) for steps in table.values() for step in steps[1:]
    )
    assert seen > 0
    for step in table[damage][1:]:
        assert abs(step[name] - floor) < 0.25 * seen


def test_the_same_numbers_again(table):
    random = np.random.default_rng(0)
    reference, training, held_out = (pictures(random, COUNT) for _ in range(3))
    again = measure(reference, training, held_out, pictures(random, COUNT))
    assert again == pytest.approx(table["blur"][0], rel=1e-5, abs=1e-9)
