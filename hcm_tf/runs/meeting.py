"""Where the workers of a run wait for each other, before TensorFlow would.

TensorFlow waits too, but deaf: it holds Python still meanwhile, takes SIGTERM for a
notice that it has nobody to tell, and a worker that is started anew before the others
have missed it waits in vain for a place among them. So all but the chief call at the
chief's port, where TensorFlow's server will be, and stay on the line until all are
there.
"""

import contextlib
import select
import socket
import sys
import time

from hcm_tf.errors import UserError
from hcm_tf.runs.cluster import Cluster

PAUSE = 0.2  # Seconds between two looks.
PATIENCE = 5.0  # Seconds for a connection, or a name.
GREETING, GO = "hcm_tf ", b"go\n"


def wait_for_all(cluster: Cluster) -> None:
    """Waits until all workers are there, however long that takes.

    Raises:
        UserError: this worker's port is in use.
    """
    chief = next(iter(cluster.addresses))
    with _open(cluster.addresses[cluster.name]) as listener:
        if cluster.name == chief:
            _receive(cluster, listener)
            return
    told = False
    while not _call(cluster.addresses[chief], cluster.name):
        if not told:
            _say(cluster, f"waits for {chief} ({cluster.addresses[chief]})")
        told = True
        time.sleep(PAUSE)


def _receive(cluster: Cluster, listener: socket.socket) -> None:
    """Keeps callers on the line until all are there."""
    callers, told = {}, False
    listener.settimeout(PAUSE)
    with contextlib.ExitStack() as stack:
        while True:
            callers = {name: c for name, c in callers.items() if not _has_left(c)}
            missing = [
                n for n in cluster.addresses if n not in (cluster.name, *callers)
            ]
            if not missing:
                break
            try:
                caller = stack.enter_context(listener.accept()[0])
            except TimeoutError:
                if not told:
                    named = (f"{name} ({cluster.addresses[name]})" for name in missing)
                    _say(cluster, f"waits for {', '.join(named)}")
                told = True
                continue
            name = _name_of(caller)
            if name in cluster.addresses:
                callers[name] = caller
        for caller in callers.values():
            # Whoever has left just now is missed as soon as training begins.
            with contextlib.suppress(OSError):
                caller.sendall(GO)


def _call(address: str, name: str) -> bool:
    """Calls at the chief's and waits there; whether all have come."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), PATIENCE) as line:
            line.sendall(f"{GREETING}{name}\n".encode())
            line.settimeout(None)
            # The TensorFlow server of a chief that still has to miss somebody says
            # something else.
            return line.recv(len(GO)) == GO
    except OSError:  # Nobody is there, or the host's name is not known yet.
        return False


def _name_of(caller: socket.socket) -> str:
    try:
        caller.settimeout(PATIENCE)
        return caller.recv(100).decode().removeprefix(GREETING).strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _has_left(caller: socket.socket) -> bool:
    # Nobody has more to say than a name: what can be read is the end.
    return bool(select.select([caller], [], [], 0)[0])


def _open(address: str) -> socket.socket:
    port = int(address.rpartition(":")[2])
    # On every interface, as TensorFlow's own server: a host's name for itself often
    # means the loopback.
    try:
        if socket.has_dualstack_ipv6():
            return socket.create_server(
                ("", port), family=socket.AF_INET6, dualstack_ipv6=True
            )
        return socket.create_server(("", port))
    except OSError as error:
        raise UserError(
            f"port {port} of {address} cannot be opened: {error.strerror}. End what "
            "uses it, or give another in TF_CONFIG to all workers."
        ) from error


def _say(cluster: Cluster, text: str) -> None:
    print(f"{cluster.name} {text}.", file=sys.stderr)
