"""Generators with gated blocks: the same to begin with, exact when recorded."""

import dataclasses
from unittest import mock

import keras
import numpy as np
import pytest
import reference
import tensorflow as tf
from mixes import IDS, MIXES

from hcm_tf.config import Label, ModelConfig
from hcm_tf.layers import TileGate, ZeroConv2D
from hcm_tf.networks import Generator, build_generator
from hcm_tf.networks.multiply_adds import computed, gated_blocks, of_gates, skippable
from hcm_tf.operations import EXECUTIONS, apply, tiles

PLAIN = ModelConfig(base_channels=2, attributes=20, latent_size=10)
GATED = dataclasses.replace(PLAIN, gated_blocks=True)


def latents(count=3):
    return np.random.default_rng(0).uniform(-1, 1, (count, 10)).astype("float32")


def closing(config=GATED, dtype="float32", given=None):
    """A generator that closes about 40 % of its tiles, and opens others by halves."""
    keras.utils.set_random_seed(0)
    generator = build_generator(config, dtype=dtype)
    random = np.random.default_rng(1)
    for layer in generator.selections:
        if layer.threshold is not None:
            layer.threshold.assign(np.full(layer.threshold.shape, 1e-3))

    def fit(gate, hidden):
        gate.kernel.assign(random.normal(size=gate.kernel.shape))
        numbers = np.asarray(ZeroConv2D.call(gate, tiles.means(hidden)), "float64")
        gate.kernel.assign(np.asarray(gate.kernel) / np.std(numbers))
        gate.bias.assign([0.3 - np.mean(numbers) / np.std(numbers)])
        return read(gate, hidden)

    read = TileGate.call
    with mock.patch.object(TileGate, "call", fit):
        generator.trace(latents() if given is None else given)
    return generator


def pair(execution):
    """The same weights without gates, and with gates that nothing has moved yet."""
    keras.utils.set_random_seed(0)
    plain = build_generator(PLAIN)
    keras.utils.set_random_seed(0)
    gated = build_generator(GATED)
    return apply(plain, execution), apply(gated, execution)


@pytest.mark.parametrize("execution", EXECUTIONS)
def test_it_begins_as_the_plain_generator(execution):
    plain, gated = pair(execution)
    ours = [w for w in gated.weights if "/gate/" not in w.path]
    for one, other in zip(ours, plain.weights, strict=True):
        assert one.path == other.path
        np.testing.assert_array_equal(one, other)
    expected, found = plain.trace(latents()), gated.trace(latents())
    np.testing.assert_array_equal(found.logits, expected.logits)
    np.testing.assert_array_equal(gated(latents()), plain(latents()))
    assert all(gates.tiles is None for gates in expected.gates)
    shapes = [gates.tiles is not None and gates.tiles.shape for gates in found.gates]
    assert shapes == [False, False, (3, 8, 8, 1), (3, 16, 16, 1)]


def test_the_plain_generator_has_no_weight_and_no_operation_for_it():
    plain, gated = pair("fast")
    assert len(gated.weights) == len(plain.weights) + 4
    assert not any("gate" in weight.path for weight in plain.weights)
    names = {}
    for kind, generator in (("plain", plain), ("gated", gated)):
        graph = tf.function(generator.call).get_concrete_function(
            tf.TensorSpec((None, 10))
        )
        names[kind] = [node.name for node in graph.graph.as_graph_def().node]
    assert not any("gate" in name.lower() for name in names["plain"])
    assert any("gate" in name.lower() for name in names["gated"])


def test_the_first_step_already_moves_the_gates():
    _, gated = pair("fast")
    target = np.random.default_rng(2).uniform(-1, 1, (3, 64, 64, 3))
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(gated(latents()) - target))
    weights = [w.value for w in gated.weights if "/gate/" in w.path]
    assert len(weights) == 4
    for gradient in tape.gradient(loss, weights):
        assert np.abs(gradient).max() > 0


@pytest.mark.parametrize("execution", EXECUTIONS)
def test_replays_sum_to_the_image_and_redraws_are_it(execution):
    generator = apply(closing(), execution)
    trace, random = generator.trace(latents()), np.random.default_rng(3)
    for gates in trace.gates[2:]:
        assert 0.2 < np.mean(gates.tiles == 0) < 0.6
        assert 0.3 < np.mean((gates.tiles > 0) & (gates.tiles < 0.9)) < 0.8
    np.testing.assert_allclose(generator(latents()), trace.image, atol=1e-6)
    scale = np.abs(trace.logits).max()
    for level, code in enumerate(trace.codes):
        part = random.integers(0, 3, code.shape)
        drawn = [
            generator.replay(level, tf.where(part == number, code, 0.0), trace.gates)
            for number in range(3)
        ]
        residual = np.abs(np.sum(drawn, axis=0) - trace.logits).max()
        assert residual <= 1e-5 * scale
        redrawn = generator.redraw(level, code)
        np.testing.assert_allclose(redrawn, trace.logits, rtol=0, atol=1e-5 * scale)
    opened = [
        gates if gates.tiles is None else gates._replace(tiles=gates.tiles + 1)
        for gates in trace.gates
    ]
    other = generator.replay(0, trace.codes[0], opened)
    assert np.abs(other - trace.logits).max() > 1e-2 * scale


@pytest.mark.parametrize("execution", EXECUTIONS)
def test_pulling_back_is_the_adjoint(execution):
    generator = apply(closing(), execution)
    trace, random = generator.trace(latents()), np.random.default_rng(4)
    weights = random.normal(size=trace.logits.shape).astype("float32")
    pulled = generator.pull_back(weights, trace.gates)
    for level in range(4):
        code = random.normal(size=trace.codes[level].shape).astype("float32")
        drawn = np.asarray(generator.replay(level, code, trace.gates), "float64")
        one = np.sum(drawn * weights, axis=(1, 2, 3))
        other = np.sum(np.asarray(pulled[level], "float64") * code, axis=(1, 2, 3))
        scale = np.linalg.norm(drawn) * np.linalg.norm(weights)
        np.testing.assert_allclose(other / scale, one / scale, atol=1e-6)
        assert np.abs(one).min() > 1e-4 * np.abs(one).max()


def test_executions_agree_and_one_image_is_drawn_as_many():
    generator = closing()
    drawn = {name: apply(generator, name)(latents()).numpy() for name in EXECUTIONS}
    for name in EXECUTIONS:
        np.testing.assert_allclose(drawn[name], drawn["reference"], atol=2e-6)
    for name in ("fast", "skipping"):
        one = apply(generator, name)(latents()[:1])
        np.testing.assert_allclose(one, drawn["reference"][:1], atol=2e-6)
        graph = tf.function(apply(generator, name).call).get_concrete_function(
            tf.TensorSpec((None, 10))
        )
        found = graph(tf.constant(latents()))
        np.testing.assert_allclose(found, drawn["reference"], atol=2e-6)
    assert np.std(drawn["reference"]) > 1e-3
    for block in generator.blocks[2:]:
        block.gate.bias.assign([-1e3])
    closed = {name: apply(generator, name)(latents()) for name in EXECUTIONS}
    assert np.abs(closed["fast"] - drawn["fast"]).max() > 1e-3
    np.testing.assert_allclose(closed["skipping"], closed["reference"], atol=2e-6)


def test_half_precision_and_recomputing():
    generator, half = closing(), closing(dtype="mixed_bfloat16")
    half.set_weights(generator.get_weights())
    one, other = (g.trace(latents()) for g in (generator, half))
    assert other.gates[3].tiles.dtype == "float32"
    # Rounding moves some units across the thresholds of the selections below.
    off = np.abs(np.subtract(other.gates[2].tiles, one.gates[2].tiles))
    assert np.mean(off) < 0.1
    assert np.mean(np.abs(other.image - one.image)) < 0.3 * np.std(one.image)

    def gradients(recompute):
        apply(generator, recompute=recompute)
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.square(generator(latents())))
        variables = [w.value for w in generator.trainable_variables]
        return [loss, *tape.gradient(loss, variables)]

    for one, other in zip(gradients(False), gradients(True), strict=True):
        scale = np.abs(one).max()
        assert scale > 0
        np.testing.assert_allclose(other, one, rtol=0, atol=1e-5 * scale)


KINDS = [
    *(mix for mix in MIXES if "normalizer" not in mix),
    {"labels": (Label("hat", ("none", "red", "blue"), (0.4, 0.3, 0.3)),)},
    {"placement": "free"},
]
NAMES = [*(i for i, m in zip(IDS, MIXES, strict=True) if "normalizer" not in m)]


@pytest.mark.parametrize("kind", KINDS, ids=[*NAMES, "labels", "placed"])
def test_every_rule_labels_and_placing_go_with_it(kind):
    latent = latents()
    if "labels" in kind:
        latent = np.concatenate([latent, np.eye(3, dtype="float32")], axis=1)
    config = dataclasses.replace(GATED, image_size=32, **kind)
    generator = closing(config, given=latent)
    trace = generator.trace(latent)
    assert 0 < np.mean(trace.gates[2].tiles == 0) < 1
    np.testing.assert_allclose(generator(latent), trace.image, atol=1e-5)
    random = np.random.default_rng(6)
    for level, code in enumerate(trace.codes):
        part = random.integers(0, 2, code.shape)
        drawn = [
            generator.replay(level, tf.where(part == number, code, 0.0), trace.gates)
            for number in range(2)
        ]
        residual = np.abs(np.sum(drawn, axis=0) - trace.logits).max()
        assert residual <= 1e-5 * np.abs(trace.logits).max()


def test_it_comes_back_from_its_configuration():
    generator = closing()
    again = Generator.from_config(generator.get_config())
    again.build((None, 10))
    again.set_weights(generator.get_weights())
    np.testing.assert_array_equal(again(latents()), generator(latents()))


def test_what_is_normalised_is_refused():
    with pytest.raises(ValueError, match="`gated_blocks` needs `normalizer` none"):
        dataclasses.replace(GATED, normalizer="sparse_switchable")
    with pytest.raises(ValueError, match="both `gated` and `normalized`"):
        Generator(gated=True, normalized=True)


@pytest.mark.parametrize("size", [32, 64, 128])
def test_multiply_adds_are_those_of_the_loops(size):
    config = dataclasses.replace(GATED, image_size=size)
    generator = closing(config)
    trace = generator.trace(latents())
    found = computed(generator, trace.gates)
    sides = [side for side in (32, 64, 128) if side <= size]
    widths = [block.width for block in generator.blocks[-len(sides) :]]
    assert gated_blocks(generator) == list(zip(sides, widths, strict=True))
    for index, (side, width) in enumerate(zip(sides, widths, strict=True)):
        gates = np.asarray(trace.gates[2 + index].tiles, "float64")
        # A gate is tanh of its number, or 0 where that is negative.
        numbers = np.where(gates > 0, np.arctanh(gates), -1.0)
        hidden = np.zeros((3, side, side, width))
        expected = reference.skip_tiles(hidden, np.zeros((3, 3, width, width)), numbers)
        np.testing.assert_array_equal(found[:, index], expected[1])
        whole = reference.skip_tiles(hidden, np.zeros((3, 3, width, width)), 1 + gates)
        assert skippable(generator)[index] == whole[1][0]
        assert 0 < found[0, index] < whole[1][0]
    read = sum((s // 4) ** 2 * w for s, w in zip(sides, widths, strict=True))
    assert of_gates(generator) == read


def test_gates_are_told_apart_in_half_precision():
    """Steps of bfloat16 around the first bias would be as large as an update."""
    gate = TileGate(dtype="mixed_bfloat16")
    hidden = np.zeros((1, 8, 8, 6), "float32")
    found = []
    gate.build(hidden.shape)
    for bias in (1.5, 1.497, 1.4962):
        gate.bias.assign([bias])
        found.append(float(np.asarray(gate(hidden)).ravel()[0]))
    np.testing.assert_allclose(found, np.tanh([1.5, 1.497, 1.4962]), rtol=1e-6)
