"""Objectives: at the optimal critic, and term by term."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from hcm_tf import losses
from hcm_tf.losses import OBJECTIVES, make_objective

RANDOM = np.random.default_rng(0)


def distributions(count=6):
    """Logits of a generated distribution, and a real one, over a few outcomes."""
    real = RANDOM.dirichlet(np.ones(count))
    return tf.constant(RANDOM.normal(size=count)), tf.constant(real)


def kl(p, q):
    return tf.reduce_sum(p * tf.math.log(p / q))


def generator_gradient(logits, real, loss):
    """d/d logits of E_{x ~ p_g} loss(f(x)), the optimal critic held fixed."""
    with tf.GradientTape() as tape:
        tape.watch(logits)
        generated = tf.nn.softmax(logits)
        scores = tf.stop_gradient(tf.math.log(real / generated))
        value = tf.reduce_sum(generated * loss(scores))
    return tape.gradient(value, logits)


def divergence_gradient(logits, divergence):
    with tf.GradientTape() as tape:
        tape.watch(logits)
        value = divergence(tf.nn.softmax(logits))
    return tape.gradient(value, logits)


def test_kl_less_twice_jsd_is_the_soft_reverse_kl():
    logits, real = distributions()

    def jsd(generated):
        middle = (real + generated) / 2
        return (kl(real, middle) + kl(generated, middle)) / 2

    generated = tf.nn.softmax(logits)
    difference = kl(generated, real) - 2 * jsd(generated)
    soft = 2 * kl((real + generated) / 2, real)
    # An identity for values: 2 JSD counts KL(p_r || m), which is what is left over.
    expected = soft
    np.testing.assert_allclose(
        divergence_gradient(logits, lambda g: kl(g, real) - 2 * jsd(g)),
        divergence_gradient(logits, lambda g: 2 * kl((real + g) / 2, real)),
        atol=1e-12,
    )
    np.testing.assert_allclose(difference, expected, atol=1e-12)


def test_non_saturating_follows_the_soft_reverse_kl_at_the_optimal_critic():
    logits, real = distributions()
    np.testing.assert_allclose(
        generator_gradient(logits, real, losses.non_saturating),
        divergence_gradient(logits, lambda g: 2 * kl((real + g) / 2, real)),
        atol=1e-12,
    )


@pytest.mark.parametrize(
    ("name", "optimum"),
    [
        # f = log(p_r / p_g), and the sign of p_r - p_g.
        ("non_saturating", lambda real, fake: np.log(real / fake)),
        ("hinge", lambda real, fake: np.sign(real - fake)),
    ],
)
def test_the_optimal_critic_of_separate_losses(name, optimum):
    real, fake = RANDOM.dirichlet(np.ones(5)), RANDOM.dirichlet(np.ones(5))
    on_real, on_fake = make_objective(name).critic

    def loss(scores):
        scores = tf.constant(scores)
        return float(
            tf.reduce_sum(real * on_real.loss(scores)[0])
            + tf.reduce_sum(fake * on_fake.loss(scores)[0])
        )

    best = optimum(real, fake)
    least = loss(best)
    for _ in range(200):
        assert loss(best + RANDOM.normal(size=5) * 0.3) >= least - 1e-12
    # And it is a strict one: far away the loss is larger.
    assert loss(best + 3.0) > least + 0.1


def test_relativistic_losses_compare_pairs():
    real, fake = RANDOM.normal(size=7), RANDOM.normal(size=7)
    (pair,) = make_objective("relativistic").critic
    loss, metrics = pair.loss(tf.constant(real), tf.constant(fake))
    np.testing.assert_allclose(loss, np.log1p(np.exp(fake - real)), rtol=1e-12)
    np.testing.assert_array_equal(metrics["real_score"], real)
    objective = make_objective("relativistic")
    assert objective.pairs
    generator = objective.generator(tf.constant(fake), tf.constant(real))
    np.testing.assert_allclose(generator, np.log1p(np.exp(real - fake)), rtol=1e-12)
    # Only differences count: a constant added to all scores changes nothing.
    np.testing.assert_allclose(pair.loss(real + 5.0, fake + 5.0)[0], loss, rtol=1e-10)


def test_wgan_gp_is_the_published_sum():
    scores, norms = RANDOM.normal(size=6), np.abs(RANDOM.normal(size=6))
    on_real, on_fake, on_mixed = make_objective().critic
    np.testing.assert_allclose(
        on_real.loss(tf.constant(scores))[0], -scores + 1e-3 * scores**2
    )
    np.testing.assert_allclose(on_fake.loss(tf.constant(scores))[0], scores)
    np.testing.assert_allclose(
        on_mixed.loss(tf.constant(norms))[0], 10 * (norms - 1) ** 2
    )


def test_without_a_critic_there_is_nothing_to_penalise():
    alone = make_objective("reconstruction", r1_weight=0.3, r2_weight=0.5)
    assert alone.critic == ()
    assert alone.generator is None
    assert alone.metrics == ("critic_loss", "generator_loss", "reconstruction_error")


@pytest.mark.parametrize("name", sorted({*OBJECTIVES} - {"reconstruction"}))
def test_penalties_come_with_every_objective(name):
    plain = make_objective(name, r1_weight=0.0, r2_weight=0.0)
    both = make_objective(name, r1_weight=0.3, r2_weight=0.5, penalty_interval=4)
    r1, r2 = both.critic[len(plain.critic) :]
    norms = np.abs(RANDOM.normal(size=5))
    for term, images, metric, weight in (
        (r1, "real", "r1", 0.3),
        (r2, "fake", "r2", 0.5),
    ):
        assert (term.at, term.interval, term.of_gradients) == ((images,), 4, True)
        loss, metrics = term.loss(tf.constant(norms))
        np.testing.assert_allclose(loss, 4 * weight * 0.5 * norms**2)
        np.testing.assert_allclose(metrics[metric], 0.5 * norms**2)
    assert set(both.metrics) - set(plain.metrics) == {"r1", "r2"}


def test_unknown_objective():
    with pytest.raises(ValueError, match="must be one of wgan_gp"):
        make_objective("lsgan")


def test_objectives_are_flags_too():
    from hcm_tf.config import TrainConfig

    (field,) = [f for f in dataclasses.fields(TrainConfig) if f.name == "objective"]
    assert field.metadata["choices"] == OBJECTIVES
    assert field.default == "wgan_gp"
