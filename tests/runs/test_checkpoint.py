"""Checkpoints: what was saved comes back, all of it."""

import numpy as np
import tensorflow as tf

from hcm_tf.runs import checkpoint, experiment, run_directory


def test_every_weight_of_a_run_comes_back(tmp_path, tiny_config):
    trainer = experiment.build_trainer(tiny_config, replicas=1)
    for network in (trainer.generator, trainer.average_generator, trainer.encoder):
        for number, variable in enumerate(network.variables):
            variable.assign(variable + number)
    saved = tf.train.Checkpoint(**experiment.saved_objects(trainer))
    checkpoint.manager(tmp_path, saved).save(checkpoint_number=7)
    run_directory.write_config(tiny_config, tmp_path, replicas=1)

    run = checkpoint.load(tmp_path)

    assert run.step == 7
    for restored, original in (
        (run.generator, trainer.average_generator),
        (run.encoder, trainer.encoder),
        (run.critic, trainer.critic),
    ):
        for ours, theirs in zip(restored.variables, original.variables, strict=True):
            np.testing.assert_array_equal(ours, theirs, err_msg=ours.path)
