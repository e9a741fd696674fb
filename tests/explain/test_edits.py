import dataclasses

import numpy as np
import pytest
from explain_helpers import SMALL, make_decoder, record
from test_placed_networks import BEHIND, moved

from hcm_tf.explain import edits
from hcm_tf.explain.attribution import relative_error
from hcm_tf.explain.decoder import Decoder
from hcm_tf.explain.tree import grow
from hcm_tf.explain.units import active_units


@pytest.fixture(scope="module")
def two():
    decoder = make_decoder("sparse")
    return decoder, *record(decoder, 2)


def whole(recording, level):
    return {level: active_units(recording.codes[level])}


def some(recording, level, step=5):
    units = active_units(recording.codes[level])
    return {level: units.take(np.arange(0, units.count, step))}


@pytest.mark.parametrize("level", range(4))
def test_removing_every_unit_gives_the_zero_image(two, level):
    decoder, recording, _ = two
    edit = edits.remove(decoder, recording, whole(recording, level))
    np.testing.assert_array_equal(edit.after, 0.0)
    np.testing.assert_array_equal(edit.before, recording.logits)


@pytest.mark.parametrize("level", range(4))
def test_scaling_is_linear(two, level):
    decoder, recording, _ = two
    part = some(recording, level)
    picture = edits.picture(decoder, recording, part)
    for factor in (-1.0, 0.5, 1.0, 3.0):
        after = edits.scale(decoder, recording, part, factor).after
        expected = recording.logits + (factor - 1) * picture
        assert relative_error(after, expected) <= 1e-5


def test_picture_of_a_part_is_its_replay(two):
    decoder, recording, _ = two
    part = some(recording, 2)
    replayed = decoder.replay(
        recording, 2, part[2].code(recording.codes[2].shape)[None]
    )
    picture = edits.picture(decoder, recording, part)
    np.testing.assert_allclose(picture, replayed[0], atol=1e-5)


def test_removing_a_subtree_zeroes_its_units_on_the_way(two):
    decoder, recording, _ = two
    tree = grow(decoder, recording, roots=2, breadth=2)
    part = edits.subtree(tree, 1, next(iter(tree.nodes[1])))
    assert sorted(part) == [1, 2, 3]
    after = edits.remove(decoder, recording, part).after
    code = recording.codes[1].copy()
    code[part[1].row, part[1].column, part[1].basis] = 0
    for level in (1, 2):
        code = decoder.replay(recording, level, code[None], until=level + 1)[0]
        units = part[level + 1]
        code[units.row, units.column, units.basis] = 0
    expected = decoder.replay(recording, 3, code[None])[0]
    np.testing.assert_allclose(after, expected, atol=1e-6)


def test_moving_pastes_the_picture_elsewhere(two):
    decoder, recording, _ = two
    part = some(recording, 3, step=50)
    picture = edits.picture(decoder, recording, part)
    after = edits.move(decoder, recording, part, 3, -2).after
    pasted = after - (recording.logits - picture)
    np.testing.assert_allclose(pasted[6:, :-4], picture[:-6, 4:], atol=1e-5)
    np.testing.assert_allclose(pasted[:6], 0.0, atol=1e-5)
    np.testing.assert_allclose(pasted[:, -4:], 0.0, atol=1e-5)
    unmoved = edits.move(decoder, recording, part, 0, 0).after
    np.testing.assert_allclose(unmoved, recording.logits, atol=1e-5)
    gone = edits.move(decoder, recording, part, 99, 0).after
    np.testing.assert_allclose(gone, recording.logits - picture, atol=1e-5)


def test_moving_with_new_gates_moves_the_units(two):
    decoder, recording, _ = two
    part = some(recording, 1)
    units = part[1]
    after = edits.move(decoder, recording, part, 1, 0, new_gates=True).after
    code = recording.codes[1].copy()
    code[units.row, units.column, units.basis] = 0
    for row, column, basis, value in zip(*units, strict=True):
        if row + 1 < 8:
            code[row + 1, column, basis] = value
    np.testing.assert_allclose(after, decoder.redraw(1, code[None])[0], atol=1e-6)


def test_transplanting_everything_gives_the_source(two):
    decoder, source, target = two
    cells = [(row, column) for row in range(4) for column in range(4)]
    part = edits.at_cells(source, 0, cells)
    for new_gates in (False, True):
        edit = edits.transplant(decoder, source, part, target, new_gates=new_gates)
        assert relative_error(edit.after, source.logits) <= 1e-5
        np.testing.assert_array_equal(edit.before, target.logits)


def test_transplanting_replaces_what_was_there(two):
    decoder, source, target = two
    part = edits.at_cells(source, 0, [(1, 1), (1, 2)])
    assert set(part[0].row) == {1}
    after = edits.transplant(decoder, source, part, target).after
    given = edits.picture(decoder, source, part)
    gave_way = edits.picture(
        decoder, target, edits.at_cells(target, 0, [(1, 1), (1, 2)])
    )
    assert relative_error(after, target.logits - gave_way + given) <= 1e-5


@pytest.mark.parametrize("new_gates", [False, True])
def test_a_part_does_not_replace_the_background(new_gates):
    config = dataclasses.replace(SMALL["sparse"], placement="free", **BEHIND)
    decoder = Decoder(moved(config), progress=False)
    source, target = record(decoder, 2)
    always = decoder.levels[0].always
    cells = [(1, 1), (2, 1)]
    whole, there = (edits.at_cells(one, 0, cells)[0] for one in (source, target))
    assert np.any(whole.basis < always)
    assert np.any(there.basis < always)

    def after(part):
        return edits.transplant(
            decoder, source, {0: part}, target, new_gates=new_gates
        ).after

    def expected(part, gives_way):
        if new_gates:
            code = target.codes[0].copy()
            code[gives_way.row, gives_way.column, gives_way.basis] = 0
            code[part.row, part.column, part.basis] = part.value
            return decoder.redraw(0, code[None], target.placed)[0]
        rest = edits.remove(decoder, target, {0: gives_way}).after
        return rest + edits.picture(decoder, source, {0: part})

    alone = whole.take(whole.basis >= always)
    in_front = there.take(there.basis >= always)
    assert relative_error(after(alone), expected(alone, in_front)) <= 1e-5
    assert relative_error(after(whole), expected(whole, there)) <= 1e-5
    assert relative_error(after(alone), expected(alone, there)) > 1e-4


def test_new_gates_need_a_single_level(two):
    decoder, recording, _ = two
    part = {**some(recording, 1), **some(recording, 2)}
    with pytest.raises(ValueError, match="only be edited with recorded gates"):
        edits.remove(decoder, recording, part, new_gates=True)


def test_interpolation_has_both_ends(two):
    decoder, first, last = two
    frames = edits.interpolate(decoder, first.latent, last.latent, 4)
    assert len(frames) == 4
    for frame, end in ((frames[0], first), (frames[-1], last)):
        assert relative_error(frame.logits, end.logits) <= 1e-5
    with pytest.raises(ValueError, match="`count` must be at least 2"):
        edits.interpolate(decoder, first.latent, last.latent, 1)
