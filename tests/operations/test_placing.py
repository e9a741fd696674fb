"""Placing parts: the grid at the start, the loops elsewhere, and live gradients."""

import numpy as np
import pytest
import reference
import tensorflow as tf

from hcm_tf import layers
from hcm_tf.operations import EXECUTIONS, apply, placement, placing
from hcm_tf.operations.placing import NUMBERS, STRETCHED, PlacingStage


def numbers(batch=2, scale=1.0, seed=0):
    random = np.random.default_rng(seed)
    return tf.constant(scale * random.normal(size=(batch, 4, 4, STRETCHED)))


def attributes_and_dictionary(batch=2, seed=1):
    random = np.random.default_rng(seed)
    return random.normal(size=(batch, 4, 4, 3)), random.normal(size=(16, 3, 3, 3, 2))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_zeros_are_the_grid(dtype):
    found = placing.sums(placing.read(tf.zeros((3, 4, 4, STRETCHED), dtype)))
    expected = np.broadcast_to(placement.tap_sums(4, 4), found.shape)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-7)


def test_numbers_are_read_as_the_formulas_say():
    x = numbers()
    found = placing.read(x)
    flat = x.numpy().reshape(2, 16, STRETCHED)
    np.testing.assert_allclose(found.position, 1.5 * np.tanh(flat[..., :2]))
    np.testing.assert_allclose(found.scale, 2 ** np.tanh(flat[..., 2]))
    sigmoid = 1 / (1 + np.exp(-2 - flat[..., 3]))
    np.testing.assert_allclose(found.presence, sigmoid * (1 + np.exp(-2)))
    np.testing.assert_array_equal(found.depth, flat[..., 4])
    np.testing.assert_array_equal(found.opacity, flat[..., 5:14])
    np.testing.assert_allclose(found.stretch, 0.4 * np.tanh(flat[..., 14:]))


def test_without_a_stretch_nothing_else_is_read_differently():
    x = numbers()
    found = placing.read(x[..., :NUMBERS])
    assert found.stretch.shape == (2, 16, 2)
    assert not np.any(found.stretch)
    flat = placing.read(x * (np.arange(STRETCHED) < NUMBERS))
    np.testing.assert_allclose(found.scale, np.sqrt(flat.scale))  # 2 ** (x / 2)
    for name in ("position", "presence", "depth", "opacity", "stretch"):
        np.testing.assert_array_equal(getattr(found, name), getattr(flat, name))


@pytest.mark.parametrize("direction", [0, 30, 45, 90, 160])
def test_a_stretch_keeps_the_area_and_turns_with_its_direction(direction):
    """The second moments of what a tap draws, over all places between pixels."""
    angle, k = np.deg2rad(direction), 0.3
    offsets = (np.stack(np.divmod(np.arange(64), 8), axis=1) - 3.5) / 8
    found = placing.read(tf.zeros((64, 4, 4, STRETCHED), "float64"))
    stretch = np.zeros((64, 16, 2))
    stretch[:, 5] = k * np.cos(2 * angle), k * np.sin(2 * angle)
    moved = np.tile(offsets[:, np.newaxis], (1, 16, 1))
    found = found._replace(stretch=stretch, position=moved)
    drawn = placing.spread(found).numpy()[:, :, 5, 4].reshape(64, 8, 8)
    home = placing.spread(found._replace(stretch=0 * stretch)).numpy()[:, :, 5, 4]
    assert drawn.sum() == pytest.approx(home.sum(), rel=1e-2)
    middles = 2.5 + offsets[:, np.newaxis, np.newaxis]
    away = np.moveaxis(np.mgrid[:8, :8], 0, -1) - middles
    moments = np.einsum("nij,nija,nijb->ab", drawn, away, away) / drawn.sum()
    values, vectors = np.linalg.eigh(moments)
    along = np.array([np.cos(angle), np.sin(angle)])
    assert abs(vectors[:, 1] @ along) > 0.999
    assert np.sqrt(values[1] / values[0]) == pytest.approx((1 + k) / (1 - k), rel=0.02)


@pytest.mark.parametrize("execution", EXECUTIONS)
def test_every_execution_draws_what_the_loops_draw(execution):
    attributes, dictionary = attributes_and_dictionary()
    found = placing.read(numbers())
    expected = reference.place_freely(
        attributes, dictionary, type(found)(*(np.asarray(part) for part in found))
    )
    drawn = EXECUTIONS[execution].place_convolve(
        tf.constant(attributes), tf.constant(dictionary), None, placing.sums(found)
    )
    assert np.abs(drawn - expected).max() < 1e-12 * np.abs(expected).max()
    grid = EXECUTIONS["reference"].place_convolve(attributes, dictionary, None)
    assert np.abs(grid - expected).max() > 0.1 * np.abs(expected).max()


@pytest.mark.parametrize("execution", EXECUTIONS)
def test_the_background_stays_at_home_and_behind(execution):
    attributes, dictionary = attributes_and_dictionary()
    found = placing.read(numbers())
    expected = reference.place_freely(
        *(attributes, dictionary, type(found)(*(np.asarray(part) for part in found))),
        background=2,
    )
    layer = apply(layers.PlacedConv2D(2, 1, 2, dtype="float64"), execution)
    layer.build((None, 4, 4, 3))
    layer.kernel.assign(dictionary / layer.scale)
    matrix = placing.sums(found, background=True)
    assert matrix.shape == (2, 64, 145)
    drawn = layer(tf.constant(attributes), matrix, selected=True)
    assert np.abs(drawn - expected).max() < 1e-12 * np.abs(expected).max()
    pixels = np.random.default_rng(2).normal(size=(2, 8, 8, 2))
    back = layer.back(tf.constant(pixels), matrix)
    np.testing.assert_allclose(np.sum(drawn * pixels), np.sum(back * attributes))
    assert placing.margin(matrix) == placing.margin(placing.sums(found))


def test_in_front_of_a_background_parts_begin_opaque():
    found = placing.read(tf.zeros((1, 4, 4, STRETCHED)), background=True)
    covered = placing.cover(found, placing.spread(found)).numpy().reshape(8, 8, 4, 4)
    along = np.array([1, 2, 2, 1])
    np.testing.assert_allclose(
        covered[1:5, 1:5, 1, 1], np.outer(along, along) / 8, atol=1e-6
    )
    plain = placing.read(numbers())
    behind = placing.read(numbers(), background=True)
    np.testing.assert_allclose(behind.opacity, plain.opacity + 0.125)


def test_hard_presences_are_zero_or_one():
    x = numbers()
    odds = 2 + 3 * x.numpy().reshape(2, 16, STRETCHED)[..., 3]
    x = x * np.where(np.arange(STRETCHED) == 3, 3.0, 1.0)
    found = placing.read(x, hard=True)
    np.testing.assert_array_equal(found.presence, odds > 0)
    assert 0 < np.mean(found.presence) < 1
    soft = placing.read(x)
    for name in ("position", "scale", "depth", "opacity", "stretch"):
        np.testing.assert_array_equal(getattr(found, name), getattr(soft, name))
    assert (placing.read(0 * x, hard=True).presence.numpy() == 1).all()


def test_in_training_they_are_drawn_by_their_chance_and_learn_straight_through():
    random, count = np.random.default_rng(3), 4000
    x = np.zeros((1, 4, 4, STRETCHED))
    x[..., 3] = np.linspace(-5, 1, 16).reshape(4, 4)
    x = tf.repeat(tf.constant(x), count, axis=0)
    chances = tf.constant(random.uniform(size=(count, 16)))
    stage = PlacingStage(chances=chances)
    with tf.GradientTape() as tape:
        tape.watch(x)
        drawn = placing.read(x, stage, hard=True).presence
        total = tf.reduce_sum(drawn)
    expected = 1 / (1 + np.exp(-2 - np.linspace(-5, 1, 16)))
    assert set(np.unique(np.round(drawn, 12))) == {0, 1}
    error = np.sqrt(expected * (1 - expected) / count)
    assert (np.abs(np.mean(drawn, axis=0) - expected) < 4 * error).all()
    noisy = 2 + np.linspace(-5, 1, 16) + np.log(chances) - np.log(1 - chances)
    slope = 1 / (4 * np.cosh(noisy / 2) ** 2)
    found = tape.gradient(total, x).numpy().reshape(count, 16, STRETCHED)
    np.testing.assert_allclose(found[..., 3], slope, atol=1e-9)
    assert not np.delete(found, 3, axis=2).any()
    # Before parts learn, and by chances of exactly 0, nothing is undefined.
    stage = PlacingStage(learns=tf.constant(0.0), chances=0 * chances)
    assert (placing.read(0 * x, stage, hard=True).presence.numpy() == 1).all()


def test_pulling_back_is_the_transpose():
    attributes, dictionary = attributes_and_dictionary()
    matrix = placing.sums(placing.read(numbers()))
    pixels = np.random.default_rng(2).normal(size=(2, 8, 8, 2))
    drawn = placement.place_convolve_by_dictionary(
        attributes, tf.constant(dictionary), None, matrix
    )
    back = placement.place_convolve_back(tf.constant(pixels), dictionary, matrix)
    np.testing.assert_allclose(np.sum(drawn * pixels), np.sum(back * attributes))


def test_a_part_in_front_hides_and_one_behind_is_hidden():
    """Locations 5 and 6 at one place, opaque: the nearer one alone is seen."""
    found = placing.read(tf.zeros((1, 4, 4, STRETCHED), "float64"))
    position, depth, opacity = (
        np.array(part) for part in (found.position, found.depth, found.opacity)
    )
    position[0, 5, 1], position[0, 6, 1] = 1.0, -1.0  # Both between the two cells.
    depth[0, 5] = 5.0
    opacity[0, [5, 6]] = 1.0
    found = found._replace(position=position, depth=depth, opacity=opacity)
    alone = np.asarray(placing.spread(found))
    covered = np.asarray(placing.cover(found, tf.constant(alone)))
    seen = np.asarray(placing.visibility(found, tf.constant(covered)))[0]
    inside = covered[0, :, 5] == 1
    np.testing.assert_array_equal(inside, covered[0, :, 6] == 1)
    assert 9 <= inside.sum() <= 16
    np.testing.assert_allclose(seen[inside, 5], 1, atol=1e-8)
    np.testing.assert_allclose(seen[inside, 6], 0, atol=1e-8)
    # Of equal depths each hides half of the other.
    found = found._replace(depth=np.zeros_like(depth))
    seen = np.asarray(placing.visibility(found, tf.constant(covered)))[0]
    np.testing.assert_allclose(seen[inside][:, [5, 6]], 0.5)


def loss_of(x):
    """Something of the picture that depends on all numbers."""
    attributes, dictionary = attributes_and_dictionary(len(x))
    drawn = placement.place_convolve_by_dictionary(
        attributes, tf.constant(dictionary), None, placing.sums(placing.read(x))
    )
    return tf.reduce_sum(tf.sin(drawn))


def gradient(x):
    with tf.GradientTape() as tape:
        tape.watch(x)
        loss = loss_of(x)
    return tape.gradient(loss, x).numpy()


def test_gradients_are_those_of_finite_differences():
    x = numbers(1, scale=0.7, seed=5)
    found = gradient(x).reshape(-1)
    step, flat = 1e-6, x.numpy().reshape(-1)
    random = np.random.default_rng(0)
    kinds = np.tile(np.arange(STRETCHED), 16)
    checked = 0
    for kind in range(STRETCHED):
        for index in random.choice(np.flatnonzero(kinds == kind), 4, replace=False):
            ends = []
            for sign in (-1, 1):
                moved = flat.copy()
                moved[index] += sign * step
                ends.append(float(loss_of(tf.constant(moved.reshape(x.shape)))))
            expected = (ends[1] - ends[0]) / (2 * step)
            np.testing.assert_allclose(found[index], expected, rtol=1e-5, atol=1e-6)
            checked += abs(expected) > 1e-3
    assert checked > 40


def test_at_the_start_all_but_the_depth_have_a_gradient():
    found = np.abs(gradient(numbers(1, scale=0.0))).reshape(16, STRETCHED)
    assert (found[:, :4] > 1e-4).all()
    # At a picture's corner there may be nobody whom a tap could hide.
    assert ((found[:, 5:14] > 1e-4).sum(axis=0) >= 15).all()
    assert (found[:, 14:] > 1e-4).all()
    np.testing.assert_array_equal(found[:, 4], 0)
    # As soon as something is opaque, it matters what is in front.
    x = np.zeros((1, 4, 4, STRETCHED))
    x[..., 5:14] = 0.01
    assert (np.abs(gradient(tf.constant(x))).reshape(16, STRETCHED)[:, 4] > 1e-6).all()


def test_on_the_grid_a_position_has_both_slopes():
    """`maximum` passes the gradient at its kink, where ReLU would pass none."""
    step = 1e-6
    slopes = []
    for sign in (-1, 1):
        x = np.zeros((1, 4, 4, STRETCHED))
        x[0, 1, 2, 0] = sign * step
        moved, home = (float(loss_of(tf.constant(v))) for v in (x, 0 * x))
        slopes.append((moved - home) / (sign * step))
    found = gradient(numbers(1, scale=0.0))[0, 1, 2, 0]
    np.testing.assert_allclose(found, sum(slopes), rtol=1e-4)
    assert abs(slopes[0] - slopes[1]) > 1e-2


def test_until_parts_learn_the_numbers_count_but_have_no_gradient():
    x = numbers()
    for learns in (0.0, 1.0):
        with tf.GradientTape() as tape:
            tape.watch(x)
            found = placing.read(x, PlacingStage(learns=tf.constant(learns)))
            total = sum(tf.reduce_sum(part) for part in found)
        np.testing.assert_allclose(found.position, placing.read(x).position)
        assert (np.abs(tape.gradient(total, x)).max() > 0) == bool(learns)


def test_jitter_moves_positions_and_nothing_else():
    x, jitter = numbers(), np.random.default_rng(3).uniform(-0.5, 0.5, (2, 16, 2))
    plain, moved = placing.read(x), placing.read(x, PlacingStage(jitter=jitter))
    np.testing.assert_allclose(moved.position - plain.position, jitter, atol=1e-12)
    for before, after in zip(plain[1:], moved[1:], strict=True):
        np.testing.assert_array_equal(after, before)


def test_no_part_gets_further_than_the_margin():
    assert placing.margin(placement.tap_sums(4, 4)[None]) == 1
    furthest = 0
    for sign in (-40.0, 40.0):
        x = np.zeros((1, 4, 4, NUMBERS))
        x[..., :2], x[..., 2] = sign, 40.0
        matrix = placing.sums(placing.read(tf.constant(x)))
        furthest = max(furthest, placing.margin(matrix))
    assert furthest == placing.MARGIN


def test_a_stretched_part_may_get_anywhere():
    x = np.full((1, 4, 4, STRETCHED), 40.0)
    matrix = placing.sums(placing.read(tf.constant(x)))
    assert placing.margin(matrix) == 6  # From one corner of the map to the other.
