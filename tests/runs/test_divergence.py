"""Numbers that are not finite: where they are found, and what is said."""

import numpy as np
import pytest

from hcm_tf.errors import UserError
from hcm_tf.runs import building
from hcm_tf.runs.divergence import Diverged, Guard


@pytest.fixture(scope="module")
def trainer(tiny_config):
    return building.build_trainer(tiny_config, replicas=1)


@pytest.fixture
def guard(trainer):
    return Guard(building.saved_objects(trainer), 20, 0.5)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    "name", ["generator", "encoder", "critic", "average_generator", "critic_optimizer"]
)
def test_one_number_of_any_variable_is_found(name, value, trainer, guard):
    guard.check_weights(40)
    variable = getattr(trainer, name).variables[-1]
    before = variable.numpy()
    wrong = before.copy()
    wrong.flat[-1] = value
    variable.assign(wrong)
    with pytest.raises(UserError) as error:
        guard.check_weights(40)
    variable.assign(before)
    guard.check_weights(40)
    assert str(error.value) == (
        f"training has diverged: at step 40, weights of {name} are not finite. The "
        "last good checkpoint is that of step 20: start the same command with a "
        "--learning_rate below 0.5 to go on from it, or in another --workdir to begin "
        "anew."
    )


def test_large_numbers_are_finite(trainer, guard):
    variable = trainer.critic.variables[0]
    before = variable.numpy()
    variable.assign(np.full_like(before, np.finfo("float32").max))
    guard.check_weights(40)
    variable.assign(before)


def test_metrics_are_named(guard):
    guard.check_metrics(40, {"critic_loss": 1e30, "drift": 0.0})
    with pytest.raises(UserError, match="at step 40, drift is nan"):
        guard.check_metrics(40, {"critic_loss": 0.0, "drift": float("nan")})


def test_five_steps_in_a_row_are_divergence(guard):
    for step in range(1, 5):
        guard.count(step, True)
    guard.count(5, False)
    for step in range(6, 10):
        guard.count(step, True)
    with pytest.raises(Diverged, match="at step 10, the gradients of 5 steps in a row"):
        guard.count(10, True)
