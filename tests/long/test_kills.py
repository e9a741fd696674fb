"""Killed thirty times, at any instant, a run ends with the weights of its twin."""

import time

import numpy as np
import pytest
from recipe_run import start
from small_run import assert_same_weights, draw_pictures, lines

from hcm_tf.runs import checkpoint

pytestmark = [pytest.mark.long, pytest.mark.timeout(3600)]
KILLS, STEPS = 30, 1500


def wait_for_progress(process, workdir, since):
    log = workdir / "metrics.jsonl"
    while process.poll() is None:
        if log.exists() and log.stat().st_mtime > since:
            return
        time.sleep(0.01)


def test_thirty_kills_change_nothing(tmp_path):
    pictures, whole, killed = (tmp_path / name for name in ("pictures", "whole", "run"))
    draw_pictures(pictures)
    assert start(pictures, whole, STEPS).wait() == 0
    random = np.random.default_rng(0)
    began, reached = time.time(), []
    for kill in range(KILLS):
        process = start(pictures, killed, STEPS)
        if kill % 3:
            # While it trains, saves, draws or writes its log.
            wait_for_progress(process, killed, time.time())
            time.sleep(random.uniform(0, 1.5))
        else:
            time.sleep(random.uniform(0, 12))  # While it starts, too.
        assert process.poll() is None, "the run ended before it was killed"
        process.kill()
        process.wait()
        reached.append((checkpoint.latest(killed) or (None, None))[1])
    print(f"{KILLS} kills in {time.time() - began:.0f} s; saved steps: {reached}")
    assert start(pictures, killed, STEPS).wait() == 0
    assert_same_weights(killed, whole)
    for workdir in (whole, killed):
        logged = [line["step"] for line in lines(workdir) if "critic_loss" in line]
        assert logged == list(range(20, STEPS + 1, 20))
