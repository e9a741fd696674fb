"""Saves checkpoints one after the other, for ever; each weight holds the step."""

import sys

from hcm_tf.startup import load_tensorflow

load_tensorflow()

import tensorflow as tf  # noqa: E402

from hcm_tf.runs import checkpoint  # noqa: E402

run_dir = sys.argv[1]
# 160 MB, so that half of the time goes into writing.
values = [tf.Variable(tf.zeros(400_000)) for _ in range(100)]
holder = tf.Module()
holder.values = values
step = (checkpoint.saved_steps(run_dir) or [0])[0]
manager = checkpoint.manager(run_dir, tf.train.Checkpoint(holder=holder))
while True:
    step += 1
    for value in values:
        value.assign(tf.fill(value.shape, float(step)))
    manager.save(checkpoint_number=step)
    print(step, flush=True)
