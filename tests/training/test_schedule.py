"""Learning rates, step by step."""

import dataclasses

import numpy as np

from hcm_tf.runs import building
from hcm_tf.training.schedule import Cooldown


def test_cooldown_is_constant_and_then_falls_to_zero():
    rate = Cooldown(0.5, steps=10, cooldown=4)
    rates = [float(rate(step)) for step in range(11)]
    np.testing.assert_allclose(rates, [0.5] * 7 + [0.375, 0.25, 0.125, 0.0])
    assert Cooldown(**rate.get_config())(8) == rate(8)


def test_networks_that_are_updated_more_often_have_the_rate_of_the_step(tiny_config):
    train = dataclasses.replace(
        tiny_config.train, steps=10, cooldown_steps=4, critic_steps=5
    )
    config = dataclasses.replace(tiny_config, train=train)
    trainer = building.build_trainer(config, replicas=1)
    rates = []
    for step in range(11):
        trainer.generator_optimizer.iterations.assign(step)
        trainer.critic_optimizer.iterations.assign(5 * step)
        both = (trainer.generator_optimizer, trainer.critic_optimizer)
        rates.append([float(one.learning_rate) for one in both])
    np.testing.assert_allclose(*np.transpose(rates), rtol=1e-6)
    assert rates[0][0] > rates[8][0] > rates[10][0] == 0
