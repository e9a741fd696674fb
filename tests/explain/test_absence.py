"""Segments of what is lost without a part: each taken out alone, and by hand."""

import dataclasses

import keras
import numpy as np
from explain_helpers import SMALL, record
from test_placed_networks import BEHIND, moved

from hcm_tf.explain import absence, edits, placed_parts
from hcm_tf.explain.decoder import Decoder

BEHIND_ALL = dataclasses.replace(SMALL["sparse"], placement="free", **BEHIND)


def test_each_part_is_taken_out_alone():
    keras.utils.set_random_seed(0)
    decoder = Decoder(moved(BEHIND_ALL), progress=False)
    recording = record(decoder)[0]
    presence = np.ones((1, 16), "float32")
    presence[0, [2, 9, 10]] = 0
    recording = dataclasses.replace(
        recording, placing=recording.placing._replace(presence=presence)
    )
    # The picture itself is another without the three.
    logits = edits.rearrange(decoder, recording, recording.placing, new_gates=True)
    recording = dataclasses.replace(recording, image=np.tanh(logits.after))
    found = absence.changes(decoder, recording)
    assert found.shape == (17, 64, 64)
    every = [divmod(location, 4) for location in range(16)]
    rest = placed_parts.absent(recording.placing, every)
    after = edits.rearrange(decoder, recording, rest, new_gates=True).after
    expected = np.abs(np.tanh(after) - recording.image).mean(axis=-1)
    np.testing.assert_allclose(found[16], expected, atol=1e-5)
    for location in range(16):
        rest = placed_parts.absent(recording.placing, [divmod(location, 4)])
        after = edits.rearrange(decoder, recording, rest, new_gates=True).after
        expected = np.abs(np.tanh(after) - recording.image).mean(axis=-1)
        np.testing.assert_allclose(found[location], expected, atol=1e-5)
        assert (found[location].max() > 0) == (presence[0, location] > 0)
    none = recording.placing._replace(presence=0 * presence)
    nobody = dataclasses.replace(recording, placing=none)
    assert not absence.changes(decoder, nobody).any()


def test_a_pixel_belongs_to_the_part_that_it_would_miss_most():
    found = np.zeros((17, 2, 2), "float32")
    found[3, 0] = 0.6
    found[7, 0, 1] = 0.7
    # A quarter of the range is the background's; where two parts lie over each other,
    # neither is missed much.
    found[7, 1] = [0.5, 0.1]
    found[16] = [[0.6, 0.7], [0.5, 1.6]]
    expected = [[4, 8], [0, 8]]
    np.testing.assert_array_equal(absence.labels(found), expected)
