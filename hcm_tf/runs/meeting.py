"""Where the workers of a run wait for each other, before TensorFlow would.

TensorFlow waits too, but deaf: it holds Python still meanwhile, and takes SIGTERM for a
notice that it has nobody to tell. So each worker opens its port, and goes on once all
ports were open; from then on TensorFlow has nothing to wait for.
"""

import contextlib
import socket
import sys
import time

from hcm_tf.errors import UserError
from hcm_tf.runs.cluster import Cluster

PAUSE = 0.2  # Seconds between two rounds.
PATIENCE = 2.0  # Seconds for one connection.


def wait_for_all(cluster: Cluster) -> None:
    """Waits until every other worker was there, however long that takes.

    Raises:
        UserError: this worker's port is in use.
    """
    missing = dict(cluster.addresses)
    own = missing.pop(cluster.name)
    with _open(own):
        told = False
        while missing := {n: a for n, a in missing.items() if not _is_there(a)}:
            if not told:
                names = ", ".join(f"{name} ({missing[name]})" for name in missing)
                print(f"{cluster.name} waits for {names}.", file=sys.stderr)
            told = True
            time.sleep(PAUSE)


def _open(address: str) -> contextlib.closing:
    port = int(address.rpartition(":")[2])
    # On every interface, as TensorFlow's own server: a host's name for itself often
    # means the loopback.
    try:
        if socket.has_dualstack_ipv6():
            return contextlib.closing(
                socket.create_server(
                    ("", port), family=socket.AF_INET6, dualstack_ipv6=True
                )
            )
        return contextlib.closing(socket.create_server(("", port)))
    except OSError as error:
        raise UserError(
            f"port {port} of {address} cannot be opened: {error.strerror}. End what "
            "uses it, or give another in TF_CONFIG to all workers."
        ) from error


def _is_there(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), PATIENCE).close()
    except OSError:  # Not there, or its name is not known yet.
        return False
    return True
