"""Generators that place their parts: the grid at the start, exact replays after it."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from mixes import IDS, MIXES

from hcm_tf.config import Label, ModelConfig
from hcm_tf.networks import Generator, build_generator
from hcm_tf.operations import EXECUTIONS, apply
from hcm_tf.operations.placing import STRETCHED, PlacingStage
from hcm_tf.sparsity.rules import Stage

GRID = ModelConfig(base_channels=2, attributes=20, latent_size=10)
FREE = dataclasses.replace(GRID, placement="free", stretch_parts=True)
BEHIND = {"background_attributes": 3, "presence": "hard"}


def latents(count=3):
    return np.random.default_rng(0).uniform(-1, 1, (count, 10)).astype("float32")


def moved(config=FREE, dtype="float32"):
    """A generator whose parts are anywhere, of any shape, and hide each other."""
    keras.utils.set_random_seed(0)
    generator = build_generator(config, dtype=dtype)
    kernel = generator.placing.kernel
    random = np.random.default_rng(1)
    kernel.assign(3.0 * random.normal(size=kernel.shape))
    return generator


def pair(execution):
    """The same weights on the grid, and free with a kernel of zeros."""
    keras.utils.set_random_seed(0)
    grid = build_generator(GRID)
    keras.utils.set_random_seed(0)
    free = build_generator(FREE)
    return apply(grid, execution), apply(free, execution)


@pytest.mark.parametrize("execution", EXECUTIONS)
def test_it_begins_as_the_grid(execution):
    grid, free = pair(execution)
    for ours, theirs in zip(
        (w for w in free.weights if "placing" not in w.path), grid.weights, strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)
    expected, actual = grid.trace(latents()), free.trace(latents())
    for name in ("logits", "image"):
        one, other = (np.asarray(getattr(t, name)) for t in (expected, actual))
        np.testing.assert_allclose(other, one, rtol=0, atol=1e-6 * np.abs(one).max())
    np.testing.assert_allclose(free(latents()), grid(latents()), rtol=0, atol=1e-6)
    assert expected.placing is None
    assert all(gates.placed is None for gates in expected.gates)
    assert actual.gates[0].placed.shape == (3, 64, 144)
    assert all(gates.placed is None for gates in actual.gates[1:])


def test_the_grid_has_no_weight_and_no_operation_for_it():
    grid, free = pair("fast")
    assert len(free.weights) == len(grid.weights) + 1
    assert not any("placing" in weight.path for weight in grid.weights)
    operations = {}
    for name, generator in (("grid", grid), ("free", free)):
        graph = tf.function(generator.call).get_concrete_function(
            tf.TensorSpec((None, 10))
        )
        operations[name] = [node.name for node in graph.graph.as_graph_def().node]
    assert not any("placing" in name for name in operations["grid"])
    assert len(operations["grid"]) < len(operations["free"])


def test_one_step_makes_the_depth_live_too():
    _, free = pair("fast")
    target = np.random.default_rng(2).uniform(-1, 1, (3, 64, 64, 3))

    def gradient():
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(free(latents()) - target))
        return tape.gradient(loss, free.placing.kernel.value)

    found = np.abs(gradient()).reshape(-1, STRETCHED).max(axis=0)
    assert (np.delete(found, 4) > 0).all()
    assert found[4] == 0
    free.placing.kernel.assign_sub(0.1 * tf.sign(gradient()))
    assert (np.abs(gradient()).reshape(-1, STRETCHED).max(axis=0) > 0).all()


def test_without_a_stretch_no_part_has_one():
    plain = moved(dataclasses.replace(FREE, stretch_parts=False))
    assert plain.placing.kernel.shape[-1] == STRETCHED - 2
    assert not np.any(plain.trace(latents()).placing.stretch)
    assert plain.reach(0) <= moved().reach(0)


def test_random_placing_moves_hides_and_scales():
    placing = moved().trace(latents()).placing
    assert 0.3 < np.std(placing.position) < 1.5
    assert np.ptp(placing.scale) > 0.3
    assert np.ptp(placing.stretch, axis=(0, 1)).min() > 0.3
    assert np.ptp(placing.presence) > 0.1
    assert np.max(placing.opacity) > 0.3


@pytest.mark.parametrize("execution", EXECUTIONS)
def test_replays_sum_to_the_image_and_redraws_are_it(execution):
    generator = apply(moved(), execution)
    trace, random = generator.trace(latents()), np.random.default_rng(3)
    image = generator(latents())
    np.testing.assert_allclose(image, trace.image, atol=1e-5)
    scale = np.abs(trace.logits).max()
    placed = trace.gates[0].placed
    for level, code in enumerate(trace.codes):
        part = random.integers(0, 3, code.shape)
        drawn = [
            generator.replay(level, tf.where(part == number, code, 0.0), trace.gates)
            for number in range(3)
        ]
        residual = np.abs(np.sum(drawn, axis=0) - trace.logits).max()
        assert residual <= 1e-5 * scale
        redrawn = generator.redraw(level, code, placed)
        np.testing.assert_allclose(redrawn, trace.logits, atol=1e-5 * scale)
        again = generator.retrace(level, code, placed)
        np.testing.assert_allclose(again.logits, trace.logits, atol=1e-5 * scale)
        recorded = again.gates[0].placed
        assert (recorded is None) if level else (recorded is placed)
    grid = generator.redraw(0, trace.codes[0], placed=np.roll(placed, 8, axis=1))
    assert np.abs(grid - trace.logits).max() > 1e-2 * scale


@pytest.mark.parametrize("execution", EXECUTIONS)
@pytest.mark.parametrize("config", [FREE, dataclasses.replace(FREE, **BEHIND)])
def test_pulling_back_is_the_adjoint(execution, config):
    generator = apply(moved(config), execution)
    trace, random = generator.trace(latents()), np.random.default_rng(4)
    weights = random.normal(size=trace.logits.shape).astype("float32")
    pulled = generator.pull_back(weights, trace.gates)
    code = random.normal(size=trace.codes[0].shape).astype("float32")
    drawn = np.asarray(generator.replay(0, code, trace.gates), "float64")
    one = np.sum(drawn * weights, axis=(1, 2, 3))
    other = np.sum(np.asarray(pulled[0], "float64") * code, axis=(1, 2, 3))
    scale = np.linalg.norm(drawn) * np.linalg.norm(weights)
    np.testing.assert_allclose(other / scale, one / scale, atol=1e-6)
    assert np.abs(one).min() > 1e-4 * np.abs(one).max()


def test_executions_agree_and_one_image_is_drawn_as_many():
    generator = moved()
    drawn = {name: apply(generator, name)(latents()).numpy() for name in EXECUTIONS}
    for name in ("fast", "device"):
        np.testing.assert_allclose(drawn[name], drawn["reference"], atol=2e-5)
    one = apply(generator, "fast")(latents()[:1])
    np.testing.assert_allclose(one, drawn["reference"][:1], atol=2e-5)


def test_half_precision_keeps_the_places():
    exact, half = moved(), moved(dtype="mixed_bfloat16")
    half.set_weights(exact.get_weights())
    one, other = (g.trace(latents()).placing for g in (exact, half))
    assert other.position.dtype == "float32"
    np.testing.assert_allclose(other.position, one.position, atol=0.1)
    assert np.mean(np.abs(half(latents()) - exact(latents()))) < 0.1


def test_jitter_moves_the_picture_and_recomputing_changes_nothing():
    generator = moved()
    jitter = tf.constant(np.random.default_rng(5).uniform(-0.5, 0.5, (3, 16, 2)))
    stage = PlacingStage(jitter=jitter)
    plain = generator(latents())
    shifted = generator(latents(), placing_stage=stage)
    assert np.abs(shifted - plain).max() > 1e-2
    np.testing.assert_allclose(
        shifted, generator.trace(latents(), placing_stage=stage).image, atol=1e-5
    )

    def gradients(recompute):
        apply(generator, recompute=recompute)
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.square(generator(latents())))
        variables = [w.value for w in generator.trainable_variables]
        return [loss, *tape.gradient(loss, variables)]

    for one, other in zip(gradients(False), gradients(True), strict=True):
        scale = np.abs(one).max()
        np.testing.assert_allclose(other, one, rtol=0, atol=1e-5 * scale)


def test_a_code_of_the_attributes_needs_its_places():
    generator, code = moved(), np.zeros((1, 4, 4, 20), "float32")
    for draw in (generator.redraw, generator.retrace):
        with pytest.raises(ValueError, match=r"needs `placed`.*placed missing"):
            draw(0, code)
    grid, placed = build_generator(GRID), np.zeros((1, 64, 144), "float32")
    with pytest.raises(ValueError, match=r"no use for it.*placed given"):
        grid.redraw(0, code, placed)


KINDS = [
    *MIXES,
    BEHIND,
    {**BEHIND, "sparsity": ("gumbel_top_k", "batch_top_k")},
    {"labels": (Label("hat", ("none", "red", "blue"), (0.4, 0.3, 0.3)),)},
]


@pytest.mark.parametrize("kind", KINDS, ids=[*IDS, "behind", "noise", "labels"])
def test_every_rule_and_labels_go_with_it(kind):
    config = dataclasses.replace(FREE, image_size=32, **kind)
    generator = moved(config)
    for layer in generator.selections:
        if layer.threshold is not None:
            layer.threshold.assign(np.full(layer.threshold.shape, 0.4))
    latent = latents()
    if generator.classes:
        latent = np.concatenate([latent, np.eye(3, dtype="float32")], axis=1)
    trace = generator.trace(latent)
    assert np.std(trace.placing.position) > 0.3
    np.testing.assert_allclose(generator(latent), trace.image, atol=1e-5)
    random = np.random.default_rng(6)
    for level, code in enumerate(trace.codes):
        part = random.integers(0, 2, code.shape)
        drawn = [
            generator.replay(level, tf.where(part == number, code, 0.0), trace.gates)
            for number in range(2)
        ]
        residual = np.abs(np.sum(drawn, axis=0) - trace.logits).max()
        assert residual <= 1e-5 * max(1.0, np.abs(trace.logits).max())


def test_the_background_is_the_picture_s_and_competes_with_nothing():
    generator = moved(dataclasses.replace(FREE, **BEHIND))
    trace = generator.trace(latents())
    code, response = np.asarray(trace.codes[0]), np.asarray(trace.responses[0])
    np.testing.assert_array_equal(code[..., :3], response[..., :3])
    np.testing.assert_array_equal(
        code[..., :3], np.tile(code[:, :1, :1, :3], (4, 4, 1))
    )
    preferred = np.maximum(generator.preferences(latents()), 0)
    expected = preferred[..., :3].mean(axis=(1, 2))
    assert expected.max() > 0
    np.testing.assert_allclose(code[:, 0, 0, :3], expected, rtol=1e-5)
    np.testing.assert_array_equal(response[..., 3:], preferred[..., 3:])
    active = np.count_nonzero(code[..., 3:], axis=-1)
    np.testing.assert_array_equal(active, generator.levels[0].k)
    assert set(np.unique(trace.placing.presence)) <= {0, 1}
    # Where nobody is, it is all there is; where a part is opaque, it is not seen.
    placing = trace.placing
    nobody = placing._replace(presence=0 * placing.presence)
    matrix = generator.sums(nobody)
    assert not np.any(matrix[..., :144])
    assert matrix.shape[-1] == 145
    np.testing.assert_array_equal(matrix[..., 144:], 1)
    alone = np.where(np.arange(20) < 3, code, 0)
    np.testing.assert_allclose(
        generator.redraw(0, code, matrix), generator.redraw(0, alone, matrix), atol=1e-6
    )


@pytest.mark.parametrize("execution", EXECUTIONS)
def test_the_background_is_drawn_alone(execution):
    generator = apply(moved(dataclasses.replace(FREE, **BEHIND)), execution)
    trace = generator.trace(latents())
    nobody = trace.placing._replace(presence=0 * trace.placing.presence)
    expected = np.tanh(generator.redraw(0, trace.codes[0], generator.sums(nobody)))
    alone = generator.draw_background(latents())
    np.testing.assert_allclose(alone, expected, atol=1e-6)
    assert np.abs(alone - trace.image).max() > 0.01
    with pytest.raises(ValueError, match="There is no background"):
        moved().draw_background(latents())


def test_the_background_alone_is_selected_as_training_stands():
    config = dataclasses.replace(FREE, **BEHIND)
    generator = moved(config)
    control = moved(dataclasses.replace(config, spatial_keep=(1.0,)))
    control.set_weights(generator.get_weights())
    everything = control.draw_background(latents())
    found = generator.draw_background(latents(), Stage(leak=1.0))
    np.testing.assert_allclose(found, everything, atol=1e-6)
    assert np.abs(generator.draw_background(latents()) - everything).max() > 1e-3


def test_a_shared_opacity_is_one_pattern_that_learns():
    generator = moved(dataclasses.replace(FREE, opacity="shared", **BEHIND))
    assert generator.placing.kernel.shape[-1] == STRETCHED - 9
    pattern = np.linspace(-0.2, 0.3, 9, dtype="float32")
    generator.placing.opacity.assign(pattern)
    trace = generator.trace(latents())
    np.testing.assert_allclose(
        trace.placing.opacity, np.tile(pattern + 0.125, (3, 16, 1)), rtol=1e-6
    )
    assert np.std(trace.placing.position) > 0.3
    placed, scale = trace.gates[0].placed, np.abs(trace.logits).max()
    again = generator.redraw(0, trace.codes[0], placed)
    np.testing.assert_allclose(again, trace.logits, atol=1e-5 * scale)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.square(generator(latents())))
    gradients = tape.gradient(
        loss, [generator.placing.opacity.value, generator.placing.kernel.value]
    )
    assert all(np.count_nonzero(gradient) for gradient in gradients)
    again = Generator.from_config(generator.get_config())
    again.build((None, 10))
    again.set_weights(generator.get_weights())
    np.testing.assert_array_equal(again(latents()), generator(latents()))


def test_it_comes_back_from_its_configuration():
    generator = moved()
    again = Generator.from_config(generator.get_config())
    again.build((None, 10))
    again.set_weights(generator.get_weights())
    np.testing.assert_array_equal(again(latents()), generator(latents()))
    with pytest.raises(ValueError, match="`placement` must be one of grid, free"):
        Generator(placement="anywhere")
