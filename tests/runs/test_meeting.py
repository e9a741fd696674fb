"""Where workers wait for each other: it can be stopped, and says whom it waits for."""

import signal
import socket
import threading
import time

import pytest
from worker_runs import Team, free_addresses, team

from hcm_tf.errors import UserError
from hcm_tf.runs import meeting
from hcm_tf.runs.cluster import Cluster


def clusters(count):
    named = {f"worker {n}": a for n, a in enumerate(free_addresses(count))}
    return [Cluster(named, name) for name in named]


def test_nobody_goes_on_before_the_last_one_comes(monkeypatch, capfd):
    monkeypatch.setattr(meeting, "PAUSE", 0.01)
    *early, last = clusters(3)
    threads = [
        threading.Thread(target=meeting.wait_for_all, args=[one]) for one in early
    ]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    assert all(thread.is_alive() for thread in threads)
    meeting.wait_for_all(last)
    # As TensorFlow's server would, which opens the same port next.
    port = int(last.addresses[last.name].rpartition(":")[2])
    with socket.create_server(("", port)):
        for thread in threads:
            thread.join(30)
            assert not thread.is_alive()
    told = capfd.readouterr().err.splitlines()
    assert len(told) == 2  # The last one found both.
    for line in told:
        assert f"worker 2 ({last.addresses[last.name]})" in line


def test_a_port_in_use_is_one_line():
    one, _ = clusters(2)
    port = int(one.addresses[one.name].rpartition(":")[2])
    with (
        socket.create_server(("127.0.0.1", port)),
        pytest.raises(UserError, match=f"port {port} of 127.0.0.1:{port} cannot be"),
    ):
        meeting.wait_for_all(one)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_worker_that_waits_can_be_stopped(number, folder, tmp_path):
    workdir = tmp_path / "run"
    with team(folder, [workdir] * 2, tmp_path / "told") as workers:
        absent = workers.processes[1]
        absent.kill()
        wait_for_line(workers, "worker 0 waits for worker 1 (127.0.0.1:")
        workers.processes[0].send_signal(number)
        workers.processes[0].wait(10)
    assert not workdir.exists()


def wait_for_line(workers: Team, start: str) -> None:
    until = time.monotonic() + 120
    while time.monotonic() < until:
        if any(line.startswith(start) for line in workers.told(0)):
            return
        time.sleep(0.05)
    raise AssertionError(f"{start!r} was not told: {workers.told(0)}")
