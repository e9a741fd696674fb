"""Explanations of pictures whose parts are placed freely; moving one of them."""

import dataclasses

import keras
import numpy as np
import pytest
from explain_helpers import SMALL, make_decoder, record
from test_placed_networks import moved

from hcm_tf.explain import edits, session
from hcm_tf.explain.attribution import attribute, relative_error, shares
from hcm_tf.explain.decoder import Decoder
from hcm_tf.explain.tree import grow

FREE = dataclasses.replace(SMALL["sparse"], placement="free")


@pytest.fixture(scope="module")
def placed():
    """(decoder, recording) of a generator whose parts are anywhere."""
    keras.utils.set_random_seed(0)
    decoder = Decoder(moved(FREE), progress=False)
    return decoder, record(decoder)[0]


def test_parts_sum_to_the_image_at_every_level(placed):
    decoder, recording = placed
    attributions = []
    for level in range(len(decoder.levels)):
        found = attribute(decoder, recording, level)
        assert found.residual <= 1e-5
        np.testing.assert_allclose(found.share.sum(), 1, atol=1e-4)
        attributions.append(found)
    for found, by_adjoint in zip(attributions, shares(decoder, recording), strict=True):
        own = by_adjoint[found.units.row, found.units.column, found.units.basis]
        np.testing.assert_allclose(own, found.share, atol=1e-5)
    tree = grow(decoder, recording, attributions=attributions)
    assert max(tree.unit_residuals) <= 1e-5
    assert max(tree.edge_residuals) <= 1e-5


def test_units_that_share_a_map_never_meet(placed):
    decoder, recording = placed
    for until in (None, 1, 2):
        reach = decoder.windows(recording, 0, until).reach
        units = decoder.active(recording, 0)
        windows = decoder.windows(recording, 0, until)
        for index, which, maps in decoder.decode(recording, 0, units, until):
            inside = np.zeros(maps.shape[:3], bool)
            for unit, number in zip(index, which, strict=True):
                own = windows.place(
                    np.ones((windows.side, windows.side, 1), "float32"),
                    units.row[unit],
                    units.column[unit],
                )[..., 0].astype(bool)
                assert not (inside[number] & own).any()
                inside[number] |= own
            scale = np.abs(maps).max()
            assert np.abs(maps[~inside]).max(initial=0) <= 1e-6 * scale
        grid = make_decoder("sparse").generator
        assert reach > grid.reach(0, until)


@pytest.mark.parametrize("far", [(1, 0), (0, -1), (2, 2), (-9, 0), (0.5, 0)])
def test_moving_a_part_moves_nothing_else(placed, far):
    decoder, recording = placed
    location = 1, 2
    gates = edits.displaced_gates(recording, location, *far)
    assert gates[1:] == recording.gates[1:]
    assert all(
        a is b for a, b in zip(gates[0][:3], recording.gates[0][:3], strict=True)
    )
    before, after = (np.asarray(g[0].placed)[0] for g in (recording.gates, gates))
    before, after = (m.reshape(8, 8, 4, 4, 9) for m in (before, after))
    others = np.ones((4, 4), bool)
    others[location] = False
    np.testing.assert_array_equal(after[:, :, others], before[:, :, others])
    assert np.abs(after[:, :, 1, 2] - before[:, :, 1, 2]).max() > 0.1

    edited = dataclasses.replace(recording, gates=gates)
    code = recording.codes[0]
    own = np.where(others[..., None], 0, code)
    scale = np.abs(recording.logits).max()
    rest = [decoder.replay(r, 0, (code - own)[None])[0] for r in (recording, edited)]
    np.testing.assert_allclose(*rest, rtol=0, atol=1e-6 * scale)
    old, new = (decoder.replay(r, 0, own[None])[0] for r in (recording, edited))
    edit = edits.displace(decoder, recording, location, *far)
    assert relative_error(edit.after - edit.before, new - old) <= 1e-4
    assert np.abs(new - old).max() > 1e-3 * scale
    # Further than the generator can: the windows of an edited picture know.
    assert attribute(decoder, edited, 0).units.count > 0
    moved_sum = dataclasses.replace(edited, logits=edit.after)
    assert attribute(decoder, moved_sum, 0).residual <= 1e-5


def test_a_whole_cell_shifts_what_is_seen_by_a_cell():
    """Alone and opaque to nobody, a part's matrix is shifted by whole rows."""
    keras.utils.set_random_seed(0)
    generator = moved(FREE)
    kernel = generator.placing.kernel.numpy()
    kernel[..., 5:14] = 0  # Nothing hides anything.
    generator.placing.kernel.assign(kernel)
    recording = record(Decoder(generator, progress=False))[0]
    gates = edits.displaced_gates(recording, (1, 1), 1, -1)
    before, after = (
        np.asarray(g[0].placed)[0].reshape(8, 8, 16, 9)[:, :, 5]
        for g in (recording.gates, gates)
    )
    np.testing.assert_allclose(after[1:, :-1], before[:-1, 1:], atol=1e-6)


def test_decided_anew_the_part_is_drawn_at_its_new_place(placed):
    decoder, recording = placed
    still = edits.displace(decoder, recording, (1, 2), 0, 0, new_gates=True)
    assert relative_error(still.after, recording.logits) <= 1e-5
    anew = edits.displace(decoder, recording, (1, 2), 1, 0, new_gates=True)
    kept = edits.displace(decoder, recording, (1, 2), 1, 0)
    assert relative_error(anew.after, kept.after) > 1e-3


def test_edits_that_decide_anew_keep_the_places(placed):
    decoder, recording = placed
    part = edits.at_cells(recording, 0, [(1, 1)])
    for edit in (
        edits.scale(decoder, recording, part, 1.0, new_gates=True),
        edits.move(decoder, recording, part, 0, 0, new_gates=True),
        edits.transplant(decoder, recording, part, recording, new_gates=True),
    ):
        assert relative_error(edit.after, recording.logits) <= 1e-5
    kept = edits.remove(decoder, recording, part)
    np.testing.assert_allclose(
        recording.logits - kept.after,
        edits.picture(decoder, recording, part),
        atol=1e-5,
    )


def test_a_session_that_decides_anew_keeps_the_places(placed):
    decoder, recording = placed
    unit = decoder.active(recording, 0)
    place = int(unit.row[0]), int(unit.column[0]), int(unit.basis[0])
    change = session.Change("change", 0, place, 1.0, 0, 0, None)
    after = session._redrawn(decoder, recording, (change,), None)
    assert relative_error(after, recording.logits) <= 1e-5


def test_on_the_grid_no_part_can_be_displaced(sparse):
    decoder, recording = sparse
    with pytest.raises(ValueError, match="only where `placement` is free"):
        edits.displace(decoder, recording, (0, 0), 1, 0)
