import numpy as np
import pytest
import tensorflow as tf
from explain_helpers import make_decoder, record
from tensorflow.python.platform import tf_logging as logging

from hcm_tf.explain.attribution import relative_error
from hcm_tf.explain.decoder import LARGEST_BATCH


def test_replay_of_the_codes_is_the_forward_pass(recorded):
    decoder, recording = recorded
    image = np.asarray(decoder.generator(recording.latent[None]))[0]
    assert relative_error(recording.image, image) <= 1e-6
    for level, code in enumerate(recording.codes):
        logits = decoder.replay(recording, level, code[None])[0]
        assert relative_error(logits, recording.logits) <= 1e-6
        np.testing.assert_allclose(np.tanh(logits), image, atol=1e-6)


def test_replay_of_nothing_is_zero(recorded):
    decoder, recording = recorded
    for level, code in enumerate(recording.codes):
        logits = decoder.replay(recording, level, np.zeros_like(code)[None])
        np.testing.assert_array_equal(logits, 0.0)


def test_replay_until_a_level_is_its_code(recorded):
    decoder, recording = recorded
    for until in range(1, len(recording.codes)):
        for level in range(until):
            code = decoder.replay(recording, level, recording.codes[level][None], until)
            assert relative_error(code[0], recording.codes[until]) <= 1e-6


def test_redraw_of_the_codes_is_the_forward_pass(recorded):
    decoder, recording = recorded
    for level, code in enumerate(recording.codes):
        logits = decoder.redraw(level, code[None])[0]
        assert relative_error(logits, recording.logits) <= 1e-6


def test_redraw_decides_anew(sparse):
    decoder, recording = sparse
    code = recording.codes[0][None].copy()
    code[:, :2] = 0
    redrawn = decoder.redraw(0, code)
    assert relative_error(redrawn, decoder.replay(recording, 0, code)) > 1e-3
    with pytest.raises(ValueError, match="`level` must be between 0 and 3"):
        decoder.redraw(4, code)


@pytest.mark.parametrize("until_next", [False, True])
def test_units_decoded_together_equal_units_decoded_alone(recorded, until_next):
    decoder, recording = recorded
    random = np.random.default_rng(0)
    for level in range(len(recording.codes) - until_next):
        until = level + 1 if until_next else None
        units = decoder.active(recording, level)
        units = units.take(random.permutation(units.count)[:40])
        windows = decoder.windows(recording, level, until)
        shape = recording.codes[level].shape
        seen = np.zeros(units.count, int)
        for index, which, maps in decoder.decode(recording, level, units, until):
            seen[index] += 1
            patches = windows.cut(maps, which, units.take(index))
            for unit, patch in zip(index, patches, strict=True):
                one = units.take(np.array([unit]))
                alone = decoder.replay(recording, level, one.code(shape)[None], until)
                placed = windows.place(patch, one.row[0], one.column[0])
                assert relative_error(placed, alone[0]) <= 1e-6
        np.testing.assert_array_equal(seen, 1)


def test_memory_bounds_the_batch_and_changes_nothing(sparse):
    _, recording = sparse
    small = make_decoder("sparse", memory_mb=0.5)
    large = make_decoder("sparse")
    assert small.batch_size(0, None) < large.batch_size(0, None) == LARGEST_BATCH
    units = small.active(recording, 2)
    calls = {}
    for name, decoder in (("small", small), ("large", large)):
        passes = list(decoder.decode(recording, 2, units))
        calls[name] = len(passes)
        assert max(len(maps) for _, _, maps in passes) <= decoder.batch_size(2, None)
    assert calls["large"] < calls["small"] < units.count / 4
    np.testing.assert_allclose(
        small.unit_pictures(recording, 2, units),
        large.unit_pictures(recording, 2, units),
        atol=1e-6,
    )


def test_no_memory_is_refused():
    with pytest.raises(ValueError, match="`memory_mb` must be positive"):
        make_decoder("sparse", memory_mb=0)


def test_recordings_do_not_depend_on_the_batch(sparse):
    decoder, _ = sparse
    one_by_one = make_decoder("sparse", memory_mb=1e-3)
    for ours, theirs in zip(record(decoder, 3), record(one_by_one, 3), strict=True):
        # Another batch adds up in another order.
        assert relative_error(ours.logits, theirs.logits) <= 5e-6
        np.testing.assert_array_equal(ours.latent, theirs.latent)
        assert [gates.first.shape[0] for gates in ours.gates] == [1] * 4


def test_units_show_a_progress_bar(sparse, capsys):
    decoder, recording = sparse
    decoder.hide_progress = False
    list(
        decoder.decode(recording, 1, decoder.active(recording, 1), what="Decoding 8x8")
    )
    decoder.hide_progress = True
    assert "Decoding 8x8" in capsys.readouterr().err


def test_many_levels_and_batches_are_no_mistake_to_tensorflow(recorded, monkeypatch):
    decoder, recording = recorded
    lines = []
    monkeypatch.setattr(tf.get_logger(), "warning", lambda *line: lines.append(line))
    monkeypatch.setattr(logging, "warning", lambda *line: lines.append(line))
    last = len(recording.codes)
    for level, code in enumerate(recording.codes):
        for until in (None, *range(level + 1, last)):
            for batch in (1, 2, 3):
                decoder.replay(recording, level, np.stack([code] * batch), until)
    assert not lines
