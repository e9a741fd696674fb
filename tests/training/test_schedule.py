"""Learning rates, step by step."""

import numpy as np

from hcm_tf.training.schedule import Cooldown


def test_cooldown_is_constant_and_then_falls_to_zero():
    rate = Cooldown(0.5, steps=10, cooldown=4)
    rates = [float(rate(step)) for step in range(11)]
    np.testing.assert_allclose(rates, [0.5] * 7 + [0.375, 0.25, 0.125, 0.0])
    assert Cooldown(**rate.get_config())(8) == rate(8)
