"""Workers killed at any instant, and started again as an orchestrator does it."""

import signal
import time

import numpy as np
import pytest
from recipe_run import RECIPE
from small_run import assert_same_weights, command, draw_pictures, lines
from worker_runs import Team, train_together

from hcm_tf.runs import checkpoint

pytestmark = [pytest.mark.long, pytest.mark.timeout(3600)]
KILLS, STEPS, LIMIT = 6, 600, 60


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_workers_end_with_each_other_and_go_on_together(number, tmp_path):
    """SIGSTOP stands for a machine that is out of reach: nothing closes its lines."""
    pictures, whole, killed = (tmp_path / name for name in ("pictures", "whole", "run"))
    draw_pictures(pictures)
    values = {**RECIPE, "steps": STEPS}
    train_together(pictures, whole, **values)
    random = np.random.default_rng(0)
    took, reached = [], []
    with Team([command(pictures, killed, **values)] * 2, tmp_path / "told") as team:
        for kill in range(KILLS):
            victim = kill % 2
            team.wait_for_line(0, f"{killed} ")
            # While it restores, traces, trains, saves or draws.
            time.sleep(random.uniform(0, 12))
            assert [process.poll() for process in team.processes] == [None, None]
            team.processes[victim].send_signal(number)
            began = time.monotonic()
            assert team.processes[1 - victim].wait(LIMIT) == 1
            took.append(time.monotonic() - began)
            line = team.told(1 - victim)[-1]
            assert line.startswith(f"train_main: worker {1 - victim} has lost ")
            assert "Traceback" not in "\n".join(team.told(1 - victim))
            team.processes[victim].kill()
            team.processes[victim].wait()
            reached.append((checkpoint.latest(killed) or (None, None))[1])
            for index in (victim, 1 - victim):
                team.processes[index] = team.start(index)
        assert team.wait(1200) == [0, 0], team.told(0)
    print(f"{number.name}: ended after {max(took):.1f} s at most; steps: {reached}")
    assert_same_weights(killed, whole)
    logged = [line["step"] for line in lines(killed) if "critic_loss" in line]
    assert logged == list(range(20, STEPS + 1, 20))
