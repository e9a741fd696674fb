"""Attributes that hardly any image uses: counted, and pulled to selection."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from hcm_tf.config import TrainConfig
from hcm_tf.runs import building
from hcm_tf.training.usage import IDLE, Usage

SHAPE, K = (2, 3, 5), 2


@pytest.fixture
def preferences():
    """Of four images; at one place a single attribute is positive."""
    values = np.random.default_rng(0).normal(size=(4, *SHAPE)).astype("float32")
    values[1, 0, 0] = [-1, -2, 3, -1, -0.5]
    return values


def loop(preferences, share):
    """Shortfalls and active shares, an entry at a time."""
    shortfall, active = np.zeros(len(preferences)), np.zeros(SHAPE)
    for image, row, column in np.ndindex(preferences.shape[:3]):
        values = preferences[image, row, column]
        threshold = np.sort(np.maximum(values, 0))[-K]
        for attribute, value in enumerate(values):
            place = (row, column, attribute)
            active[place] += (value > 0 and value >= threshold) / len(preferences)
            if share[place] < IDLE:
                shortfall[image] += max(0, threshold - value)
    return shortfall, active


def test_plain_loops(preferences):
    usage = Usage(SHAPE, K)
    share = np.random.default_rng(1).choice([0, IDLE / 2, IDLE, 1], SHAPE)
    usage.share.assign(share)
    shortfall, active = loop(preferences, share)
    np.testing.assert_allclose(usage.shortfall(preferences), shortfall, rtol=1e-5)
    np.testing.assert_allclose(usage.active(preferences), active, rtol=1e-6)


def test_the_gradient_raises_idle_attributes_below_the_threshold(preferences):
    usage = Usage(SHAPE, K)
    share = np.ones(SHAPE)
    share[..., :2] = 0
    usage.share.assign(share)
    with tf.GradientTape() as tape:
        x = tf.constant(preferences)
        tape.watch(x)
        loss = usage.shortfall(x)
    gradient = tape.gradient(loss, x).numpy()
    threshold = np.sort(np.maximum(preferences, 0), axis=-1)[..., -K, None]
    expected = np.where((share < IDLE) & (preferences < threshold), -1, 0)
    np.testing.assert_array_equal(gradient, expected)
    assert expected.any()


@pytest.fixture
def build(tiny_config):
    """Function that builds a trainer with some flags."""

    def build(**values):
        values = {"batch_size": 4, "learning_rate": 1e-2, **values}
        config = dataclasses.replace(tiny_config, train=TrainConfig(**values))
        return building.build_trainer(config, replicas=1)

    return build


def usage_of(trainer):
    (regularizer,) = trainer.regularizers
    return regularizer.usage


@pytest.mark.parametrize(
    ("rule", "k"), [("top_k", 3), ("soft_top_k", 3), ("dense", 12), ("top_p", 12)]
)
def test_without_a_k_to_reach_being_positive_is_enough(tiny_config, rule, k):
    model = dataclasses.replace(tiny_config.model, sparsity=(rule,))
    train = TrainConfig(batch_size=4, revival_weight=1.0)
    config = dataclasses.replace(tiny_config, model=model, train=train)
    assert usage_of(building.build_trainer(config, replicas=1)).k == k


IMAGES = np.random.default_rng(0).uniform(-1, 1, (4, 32, 32, 3)).astype("float32")


@pytest.mark.parametrize(("weight", "comes_back"), [(0.0, False), (1.0, True)])
def test_an_attribute_without_positive_values_comes_back(build, weight, comes_back):
    trainer = build(revival_weight=weight)
    kernel = trainer.generator.attribute_conv.kernel
    # What the convolution sees is not negative.
    kernel.assign(np.where(np.arange(12) == 0, -np.abs(kernel), kernel))
    if weight:
        share = usage_of(trainer).share
        share.assign(np.zeros(share.shape))
    step = tf.function(trainer.train_step, autograph=False)
    came_back = False
    # Noise teaches nothing but its mean: in the end all attributes are nearly 0, of
    # either sign, so that every step counts, not the last.
    for _ in range(60):
        step({"image": tf.constant(IMAGES)})
        found = trainer.generator.preferences(trainer.encoder(IMAGES))[..., 0]
        came_back |= bool(np.any(found > 0))
    assert came_back == comes_back


def test_the_share_follows_what_is_active(build):
    trainer = build(revival_weight=1.0)
    preferences = trainer.generator.preferences(trainer.encoder(IMAGES))
    active = usage_of(trainer).active(preferences).numpy()
    trainer.train_step({"image": tf.constant(IMAGES)})
    np.testing.assert_allclose(
        usage_of(trainer).share.numpy(), 0.99 + 0.01 * active, atol=1e-6
    )


def test_nothing_is_kept_without_the_flag(build):
    trainer = build()
    assert not trainer.regularizers
    assert "usage" not in building.saved_objects(trainer)
