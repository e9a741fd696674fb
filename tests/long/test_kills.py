"""Killed thirty times, at any instant, a run ends with the weights of its twin."""

import json
import time

import numpy as np
import pytest
from small_run import draw_pictures, start, weights

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
    one, other = weights(killed), weights(whole)
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)
    for workdir in (whole, killed):
        lines = (workdir / "metrics.jsonl").read_text().splitlines()
        records = [json.loads(line) for line in lines]
        logged = [record["step"] for record in records if "critic_loss" in record]
        assert logged == list(range(20, STEPS + 1, 20))
