"""How a worker's rows come to its replicas; whole runs are in test_workers."""

import numpy as np
import pytest
import tensorflow as tf

from hcm_tf.data import make_batches
from hcm_tf.runs.loop import replica_batches


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
