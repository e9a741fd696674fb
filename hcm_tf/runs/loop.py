"""The training loop: Keras's own, or one that several workers run in step."""

import keras
import tensorflow as tf

from hcm_tf.runs.workers import Workers
from hcm_tf.training.trainer import Trainer

# A single replica takes batches where they are made. Of an iterator that copies them to
# a device TensorFlow 2.21 tunes the copying, in the end once in a minute, and when the
# iterator ends it waits until the next time: runs ended up to a minute late.
UNCOPIED = tf.distribute.InputOptions(
    experimental_fetch_to_device=False,
    experimental_replication_mode=tf.distribute.InputReplicationMode.PER_REPLICA,
)


def train(
    trainer: Trainer,
    batches: tf.data.Dataset,
    steps: int,
    callbacks: list[keras.callbacks.Callback],
    workers: Workers,
) -> None:
    """Takes steps, with callbacks before, between and after them.

    Args:
        trainer: compiled in the scope of the workers' strategy.
        batches: of what this worker trains on, without end.
        steps: how many, unless a callback sets `trainer.stop_training`.
        callbacks: called with the metrics of every step, as Keras does.
        workers: of which this is one.
    """
    strategy = workers.strategy
    if workers.count == 1:
        if strategy.num_replicas_in_sync == 1:
            batches = strategy.distribute_datasets_from_function(
                lambda _, whole=batches: whole, UNCOPIED
            )
        trainer.fit(
            batches,
            steps_per_epoch=steps,
            shuffle=False,
            verbose=0,
            callbacks=callbacks,
        )
        return

    # `fit` fails for every model under this strategy: keras-team/keras issue 20585.
    @tf.function(autograph=False)
    def step(batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        return strategy.run(trainer.train_step, args=(batch,))

    shared = strategy.distribute_datasets_from_function(
        lambda _: replica_batches(batches, len(strategy.extended.worker_devices))
    )
    together = keras.callbacks.CallbackList(callbacks, model=trainer)
    trainer.stop_training = False
    together.on_train_begin()
    for number, batch in zip(range(steps), shared, strict=False):
        logs = {
            # The same on every replica of every worker.
            name: strategy.experimental_local_results(value)[0]
            for name, value in step(batch).items()
        }
        together.on_train_batch_end(number, logs)
        if trainer.stop_training:
            break
    together.on_train_end()


def replica_batches(batches: tf.data.Dataset, replicas: int) -> tf.data.Dataset:
    """Splits each batch into equal contiguous ones, of which each replica takes one."""
    share = batches.element_spec["image"].shape[0] // replicas
    # Of a data set that may end the workers would ask each other before every step.
    return batches.rebatch(share, drop_remainder=True).apply(
        tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY)
    )
