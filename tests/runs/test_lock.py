"""The lock of a run directory; two whole runs are in test_resuming."""

import fcntl
import signal
import subprocess
import sys

import pytest

from hcm_tf.errors import UserError
from hcm_tf.runs import lock as run_lock

HOLD = (
    "import pathlib, sys, time; from hcm_tf.runs.lock import locked\n"
    "with locked(pathlib.Path(sys.argv[1])):\n"
    "    print('held', flush=True); time.sleep(300)"
)


def test_another_process_holds_it_until_it_is_killed(tmp_path):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout.readline() == "held\n"
        with (
            pytest.raises(UserError, match=f"in use: process {holder.pid} on "),
            run_lock.locked(tmp_path),
        ):
            pass
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        holder.stdout.close()
    with run_lock.locked(tmp_path):
        pass


def test_it_is_given_back_after_an_error(tmp_path):
    with pytest.raises(KeyError), run_lock.locked(tmp_path):
        raise KeyError
    with run_lock.locked(tmp_path):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]


def test_without_file_locks_a_line_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(run_lock, "fcntl", None)
    with run_lock.locked(tmp_path), run_lock.locked(tmp_path):
        pass
    first, second = capsys.readouterr().err.splitlines()
    assert first == second
    assert "cannot be locked (this platform has no file locks)" in first


def test_a_file_system_without_locks_is_named(tmp_path, monkeypatch, capsys):
    def refuse(*_):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with run_lock.locked(tmp_path):
        pass
    assert "cannot be locked ([Errno 95] Operation not" in capsys.readouterr().err
