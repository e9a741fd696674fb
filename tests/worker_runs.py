"""Small runs by several worker processes on this machine."""

import contextlib
import json
import pathlib
import signal
import socket
import subprocess
import time

from small_run import ENVIRONMENT, ROOT, command

WAIT = 300


def tf_config(addresses, index):
    return json.dumps(
        {
            "cluster": {"worker": addresses},
            "task": {"type": "worker", "index": index},
        }
    )


def free_addresses(count):
    """Loopback addresses whose ports nobody uses at this moment."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [f"127.0.0.1:{one.getsockname()[1]}" for one in sockets]


def _hear_interrupts():
    """As in a terminal: a shell's background jobs, these tests among them, do not."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Team:
    """Workers 0 and 1 of one run, which ends with the `with` block.

    Args:
        commands: of each worker.
        log: directory that gets what they say.
    """

    def __init__(self, commands, log):
        log.mkdir(exist_ok=True)
        self.commands = commands
        self.addresses = free_addresses(len(commands))
        self.outputs = [log / f"out-{index}" for index in range(len(commands))]
        self.errors = [log / f"err-{index}" for index in range(len(commands))]
        self.processes = [self.start(index) for index in range(len(commands))]

    def start(self, index):
        """Starts a worker; what it said before is forgotten."""
        environment = {
            **ENVIRONMENT,
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
            "TF_CONFIG": tf_config(self.addresses, index),
        }
        with self.outputs[index].open("w") as out, self.errors[index].open("w") as err:
            return subprocess.Popen(
                self.commands[index],
                stdout=out,
                stderr=err,
                env=environment,
                preexec_fn=_hear_interrupts,
            )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait()

    def wait(self, seconds=WAIT):
        """Exit statuses of all."""
        until = time.monotonic() + seconds
        return [
            process.wait(max(0.0, until - time.monotonic()))
            for process in self.processes
        ]

    def wait_for_step(self, workdir, step):
        until = time.monotonic() + WAIT
        while time.monotonic() < until and self.processes[0].poll() is None:
            path = workdir / "metrics.jsonl"
            if path.exists() and f'"step": {step}' in path.read_text():
                return
            time.sleep(0.02)
        raise AssertionError(f"step {step} was not reached: {self.told(0)}")

    def wait_for_line(self, index, start, told=False):
        """Waits for a line of stdout, or of stderr, that begins so."""
        until = time.monotonic() + WAIT
        while time.monotonic() < until:
            lines = self.told(index) if told else self.said(index).splitlines()
            if any(line.startswith(start) for line in lines):
                return
            time.sleep(0.05)
        raise AssertionError(f"{start!r} was not told: {self.told(index)}")

    def said(self, index):
        """What a worker wrote to stdout."""
        return self.outputs[index].read_text()

    def told(self, index):
        """Lines that a worker wrote to stderr, without the progress bar's."""
        lines = self.errors[index].read_text().splitlines()
        return [line for line in lines if line and "steps |" not in line]


def team(folder, workdirs, log, **values):
    """Workers that train in `workdirs`, one for each."""
    return Team([command(folder, workdir, **values) for workdir in workdirs], log)


def train_together(folder, workdir, count=2, **values):
    """A run of several workers until its end; all must succeed."""
    log = pathlib.Path(f"{workdir}.told")
    with team(folder, [workdir] * count, log, **values) as workers:
        assert workers.wait() == [0] * count, workers.told(0) + workers.told(1)
    return workers
