"""What every rule keeps, and what its gradient is."""

import itertools

import keras
import numpy as np
import pytest
import reference
import tensorflow as tf

from hcm_tf import config, layers
from hcm_tf.sparsity import keep, rules, sampling
from hcm_tf.sparsity.rules import RULES, Competition, Options, Stage

SHARES = ("soft_top_k", "sparsemax", "entmax15", "sparsestmax")
LAYERS = [layers.ChannelSelection, layers.SpatialSelection]
both = pytest.mark.parametrize("kind", LAYERS)


def responses(*shape, seed=0, dtype="float32"):
    x = np.random.default_rng(seed).normal(size=shape).astype(dtype)
    return np.maximum(x, 0)


def uniform(*shape, seed=0):
    return np.random.default_rng(seed).uniform(size=shape).astype("float32")


def gate(layer, x, stage=None):
    if not layer.built:
        layer.build(x.shape)
    return keras.ops.convert_to_numpy(layer.gate(tf.constant(x), stage))


def pools(kind, x):
    """Competitors along the last axis."""
    if kind is layers.ChannelSelection:
        return x.reshape(-1, x.shape[-1])
    batch, height, width, channels = x.shape
    return np.moveaxis(x.reshape(batch, height * width, channels), 1, 2).reshape(
        -1, height * width
    )


def test_flags_name_every_rule():
    assert tuple(RULES) == config.SPARSITIES


@both
@pytest.mark.parametrize("rule", ["top_k", "straight_through", "gumbel_top_k"])
def test_k_largest_are_kept_when_sampling(kind, rule):
    x = responses(3, 4, 4, 12)
    oracle = {
        layers.ChannelSelection: reference.channel_top_k,
        layers.SpatialSelection: reference.spatial_top_k,
    }[kind]
    layer = kind(4, rule)
    layer.build(x.shape)
    np.testing.assert_array_equal(layer(tf.constant(x)), oracle(x, 4))


@both
@pytest.mark.parametrize("rule", ["dense", "l1"])
def test_everything_is_kept(kind, rule):
    assert gate(kind(4, rule), responses(2, 4, 4, 6)).all()


@both
@pytest.mark.parametrize("rule", SHARES)
def test_shares_sum_to_k_and_are_sparse(kind, rule):
    found = pools(kind, gate(kind(3, rule), responses(2, 5, 5, 25)))
    np.testing.assert_allclose(found.sum(-1), 3, atol=1e-5)
    assert found.min() == 0.0
    assert (found == 0).mean() > 0.3
    if rule == "soft_top_k":
        assert found.max() <= 1.0
    if rule == "sparsestmax":
        assert (found**2).sum(-1).min() > 3 - 1e-4


@both
@pytest.mark.parametrize("rule", SHARES)
def test_shares_do_not_depend_on_the_scale(kind, rule):
    x = responses(2, 5, 5, 25)
    np.testing.assert_allclose(
        gate(kind(3, rule), x), gate(kind(3, rule), 50 * x), atol=1e-3
    )


@pytest.mark.parametrize("rule", SHARES)
def test_a_low_temperature_sharpens(rule):
    x = responses(2, 5, 5, 25)
    kept = [
        (gate(layers.ChannelSelection(3, rule, temperature=t), x) > 0).sum()
        for t in (10.0, 1.0, 0.1)
    ]
    if rule == "sparsestmax":
        assert kept[0] >= kept[1] >= kept[2]
    else:
        assert kept[0] > kept[1] > kept[2]


@both
def test_top_p_keeps_the_fewest_that_make_up_the_share(kind):
    x = responses(2, 5, 5, 25)
    layer = kind(1, "top_p", p=0.6)
    for row, kept in zip(pools(kind, x), pools(kind, gate(layer, x)), strict=True):
        assert row[kept].sum() >= 0.6 * row.sum() - 1e-5
        assert row[kept].sum() - row[kept].min() < 0.6 * row.sum()
        assert row[kept].min() > row[~kept].max()


@both
def test_a_group_shares_its_places(kind):
    """Images 0, 2, 4 and 1, 3, 5: as in the critic's statistic."""
    x = (
        responses(6, 4, 4, 16)
        * np.linspace(0.5, 2, 6, dtype="float32")[:, None, None, None]
    )
    layer = kind(3, "batch_top_k")
    found = gate(layer, x, Stage(group=3))
    sets = found.reshape(3, 2, 4, 4, 16)
    for group in range(2):
        counted = [pools(kind, image[None]).sum(-1) for image in sets[:, group]]
        np.testing.assert_array_equal(np.sum(counted, axis=0), 9)
        assert len({int(count.sum()) for count in counted}) > 1
    # Whole groups may be elsewhere: replicas.
    apart = [gate(layer, x[rows], Stage(group=3)) for rows in ([0, 2, 4], [1, 3, 5])]
    np.testing.assert_array_equal(np.stack(apart, axis=1).reshape(found.shape), found)


@both
def test_without_a_group_its_threshold_decides(kind):
    x = responses(2, 4, 4, 16)
    layer = kind(3, "batch_top_k")
    layer.build(x.shape)
    layer.threshold.assign(np.full(layer.threshold.shape, 0.7, "float32"))
    np.testing.assert_array_equal(gate(layer, x), x >= 0.7)


@both
@pytest.mark.parametrize("rule", ["top_k", "straight_through", "batch_top_k"])
def test_k_falls_from_all(kind, rule):
    x = 1 + responses(1, 4, 4, 16)  # Positive and different.
    x += np.arange(x.size).reshape(x.shape) * 1e-3
    for progress, count in ((0.0, 16), (0.5, 8), (1.0, 4)):
        stage = Stage(progress=tf.constant(progress), group=1)
        found = pools(kind, gate(kind(4, rule), x, stage))
        np.testing.assert_array_equal((found > 0).sum(-1), count)


@pytest.mark.parametrize("rule", ["soft_top_k", "entmax15", "gumbel_top_k"])
def test_heat_is_a_factor_on_the_temperature(rule):
    x, noise = responses(2, 4, 4, 16), uniform(2, 4, 4, 16)
    hot = Stage(heat=tf.constant(5.0), noise=noise)
    np.testing.assert_allclose(
        gate(layers.ChannelSelection(4, rule), x, hot),
        gate(layers.ChannelSelection(4, rule, temperature=5.0), x, Stage(noise=noise)),
        atol=1e-6,
    )


def test_sparsestmax_s_circle_grows():
    x = responses(2, 4, 4, 16)
    far = gate(layers.ChannelSelection(4, "sparsestmax", temperature=50.0), x)
    start = Stage(progress=tf.constant(0.0))
    near = gate(layers.ChannelSelection(4, "sparsestmax", temperature=50.0), x, start)
    plain = gate(layers.ChannelSelection(4, "sparsemax", temperature=50.0), x)
    np.testing.assert_allclose(near, plain, atol=1e-6)
    assert (far > 0).sum() < (near > 0).sum()


def test_a_leak_mixes_any_gate_with_all():
    x, leak = responses(2, 4, 4, 16), Stage(leak=tf.constant(0.25))
    for rule in ("top_k", "soft_top_k"):
        layer = layers.ChannelSelection(4, rule)
        np.testing.assert_allclose(
            gate(layer, x, leak), 0.75 * gate(layer, x) + 0.25, atol=1e-6
        )


def code_gradient(rule, x, cotangent, stage, k=3):
    x = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        one = Competition(x, k, -1, Options(), stage)
        value = tf.reduce_sum(keep(x, RULES[rule].gate(one)) * cotangent)
    return tape.gradient(value, x).numpy()


@pytest.mark.parametrize("rule", [*SHARES, "top_k", "dense", "top_p", "batch_top_k"])
def test_gradients_of_codes_are_those_of_finite_differences(rule):
    random = np.random.default_rng(5)
    x = random.normal(size=(12, 10))
    cotangent, way = random.normal(size=(2, 12, 10))
    step, stage = 1e-6, Stage(group=2)

    def code(x):
        one = Competition(tf.constant(x), 3, -1, Options(), stage)
        return keep(one.x, RULES[rule].gate(one)).numpy()

    ahead, back = code(x + step * way), code(x - step * way)
    assert np.array_equal(ahead != 0, back != 0)
    numeric = np.sum((ahead - back) * cotangent, axis=-1) / (2 * step)
    exact = np.sum(code_gradient(rule, x, cotangent, stage) * way, axis=-1)
    if rule == "batch_top_k":
        numeric, exact = numeric.sum(), exact.sum()
    np.testing.assert_allclose(exact, numeric, atol=1e-6)


@pytest.mark.parametrize("rule", ["straight_through", "gumbel_top_k"])
def test_the_gradient_goes_straight_through(rule):
    x = np.random.default_rng(6).normal(size=(4, 10)).astype("float32")
    cotangent = np.random.default_rng(7).normal(size=(4, 10)).astype("float32")
    stage = Stage(noise=tf.constant(uniform(4, 10)))
    found = code_gradient(rule, x, cotangent, stage)
    np.testing.assert_allclose(found, cotangent, rtol=1e-6)


def test_noise_draws_by_plackett_and_luce():
    """Of one place: the softmax of the scores."""
    x = tf.constant(np.tile(responses(1, 6) + 0.1, (40_000, 1)))
    one = Competition(x, 1, -1, stage=Stage(noise=tf.constant(uniform(40_000, 6))))
    share = RULES["reinforce"].gate(one).numpy().mean(axis=0)
    np.testing.assert_allclose(share, tf.nn.softmax(rules.scores(one)[0]), atol=0.01)


def test_chances_of_all_orders_sum_to_1():
    scores = tf.constant(np.random.default_rng(8).normal(size=5))
    chances = [
        np.exp(sampling.log_probability(scores, _completed(order, 5), 2))
        for order in itertools.permutations(range(5), 2)
    ]
    assert np.sum(chances) == pytest.approx(1.0, abs=1e-9)


def _completed(order, count):
    """The order, and then the others in any."""
    rest = [other for other in range(count) if other not in order]
    return tf.constant([*order, *rest])


def test_the_score_function_is_an_unbiased_gradient():
    """Of the expectation of any function of what is kept, by averaging draws."""
    count, k, draws = 5, 2, 200_000
    random = np.random.default_rng(9)
    scores = tf.constant(random.normal(size=count))
    worth = random.normal(size=(count, count))
    worth = worth + worth.T

    with tf.GradientTape() as tape:
        tape.watch(scores)
        expected = tf.add_n(
            [
                tf.exp(sampling.log_probability(scores, _completed(order, count), k))
                * worth[order]
                for order in itertools.permutations(range(count), k)
            ]
        )
    exact = tape.gradient(expected, scores).numpy()

    many = tf.tile(scores[None], (draws, 1))
    noise = tf.constant(random.uniform(size=(draws, count)))
    order = tf.math.top_k(sampling.perturbed(many, noise), count).indices
    value = worth[order[:, 0], order[:, 1]]
    with tf.GradientTape() as tape:
        tape.watch(many)
        chance = sampling.log_probability(many, order, k)
    each = tape.gradient(chance, many).numpy() * (value - value.mean())[:, None]
    error = each.std(axis=0) / np.sqrt(draws)
    assert error.max() < 0.01
    np.testing.assert_array_less(np.abs(each.mean(axis=0) - exact), 5 * error)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
@both
def test_nothing_is_not_finite(kind, rule, dtype):
    """Also of a level that is dead, or has one response alone."""
    x = responses(4, 4, 4, 16)
    x[0] = 0
    x[1, :, :, :] = 0
    x[1, 2, 2, 3] = 5
    x = tf.cast(x, dtype)
    layer = kind(4, rule, dtype=dtype)
    layer.build(x.shape)
    noise = tf.constant(uniform(4, 4, 4, 16))
    noise = tf.where(noise < 0.1, 0.0, noise)
    stage = Stage(
        noise=noise, group=2, progress=tf.constant(0.5), heat=tf.constant(2.0)
    )
    for seen in (None, stage):
        with tf.GradientTape() as tape:
            tape.watch(x)
            code = layer(x, stage=seen)
        gradient = tape.gradient(code, x)
        for values in (code, gradient):
            assert np.isfinite(tf.cast(values, "float32").numpy()).all()


@pytest.mark.parametrize("count", [256, 1024])
@pytest.mark.parametrize("rule", [*SHARES, "top_p"])
def test_half_precision_selects_among_many_as_single_precision_does(rule, count):
    """bfloat16 has no whole numbers beyond 256 to rank by, and sums stand still."""
    x = tf.cast(responses(6, count, seed=3), "bfloat16")
    k = count // 3

    def gate(dtype):
        found = RULES[rule].gate(Competition(tf.cast(x, dtype), k, -1, Options(p=0.7)))
        return tf.cast(found, "float32").numpy()

    half, single = gate("bfloat16"), gate("float32")
    np.testing.assert_array_equal(half > 0, single > 0)
    np.testing.assert_allclose(half, single, rtol=2**-8)
    if rule in SHARES:
        np.testing.assert_allclose(half.sum(axis=-1), k, rtol=1e-3)


@pytest.mark.parametrize("rule", SHARES)
def test_at_a_low_temperature_capped_shares_are_top_k_and_others_go_to_one(rule):
    x = tf.constant(responses(8, 64))
    gate = RULES[rule].gate(Competition(x, 16, -1, Options(temperature=1e-5))).numpy()
    alone = np.where(x == np.max(x, axis=-1, keepdims=True), 16.0, 0.0)
    kept = reference.channel_top_k(x.numpy(), 16) > 0
    np.testing.assert_allclose(gate, kept if rule == "soft_top_k" else alone, atol=1e-4)


@both
def test_a_rule_that_is_not_there_is_an_error(kind):
    with pytest.raises(ValueError, match="`rule` must be one of top_k, dense"):
        kind(3, "top_kk")


@both
@pytest.mark.parametrize("rule", [rule for rule in RULES if rule != "top_p"])
def test_whoever_keeps_all_is_dense(kind, rule):
    """As the flags say, of responses of either sign; top_p has a share, and no k."""
    x = np.random.default_rng(9).normal(size=(2, 4, 4, 16)).astype("float32")
    np.testing.assert_array_equal(gate(kind(16, rule), x), 1)
