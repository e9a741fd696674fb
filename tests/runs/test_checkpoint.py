"""Checkpoints: what was saved comes back, all of it."""

import numpy as np
import tensorflow as tf

from hcm_tf.runs import building, checkpoint, run_directory


def test_every_weight_of_a_run_comes_back(tmp_path, tiny_config):
    trainer = building.build_trainer(tiny_config, replicas=1)
    for network in (trainer.generator, trainer.average_generator, trainer.encoder):
        for number, variable in enumerate(network.variables):
            variable.assign(variable + number)
    saved = tf.train.Checkpoint(**building.saved_objects(trainer))
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


def test_untrained_networks_depend_on_the_seed_alone(tiny_config):
    runs = [checkpoint.untrained(tiny_config, seed=seed) for seed in (0, 0, 1)]
    for network in ("generator", "encoder", "critic"):
        one, same, other = (
            [value.numpy() for value in getattr(run, network).variables] for run in runs
        )
        assert all(map(np.array_equal, one, same))
        assert not all(map(np.array_equal, one, other))
    assert runs[0].step == 0
    pictures = [run.sample(2) for run in runs]
    assert pictures[0].shape == (2, 32, 32, 3)
    np.testing.assert_array_equal(pictures[0], pictures[1])
    assert (pictures[0] != pictures[2]).any()
