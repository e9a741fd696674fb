"""How a worker's rows come to its replicas; whole runs are in test_workers."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.data.ops.multi_device_iterator_ops import (
    OwnedMultiDeviceIterator,
)

from hcm_tf.data import make_batches
from hcm_tf.runs import building
from hcm_tf.runs.devices import mirrored
from hcm_tf.runs.loop import replica_batches, train
from hcm_tf.runs.workers import Workers


@pytest.mark.parametrize("replicas", [1, 2, 4])
def test_replicas_take_contiguous_rows_in_turn(replicas):
    images = np.arange(16, dtype="uint8").reshape(16, 1, 1, 1)
    batches = make_batches(images, 8, seed=0, rows=slice(4, 8))
    expected = [batch["image"].numpy() for batch in batches.take(5)]
    split = replica_batches(batches, replicas)
    # Without end, and of a shape known in advance, as the training step needs it.
    assert split.cardinality() == tf.data.INFINITE_CARDINALITY
    assert split.element_spec["image"].shape == (4 // replicas, 1, 1, 1)
    taken = [batch["image"].numpy() for batch in split.take(5 * replicas)]
    np.testing.assert_array_equal(np.concatenate(taken), np.concatenate(expected))


@pytest.mark.parametrize("replicas", [1, 2])
def test_a_single_replica_copies_no_batches(tiny_config, monkeypatch, replicas):
    """An iterator that does is waited for, up to a minute, when a long run is over."""
    copying = []
    create = OwnedMultiDeviceIterator.__init__

    def counted(self, *args, **kwargs):
        copying.append(self)
        create(self, *args, **kwargs)

    monkeypatch.setattr(OwnedMultiDeviceIterator, "__init__", counted)
    strategy = mirrored([f"CPU:{index}" for index in range(replicas)])
    with strategy.scope():
        trainer = building.build_trainer(tiny_config, replicas=replicas)
    batches = make_batches(
        np.zeros((16, 32, 32, 3), "uint8"),
        tiny_config.train.batch_size,
        seed=0,
        batch_order=trainer.noise.batch_order,
    )
    train(trainer, batches, 2, [], Workers(strategy))
    assert trainer.step == 2
    assert bool(copying) == (replicas > 1)
    assert not batches.options().autotune.enabled
