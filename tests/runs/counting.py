"""A worker that says which images it trains on, in two epochs of 32; or all of them."""

import json

import numpy as np

from hcm_tf.startup import load_tensorflow

load_tensorflow()

import keras  # noqa: E402

from hcm_tf.config import ExperimentConfig, ModelConfig, TrainConfig  # noqa: E402
from hcm_tf.data import make_batches  # noqa: E402
from hcm_tf.runs import cluster, devices, loop  # noqa: E402
from hcm_tf.runs.workers import Workers  # noqa: E402
from hcm_tf.training.noise import replica_order  # noqa: E402

BATCH, GROUP, STEPS = 8, 4, 8
# Each image is of one value, its number.
IMAGES = np.arange(32, dtype="uint8").reshape(32, 1, 1, 1)


class Seeing(keras.Model):
    """Its step gives the numbers of the images of this replica."""

    def train_step(self, batch):
        return {"numbers": (batch["image"][:, 0, 0, 0] + 1.0) * 127.5}


class Writing(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.seen = []

    def on_train_batch_end(self, batch, logs=None):
        self.seen.append(np.round(logs["numbers"]).astype(int).tolist())


def main():
    named = cluster.read()
    config = ExperimentConfig(
        model=ModelConfig(stddev_group_size=GROUP), train=TrainConfig(batch_size=BATCH)
    )
    workers = Workers(devices.make_strategy(config, named), named)
    # Laid out for two replicas in any case, to be compared with.
    batches = make_batches(
        IMAGES,
        BATCH,
        seed=0,
        batch_order=replica_order(BATCH, 2, GROUP),
        rows=workers.share(BATCH),
    )
    writing = Writing()
    with workers.strategy.scope():
        model = Seeing()
    if named:
        loop.train(model, batches, STEPS, [writing], workers)
        workers.part()
        print(json.dumps(writing.seen))
    else:
        seen = [model.train_step(batch)["numbers"] for batch in batches.take(STEPS)]
        print(json.dumps([np.round(own).astype(int).tolist() for own in seen]))


if __name__ == "__main__":
    main()
