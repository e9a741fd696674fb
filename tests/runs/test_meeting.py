"""Where workers wait for each other: it can be stopped, and says whom it waits for."""

import contextlib
import re
import signal
import socket
import threading
import time

import pytest
from worker_runs import free_addresses, team

from hcm_tf.errors import UserError
from hcm_tf.runs import meeting
from hcm_tf.runs.cluster import Cluster


def clusters(count):
    named = {f"worker {n}": a for n, a in enumerate(free_addresses(count))}
    return [Cluster(named, name) for name in named]


def port_of(one):
    return int(one.addresses[one.name].rpartition(":")[2])


@contextlib.contextmanager
def waiting(cluster):
    """A thread in which one worker waits; it must be done at the end of the block."""
    thread = threading.Thread(target=meeting.wait_for_all, args=[cluster], daemon=True)
    thread.start()
    yield thread
    thread.join(30)
    assert not thread.is_alive()


@pytest.mark.parametrize("last", [0, 1, 2])
def test_nobody_goes_on_before_the_last_one_comes(last, capfd):
    every = clusters(3)
    late = every.pop(last)
    with waiting(every[0]) as first, waiting(every[1]) as second:
        time.sleep(1.0)
        assert first.is_alive()
        assert second.is_alive()
        meeting.wait_for_all(late)
    told = capfd.readouterr().err
    names = re.escape(f"{late.name} ({late.addresses[late.name]}).")
    assert re.search(f"worker [012] waits for .*{names}", told)


def test_who_left_is_waited_for_again_and_strangers_are_not_counted():
    chief, one, other = clusters(3)
    address = ("127.0.0.1", port_of(chief))
    with waiting(chief) as thread:
        time.sleep(0.5)
        with socket.create_connection(address) as left:
            left.sendall(f"{meeting.GREETING}{one.name}\n".encode())
        for text in (b"GET / HTTP/1.1\r\n\r\n", b"hcm_tf worker 7\n", b"\xff\xfe"):
            with socket.create_connection(address) as stranger:
                stranger.sendall(text)
        with waiting(other):
            time.sleep(1.0)
            assert thread.is_alive()
            meeting.wait_for_all(one)


def test_a_server_of_another_kind_is_not_the_chief():
    chief, one = clusters(2)
    with socket.create_server(("127.0.0.1", port_of(chief))) as server:
        server.settimeout(30)
        thread = threading.Thread(target=meeting.wait_for_all, args=[one], daemon=True)
        thread.start()
        for _ in range(2):
            with server.accept()[0] as caller:
                caller.sendall(b"PRI * HTTP/2.0\r\n")
        assert thread.is_alive()
    meeting.wait_for_all(chief)
    thread.join(30)
    assert not thread.is_alive()


def test_a_port_in_use_is_one_line():
    for one in clusters(2):
        port = port_of(one)
        with (
            socket.create_server(("127.0.0.1", port)),
            pytest.raises(
                UserError, match=f"port {port} of 127.0.0.1:{port} cannot be"
            ),
        ):
            meeting.wait_for_all(one)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("index", [0, 1])
def test_a_worker_that_waits_can_be_stopped(index, number, folder, tmp_path):
    workdir = tmp_path / "run"
    with team(folder, [workdir] * 2, tmp_path / "told") as workers:
        workers.processes[1 - index].kill()
        line = f"worker {index} waits for worker {1 - index} ("
        workers.wait_for_line(index, line, told=True)
        workers.processes[index].send_signal(number)
        workers.processes[index].wait(10)
    assert not workdir.exists()
