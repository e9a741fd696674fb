"""Networks and training under every rule."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from mixes import IDS, MIXES
from replicas import running, saved

from hcm_tf.config import SPARSITIES, ModelConfig
from hcm_tf.networks import Generator, build_generator
from hcm_tf.operations import EXECUTIONS, apply
from hcm_tf.runs import building
from hcm_tf.sparsity import rules

SMALL = ModelConfig(
    image_size=32, base_channels=4, attributes=20, latent_size=8, attribute_keep=0.25
)
mixes = pytest.mark.parametrize("mix", MIXES, ids=IDS)


def latents(count):
    values = np.random.default_rng(0).uniform(-1, 1, (count, 8))
    return values.astype("float32")


def generator_of(mix, seed=0):
    """Of weights, thresholds and statistics that a run may have."""
    keras.utils.set_random_seed(seed)
    generator = build_generator(dataclasses.replace(SMALL, **mix))
    for layer in generator.selections:
        if layer.threshold is not None:
            layer.threshold.assign(np.full(layer.threshold.shape, 0.4))
    for norm in generator.normalizers:
        norm.gain.assign(np.linspace(-0.5, 1.5, norm.gain.shape[0]))
        norm.shares.assign((0.5, 0.2, 0.3))
        norm.mean_square.assign(np.linspace(0.2, 2.0, norm.gain.shape[0]))
    return generator


def test_every_rule_is_in_a_mix():
    tried = {rule for mix in MIXES for rule in mix["sparsity"]} | {"top_k", "dense"}
    assert tried == set(SPARSITIES)


@mixes
def test_the_parts_of_a_code_sum_to_the_image(mix):
    generator, random = generator_of(mix), np.random.default_rng(1)
    trace = generator.trace(latents(3))
    np.testing.assert_allclose(generator(latents(3)), trace.image, atol=1e-5)
    for level, (code, about) in enumerate(
        zip(trace.codes, generator.levels, strict=True)
    ):
        assert about.rule == mix["sparsity"][level]
        part = random.integers(0, 3, code.shape)
        drawn = [
            generator.replay(level, tf.where(part == number, code, 0.0), trace.gates)
            for number in range(3)
        ]
        residual = np.abs(np.sum(drawn, axis=0) - trace.logits).max()
        assert residual < 1e-5 * max(1.0, np.abs(trace.logits).max())
        back = generator.pull_back(tf.ones_like(trace.logits), trace.gates)[level]
        np.testing.assert_allclose(
            np.sum(back * code, axis=(1, 2, 3)),
            np.sum(trace.logits, axis=(1, 2, 3)),
            rtol=1e-3,
            atol=1e-3,
        )


@mixes
def test_every_execution_gives_the_same(mix):
    generator = generator_of(mix)
    images = {name: apply(generator, name)(latents(3)).numpy() for name in EXECUTIONS}
    for name in ("fast", "device"):
        np.testing.assert_allclose(images[name], images["reference"], atol=2e-5)
    apply(generator, "fast")
    one = generator(latents(3)[:1])
    np.testing.assert_allclose(one, images["reference"][:1], atol=2e-5)


@mixes
def test_a_generator_comes_back_from_its_configuration(mix):
    generator = generator_of(mix)
    again = Generator.from_config(generator.get_config())
    again.build((None, 8))
    again.set_weights(generator.get_weights())
    np.testing.assert_array_equal(again(latents(2)), generator(latents(2)))


@mixes
def test_no_more_are_active_than_a_level_says(mix):
    generator = generator_of(mix)
    for code, about in zip(
        generator.trace(latents(4)).codes, generator.levels, strict=True
    ):
        axes = tuple(axis + 1 for axis in about.competing_axes)
        assert np.count_nonzero(code, axis=axes).max() <= about.most


TRAINED = {
    "batch_size": 8,
    "anneal_steps": 5,
    "normalizer_steps": 4,
    "leak_steps": 3,
    "l1_weight": 0.5,
    "reinforce_weight": 1e-3,
    "ema_decay": 0.9,
    "critic_steps": 2,
}


def batch(seed):
    values = np.random.default_rng(seed).uniform(-1, 1, (8, 32, 32, 3))
    return values.astype("float32")


def trainer_of(tiny_config, mix, replicas=1):
    config = dataclasses.replace(
        tiny_config,
        model=dataclasses.replace(tiny_config.model, **mix),
        train=dataclasses.replace(tiny_config.train, **TRAINED),
    )
    return running(config, replicas)


@pytest.mark.parametrize(
    # What draws noise and follows thresholds; the others have less to go wrong.
    "mix",
    [
        mix if "reinforce" in name else pytest.param(mix, marks=pytest.mark.long)
        for mix, name in zip(MIXES, IDS, strict=True)
    ],
    ids=IDS,
)
def test_replicas_agree_and_a_resumed_run_goes_on_alike(mix, tiny_config):
    one, run = trainer_of(tiny_config, mix)
    run([0])
    first = saved(one)
    run([1])
    half = saved(one)
    run([2])
    whole = saved(one)
    assert np.isfinite(np.concatenate([v.ravel() for v in whole["generator"]])).all()

    two, run = trainer_of(tiny_config, mix, replicas=2)
    run([0])
    # What is normalised has derivatives of 0, but for rounding, along its own size:
    # Adam moves single weights by their sign, and the steps after that are others.
    normalized = "normalizer" in mix
    run([] if normalized else [1, 2])
    again, run = trainer_of(tiny_config, mix)
    for name, holder in building.saved_objects(again).items():
        for variable, value in zip(holder.variables, half[name], strict=True):
            variable.assign(value)
    run([2])
    for name in ("generator", "encoder", "critic", "average_generator"):
        for a, b in zip(whole[name], saved(again)[name], strict=True):
            np.testing.assert_allclose(b, a, atol=1e-6, err_msg=name)
        expected = (first if normalized else whole)[name]
        for a, b in zip(expected, saved(two)[name], strict=True):
            off = np.abs(b - a) > 5e-5
            assert off.mean() <= (0.01 if normalized else 0), name


def test_thresholds_follow_and_the_average_has_them(tiny_config):
    trainer, run = trainer_of(tiny_config, {"sparsity": ("batch_top_k",)})
    run(range(3))
    for own, average in zip(
        trainer.generator.selections, trainer.average_generator.selections, strict=True
    ):
        values = own.threshold.numpy()
        assert (values > 0).mean() > 0.3
        np.testing.assert_array_equal(average.threshold, values)


def gradient_norms(tiny_config, rule, **values):
    """Of the generator's weights after a step, with a term and without."""
    config = dataclasses.replace(
        tiny_config,
        model=dataclasses.replace(tiny_config.model, sparsity=(rule,)),
        train=dataclasses.replace(tiny_config.train, **values),
    )
    trainer = building.build_trainer(config, 1)
    for seed in range(2):
        trainer.train_step({"image": tf.constant(batch(seed)[:4])})
    return np.concatenate([v.numpy().ravel() for v in trainer.generator.variables])


@pytest.mark.parametrize(
    ("rule", "weight"), [("l1", "l1_weight"), ("reinforce", "reinforce_weight")]
)
def test_terms_reach_the_weights(rule, weight, tiny_config):
    without = gradient_norms(tiny_config, rule, **{weight: 0.0})
    term = gradient_norms(tiny_config, rule, **{weight: 5.0})
    assert np.abs(term - without).max() > 1e-5


def test_l1_makes_codes_small(tiny_config):
    def size(weight):
        config = dataclasses.replace(
            tiny_config,
            model=dataclasses.replace(tiny_config.model, sparsity=("l1",)),
            train=dataclasses.replace(
                tiny_config.train, l1_weight=weight, learning_rate=0.02
            ),
        )
        trainer = building.build_trainer(config, 1)
        step = tf.function(trainer.train_step, autograph=False)
        for _ in range(15):
            step({"image": tf.constant(batch(0)[:4])})
        trace = trainer.generator.trace(latents(4)[:, :6])
        return sum(np.abs(code).mean() for code in trace.codes)

    assert size(100.0) < 0.8 * size(0.0)


def test_levels_that_keep_all_have_no_chance(tiny_config):
    """Only the attributes draw: what is known of the others' orders would be noise."""
    model = dataclasses.replace(
        tiny_config.model, sparsity=("reinforce",), spatial_keep=(1.0,)
    )
    train = dataclasses.replace(tiny_config.train, batch_size=4)
    config = dataclasses.replace(tiny_config, model=model, train=train)
    drawer = building.build_trainer(config, 1).drawer
    zero = tf.constant(0, tf.int64)
    stages = drawer.selection.stages(zero, zero, 4)
    trace = drawer.generator.trace(latents(4)[:, :6], stages)
    found = drawer.selection.log_probability(trace, stages)
    attributes = drawer.generator.selections[0]
    alone = rules.log_probability(attributes.competition(trace.responses[0], stages[0]))
    expected = np.sum(np.reshape(alone, (4, -1)), axis=1)
    np.testing.assert_allclose(found, expected, rtol=1e-6)

    model = dataclasses.replace(model, attribute_keep=1.0)
    trainer = building.build_trainer(dataclasses.replace(config, model=model), 1)
    metrics = trainer.train_step({"image": tf.constant(batch(0)[:4])})
    assert np.isfinite(float(metrics["generator_loss"]))
    assert not float(metrics["left_out"])


def test_the_logged_loss_has_the_penalty_of_fakes_too(tiny_config):
    """Nothing else that is logged depends on the weight before the first update."""

    def logged(weight):
        config = dataclasses.replace(
            tiny_config,
            model=dataclasses.replace(tiny_config.model, sparsity=("l1",)),
            train=dataclasses.replace(tiny_config.train, l1_weight=weight),
        )
        trainer = building.build_trainer(config, 1)
        zero = tf.constant(0, tf.int64)
        real = tf.constant(batch(0)[:4])
        drawn = trainer.drawer
        unbounded, _ = trainer.encoder.read(real)
        fakes = drawn.images(drawn.latents(zero, 0, 4), zero, 0)
        again = drawn.images(tf.tanh(unbounded), zero, 1)
        penalties = float(tf.reduce_mean(fakes.penalty + again.penalty))
        return float(trainer.train_step({"image": real})["generator_loss"]), penalties

    (without, penalties), (found, _) = logged(0.0), logged(3.0)
    assert penalties > 0.01
    assert found - without == pytest.approx(3 * penalties, rel=1e-3)
