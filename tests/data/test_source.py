import numpy as np
import pytest

from hcm_tf.data.source import in_memory


@pytest.mark.parametrize(("limit", "stop"), [(0, 30), (7, 12), (99, 30)])
def test_in_memory_divides_what_came(make_counted, limit, stop):
    counted = make_counted(limit=limit)
    train, held_out = in_memory(counted.source)
    np.testing.assert_array_equal(train.images, counted.images[5:stop])
    np.testing.assert_array_equal(held_out.images, counted.images[:5])
    np.testing.assert_array_equal(train.labels["parity"], np.arange(5, stop) % 2)
    np.testing.assert_array_equal(held_out.labels["tens"], np.zeros(5))
    assert train.label_names["parity"] == ["even", "odd"]
    assert train.name == "counted"


def test_notes_are_those_of_the_last_reading(counted):
    in_memory(counted.source)
    in_memory(counted.source)
    assert counted.source.notes == ["3 files are left out"]


def test_bytes_are_those_of_all_that_may_come(counted):
    assert counted.source.bytes == 33 * 4 * 4 * 3
