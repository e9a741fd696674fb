"""Killed while a checkpoint is being written, fifty times: one can always be read."""

import pathlib
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf

from hcm_tf.runs import checkpoint

pytestmark = [pytest.mark.long, pytest.mark.timeout(3600)]
KILLS = 50
SAVING = pathlib.Path(__file__).with_name("saving.py")


def test_no_kill_leaves_nothing_to_read(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(SAVING.parents[2]))
    random = np.random.default_rng(0)
    partial = 0
    for _ in range(KILLS):
        process = subprocess.Popen(
            [sys.executable, str(SAVING), str(tmp_path)],
            stdout=subprocess.PIPE,
            text=True,
        )
        told = int(process.stdout.readline())
        time.sleep(random.uniform(0, 2))  # A save takes half a second.
        process.kill()
        told = max([told, *map(int, process.communicate()[0].split())])
        step, damaged = checkpoint.newest_readable(tmp_path)
        # The newest that was told of, or one whose last file came just before the kill.
        assert step in (told, told + 1), (step, damaged)
        unfinished = list(tmp_path.glob("checkpoints/ckpt-*_temp"))
        assert len(unfinished) <= 1  # The next start removes it.
        partial += bool(damaged or unfinished)
        reader = tf.train.load_checkpoint(f"{tmp_path}/checkpoints/ckpt-{step}")
        for name, shape in reader.get_variable_to_shape_map().items():
            if shape == [400_000]:
                assert np.all(reader.get_tensor(name) == step)
    print(f"{partial} of {KILLS} kills left a part of a checkpoint behind")
    assert partial
