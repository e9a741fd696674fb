"""What a resumed run does to the log of the one before; see also test_resuming."""

import signal
import types

import pytest

from hcm_tf.runs import callbacks


def test_lines_of_later_steps_and_torn_lines_are_forgotten(tmp_path):
    path = tmp_path / "metrics.jsonl"
    callbacks.append(path, {"step": 2, "drift": 0.5})
    callbacks.append(path, {"step": 4, "drift": 0.25})
    kept = path.read_text()
    callbacks.append(path, {"step": 6, "drift": 0.125})
    with path.open("a") as file:
        file.write('{"step": 8, "dri')
    callbacks.forget_after(path, 4)
    assert path.read_text() == kept
    callbacks.forget_after(path, 0)
    assert path.read_text() == ""
    assert [child.name for child in tmp_path.iterdir()] == ["metrics.jsonl"]


def test_a_log_that_is_not_there_is_nothing_to_forget(tmp_path):
    callbacks.forget_after(tmp_path / "metrics.jsonl", 4)
    assert not list(tmp_path.iterdir())


def test_signals_go_back_to_whoever_had_them():
    before = signal.getsignal(signal.SIGTERM)
    stop = callbacks.Stop(seconds=0.0)
    stop.on_train_begin()
    assert signal.getsignal(signal.SIGTERM) == stop.on_signal
    stop.release()
    assert signal.getsignal(signal.SIGTERM) == before


def test_time_goes_on_where_training_begins_again(monkeypatch):
    clock = iter((100.0, 103.0, 104.0, 108.0, 111.0)).__next__
    monkeypatch.setattr(callbacks.time, "perf_counter", clock)
    stop = callbacks.Stop(seconds=10.0)
    stop.set_model(model := types.SimpleNamespace(stop_training=False))
    ended = []
    for steps in (2, 2):  # As after a divergence.
        stop.on_train_begin()
        for step in range(steps):
            stop.on_train_batch_end(step)
            ended.append(model.stop_training)
        stop.release()
    assert ended == [False, False, False, True]
    assert stop.reason == "--seconds=10 are over"


@pytest.mark.parametrize(
    ("lines", "known"),
    [
        ([], False),
        ([{"step": 4, "held_out_error": 0.5}], True),
        ([{"step": 4, "held_out_error": 0.5}, {"step": 6, "drift": 1.0}], False),
        ([{"step": 4, "drift": 1.0}], False),
    ],
)
def test_a_finished_run_knows_that_it_was_measured(tmp_path, lines, known):
    path = tmp_path / "metrics.jsonl"
    for line in lines:
        callbacks.append(path, line)
    assert callbacks._is_measured(path, 4) == known
