"""The networks at full and tiny size: shapes, cost, trace and replay, dense control."""

import dataclasses

import keras
import numpy as np
import pytest
import reference
import tensorflow as tf

from hcm_tf.config import ModelConfig
from hcm_tf.networks import Generator, build_critic, build_encoder, build_generator
from hcm_tf.operations import EXECUTIONS, apply, placement
from hcm_tf.operations.placement import SPARE_ROWS
from hcm_tf.sparsity.rules import Stage

TINY = ModelConfig(base_channels=2, attributes=12, latent_size=6, attribute_keep=0.25)


def latents(count, size=6):
    return np.random.default_rng(0).uniform(-1, 1, (count, size)).astype("float32")


def count(network):
    return sum(int(np.prod(variable.shape)) for variable in network.variables)


def test_full_size_networks_have_the_published_shapes():
    config = ModelConfig()
    generator, encoder = build_generator(config), build_encoder(config)
    images = generator(latents(1, 200))
    assert images.shape == (1, 64, 64, 3)
    assert encoder(images).shape == (1, 200)
    # Summed by hand over the table of METHOD: fc, attributes, four blocks, image.
    blocks = sum(
        9 * before * width + 9 * width * width
        for before, width in ((3200, 512), (512, 256), (256, 128), (128, 64))
    )
    expected = 200 * 8192 + 8192 + 9 * 512 * 200 + blocks + 256 * 128 + 25 * 64 * 3
    assert count(generator) == expected


def test_full_size_critic_scores_a_batch():
    critic = build_critic(ModelConfig())
    assert critic(np.zeros((10, 64, 64, 3), "float32")).shape == (10,)


@pytest.mark.parametrize("size", [32, 64, 128])
@pytest.mark.parametrize("channels", [1, 3])
def test_sizes_and_channels(size, channels):
    config = dataclasses.replace(TINY, image_size=size, image_channels=channels)
    generator = build_generator(config)
    images = generator(latents(2))
    assert images.shape == (2, size, size, channels)
    assert build_encoder(config)(images).shape == (2, 6)
    assert build_critic(config)(images).shape == (2,)


def test_each_level_keeps_its_k():
    trace = build_generator(TINY).trace(latents(4))
    attributes = np.asarray(trace.codes[0])
    assert ((attributes != 0).sum(axis=-1) <= TINY.attribute_k).all()
    assert (attributes != 0).any()
    for code, response, k in zip(
        trace.codes[1:], trace.responses[1:], TINY.spatial_k, strict=True
    ):
        # The shortcut repeats pixels, so that ties occur at 32x32, and are kept.
        expected = reference.spatial_top_k(np.asarray(response), k)
        np.testing.assert_array_equal(code, expected)
        assert (expected == 0).any()
        assert (expected != 0).any()


@pytest.mark.parametrize("leak", [None, 0.3])
@pytest.mark.parametrize("keep", [0.25, 1.0])
@pytest.mark.parametrize("execution", ["fast", "reference"])
def test_replay_reproduces_the_image_and_is_linear(keep, execution, leak):
    config = dataclasses.replace(TINY, attribute_keep=keep, spatial_keep=(keep,))
    generator = apply(build_generator(config), execution)
    trace = generator.trace(latents(3), stages=Stage(leak=leak))
    np.testing.assert_allclose(
        generator(latents(3), stages=Stage(leak=leak)), trace.image, atol=1e-5
    )
    scale = np.abs(trace.logits).max()
    random = np.random.default_rng(1)
    for level, code in enumerate(trace.codes):
        replayed = generator.replay(level, code, trace.gates)
        np.testing.assert_allclose(replayed, trace.logits, atol=1e-6 * scale)
        part = np.where(random.random(code.shape) < 0.5, code, 0)
        halves = [
            np.asarray(generator.replay(level, half, trace.gates))
            for half in (part, code - part)
        ]
        np.testing.assert_allclose(sum(halves), trace.logits, atol=1e-5 * scale)
        nothing = generator.replay(level, np.zeros_like(code), trace.gates)
        np.testing.assert_array_equal(nothing, np.zeros_like(trace.logits))


@pytest.mark.parametrize("execution", EXECUTIONS)
@pytest.mark.parametrize("leak", [None, 0.3])
@pytest.mark.parametrize("size", [32, 64])
def test_pulling_back_is_the_adjoint_of_replaying(execution, leak, size):
    config = ModelConfig(
        image_size=size,
        base_channels=2,
        attributes=8,
        latent_size=6,
        attribute_keep=0.25,
    )
    generator = apply(build_generator(config), execution)
    trace = generator.trace(latents(3), stages=Stage(leak=leak))
    random = np.random.default_rng(5)
    weights = random.normal(size=trace.logits.shape).astype("float32")
    pulled = generator.pull_back(weights, trace.gates)
    assert len(pulled) == len(generator.levels)
    for index, level in enumerate(generator.levels):
        # Any code, not only the active entries of the trace's own.
        code = random.normal(size=(3, *level.shape)).astype("float32")
        drawn = np.asarray(generator.replay(index, code, trace.gates), "float64")
        one = np.sum(drawn * weights, axis=(1, 2, 3))
        other = np.sum(np.asarray(pulled[index], "float64") * code, axis=(1, 2, 3))
        scale = np.linalg.norm(drawn) * np.linalg.norm(weights)
        np.testing.assert_allclose(other / scale, one / scale, atol=1e-6)
        assert np.median(np.abs(one)) > 1e-4 * np.abs(one).max()


def test_replay_stops_at_a_level_and_goes_on():
    generator = build_generator(TINY)
    trace = generator.trace(latents(2))
    for until in (1, 2, 3):
        code = generator.replay(0, trace.codes[0], trace.gates, until=until)
        np.testing.assert_allclose(code, trace.codes[until], rtol=1e-5, atol=1e-6)


def test_replay_takes_the_gates_of_one_image_for_many_parts():
    generator = build_generator(TINY)
    trace = generator.trace(latents(1))
    code = np.asarray(trace.codes[1])
    active = np.argwhere(code[0])
    parts = np.zeros((len(active), *code.shape[1:]), code.dtype)
    for part, index in zip(parts, active, strict=True):
        part[tuple(index)] = code[0][tuple(index)]
    contributions = np.asarray(generator.replay(1, parts, trace.gates))
    total, logits = contributions.sum(axis=0), np.asarray(trace.logits)[0]
    np.testing.assert_allclose(total, logits, atol=1e-5 * np.abs(logits).max())


@pytest.mark.parametrize(("level", "until"), [(-1, None), (4, None), (2, 2), (0, 4)])
def test_replay_refuses_levels_that_do_not_exist(level, until):
    generator = build_generator(TINY)
    trace = generator.trace(latents(1))
    with pytest.raises(ValueError, match=r"must be between \d and 3"):
        generator.replay(level, trace.codes[0], trace.gates, until=until)


def test_executions_share_variables_and_values():
    fast, plain = (apply(build_generator(TINY), e) for e in ("fast", "reference"))
    plain.set_weights(fast.get_weights())
    expected = np.asarray(plain(latents(4)))
    np.testing.assert_allclose(fast(latents(4)), expected, atol=1e-5)


def test_bfloat16_keeps_float32_variables_and_results():
    generator = build_generator(TINY, dtype="mixed_bfloat16")
    exact = build_generator(TINY)
    exact.set_weights(generator.get_weights())
    images = generator(latents(4))
    assert images.dtype == "float32"
    assert {variable.dtype for variable in generator.variables} == {"float32"}
    # Near a threshold another unit may win: the mean is what half precision keeps.
    assert 0 < np.mean(np.abs(images - exact(latents(4)))) < 0.05
    critic = build_critic(TINY, dtype="mixed_bfloat16")
    assert critic(images).dtype == "float32"


def test_networks_run_in_a_graph_with_unknown_batch():
    generator, encoder = build_generator(TINY), build_encoder(TINY)
    run = tf.function(
        lambda z: encoder(generator(z)),
        input_signature=[tf.TensorSpec((None, 6), tf.float32)],
    )
    np.testing.assert_allclose(
        run(latents(5)), encoder(generator(latents(5))), atol=1e-5
    )


def test_lengths_of_the_levels_must_agree():
    with pytest.raises(ValueError, match="one longer"):
        Generator(spatial_k=(16, 64))


def test_any_code_is_decoded_alike_on_the_device():
    """Of the union of two codes a location has twice as many attributes as it keeps."""
    keras.utils.set_random_seed(0)
    config = dataclasses.replace(TINY, attributes=96, attribute_keep=0.1)
    fast = build_generator(config)
    device = apply(build_generator(config), "device")
    device.set_weights(fast.get_weights())
    trace = fast.trace(latents(2))
    union = tf.reduce_max(trace.codes[0], axis=0, keepdims=True)
    # More than the rows that the device reads for the generator's own selection.
    active = tf.math.count_nonzero(union, axis=-1, dtype=tf.int32)
    assert tf.reduce_max(active) > config.attribute_k + SPARE_ROWS
    gates = tuple(found.of(slice(1)) for found in trace.gates)
    for expected, actual in (
        (fast.replay(0, union, gates), device.replay(0, union, gates)),
        (fast.redraw(0, union), device.redraw(0, union)),
    ):
        scale = np.abs(expected).max()
        assert scale > 0
        np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-5 * scale)


def test_the_device_reads_few_rows_of_its_own_selection(monkeypatch):
    config = dataclasses.replace(TINY, attributes=96, attribute_keep=0.1)
    device = apply(build_generator(config), "device")
    gathered = []

    def record(rows, dictionary, slots):
        gathered.append(slots)
        return original(rows, dictionary, slots)

    original = placement.multiply_gathered
    monkeypatch.setattr(placement, "multiply_gathered", record)
    trace = device.trace(latents(2))
    device(latents(2))
    assert gathered == [config.attribute_k + SPARE_ROWS] * 2
    device.replay(0, trace.codes[0], trace.gates)
    device.redraw(0, trace.codes[0])
    assert len(gathered) == 2
