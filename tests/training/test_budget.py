"""A budget for gated blocks: what it costs, when it counts, and what it closes."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from replicas import running, saved, weights_of

from hcm_tf.networks import build_generator
from hcm_tf.networks.blocks import BlockGates
from hcm_tf.runs import building
from hcm_tf.training.budget import Budget

BATCH = 8


def trainer_of(tiny_config, replicas=1, gated=True, **train):
    """The trainer, and a function that takes steps on batches of seeds."""
    train = {"batch_size": BATCH, "steps": 4, "block_budget_weight": 50.0, **train}
    config = dataclasses.replace(
        tiny_config,
        model=dataclasses.replace(tiny_config.model, gated_blocks=gated),
        train=dataclasses.replace(tiny_config.train, **train),
    )
    return running(config, replicas)


def budget_of(tiny_config, size=32, **values):
    model = dataclasses.replace(tiny_config.model, gated_blocks=True, image_size=size)
    values = {"target": 0.3, "weight": 2.0, "steps": 100, **values}
    return Budget(build_generator(model), **values)


def recorded(*tiles):
    """Gates of a generator whose last blocks have these."""
    nothing = BlockGates(*[tf.zeros(())] * 3)
    return [nothing, nothing, *(nothing._replace(tiles=each) for each in tiles)]


@pytest.mark.long
def test_replicas_agree_and_a_resumed_run_goes_on_alike(tiny_config):
    one, run = trainer_of(tiny_config)
    run([0, 1])
    half = saved(one)
    metrics = run([2])
    whole = saved(one)
    assert np.abs(one.generator.blocks[-1].gate.kernel).max() > 0
    assert one.generator.blocks[-1].gate.bias != 1.5
    two, run = trainer_of(tiny_config, replicas=2)
    both = run([0, 1, 2])
    again, run = trainer_of(tiny_config)
    for name, holder in building.saved_objects(again).items():
        for variable, value in zip(holder.variables, half[name], strict=True):
            variable.assign(value)
    run([2])
    for name in ("generator", "encoder", "critic", "average_generator"):
        for a, b in zip(whole[name], saved(again)[name], strict=True):
            np.testing.assert_array_equal(b, a, err_msg=name)
        for a, b in zip(whole[name], saved(two)[name], strict=True):
            np.testing.assert_allclose(b, a, rtol=0, atol=5e-5, err_msg=name)
    assert set(metrics) == set(both) > {"tiles_drawn"}
    for name in metrics:
        assert both[name] == pytest.approx(metrics[name], rel=1e-3, abs=1e-5), name


def test_without_gates_there_is_no_budget(tiny_config):
    """The same weights in the same order, whatever the flags of the budget say."""
    train = dataclasses.replace(tiny_config.train, block_budget=0.7)
    other = dataclasses.replace(tiny_config, train=train)
    plain, changed = (
        building.build_trainer(config, 1) for config in (tiny_config, other)
    )
    assert not plain.regularizers
    assert not changed.regularizers
    gated = dataclasses.replace(
        tiny_config, model=dataclasses.replace(tiny_config.model, gated_blocks=True)
    )
    (regularizer,) = building.build_trainer(gated, 1).regularizers
    budget = regularizer.budget
    assert budget.target == 0.1
    assert budget.weight == 0.8
    for one, another in zip(weights_of(plain), weights_of(changed), strict=True):
        np.testing.assert_array_equal(another, one)


def test_the_budget_waits_and_warms_up(tiny_config):
    budget = budget_of(tiny_config, steps=100)
    expected = {0: 0, 39: 0, 40: 0, 41: 0.5, 42: 1, 99: 1}
    for step, ramp in expected.items():
        found = float(budget.ramp(tf.constant(step, tf.int64)))
        assert found == pytest.approx(ramp, abs=1e-5), step


def test_the_loss_is_that_of_the_formulas(tiny_config):
    budget = budget_of(tiny_config, size=64)
    random = np.random.default_rng(0)
    tiles = [
        tf.constant(random.uniform(0, 1, (BATCH, side, side, 1)), tf.float32)
        for side in (8, 16)
    ]
    for step, ramp in ((10, 0.0), (41, 0.5), (80, 1.0)):
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(tiles)
            found = budget.loss(recorded(*tiles), tf.constant(step, tf.int64))
            found = tf.reduce_mean(found)
            # Both blocks have as many multiply-adds: half the pixels, twice the maps.
            mean = (tf.reduce_mean(tiles[0]) + tf.reduce_mean(tiles[1])) / 2
            expected = ramp * 2.0 * tf.square(mean - 0.3)
        np.testing.assert_allclose(found, expected, rtol=1e-4)
        for tile in tiles:
            np.testing.assert_allclose(
                tape.gradient(found, tile),
                tape.gradient(expected, tile),
                rtol=1e-3,
                atol=1e-9,
            )


def test_drawn_counts_open_tiles(tiny_config):
    budget = budget_of(tiny_config, size=64)
    third, half = np.zeros((2, 8, 8, 1), "float32"), np.ones((2, 16, 16, 1), "float32")
    third[0, :2] = 0.1  # A quarter of the first image's tiles.
    half[1, :, 8:] = 0
    drawn = budget.drawn(recorded(tf.constant(third), tf.constant(half)))
    np.testing.assert_allclose(drawn, [(0.25 + 1) / 2, (0 + 0.5) / 2])
    costs = budget.costs(recorded(tf.constant(third), tf.constant(half)))
    np.testing.assert_allclose(costs, [(0.025 + 1) / 2, (0 + 0.5) / 2], rtol=1e-6)


def test_a_budget_closes_tiles(tiny_config):
    trainer, run = trainer_of(
        *(tiny_config, 1),
        steps=1,  # In full from the second step on.
        block_budget=0.0,
        block_budget_weight=1e5,
        learning_rate=0.05,
    )
    assert run([0])["tiles_drawn"] == 1
    # Ever more slowly: the gradient falls with what is left. Without a budget all stay.
    assert run([0, 1] * 25)["tiles_drawn"] < 0.7
    assert float(trainer.generator.blocks[-1].gate.bias[0]) < 1
