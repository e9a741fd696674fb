"""Training steps of one replica or of several, on the same batch."""

import numpy as np
import tensorflow as tf

from hcm_tf.runs import building, devices


def stepping(config, replicas=1):
    """The trainer of a configuration, and a function that takes one step of it.

    The function takes the arrays of a whole batch by name, of which each replica gets
    its share, and returns the metrics.
    """
    strategy = devices.mirrored([f"CPU:{index}" for index in range(replicas)])
    with strategy.scope():
        trainer = building.build_trainer(config, replicas)
    order = trainer.noise.batch_order

    @tf.function(autograph=False)
    def run(batch):
        return strategy.run(trainer.train_step, args=(batch,))

    def step(values):
        def share(context):
            index = context.replica_id_in_sync_group
            return {
                name: tf.constant(np.split(value[order], replicas)[index])
                for name, value in values.items()
            }

        found = run(strategy.experimental_distribute_values_from_function(share))
        return {
            name: float(strategy.experimental_local_results(value)[0])
            for name, value in found.items()
        }

    return trainer, step


def running(config, replicas=1):
    """The trainer, and a function that takes steps on images of seeds."""
    trainer, step = stepping(config, replicas)
    size, channels = config.model.image_size, config.model.image_channels
    shape = (config.train.batch_size, size, size, channels)

    def run(seeds):
        found = None
        for seed in seeds:
            values = np.random.default_rng(seed).uniform(-1, 1, shape)
            found = step({"image": values.astype("float32")})
        return found

    return trainer, run


def saved(trainer):
    """All values that a checkpoint would hold, by name."""
    return {
        name: [np.asarray(v) for v in holder.variables]
        for name, holder in building.saved_objects(trainer).items()
    }


def weights_of(trainer):
    """All values of its three networks."""
    return [
        np.asarray(variable)
        for name in ("generator", "encoder", "critic")
        for variable in getattr(trainer, name).variables
    ]
