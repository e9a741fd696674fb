"""Servers on the loopback interface that answer what the client does not expect."""

import contextlib
import json
import socket
import threading
import time


@contextlib.contextmanager
def serve(reply):
    """Answers every connection by `reply(connection)`, each in a thread of its own.

    Yields:
        The port.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    connections, threads = [], []

    def answer(connection):
        with contextlib.suppress(OSError):  # The client or the test gave up.
            _read_request(connection)
            reply(connection)
        connection.close()

    def accept():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:  # Closed below.
                return
            connections.append(connection)
            thread = threading.Thread(target=answer, args=(connection,), daemon=True)
            thread.start()
            threads.append(thread)

    threads.append(threading.Thread(target=accept, daemon=True))
    threads[0].start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join(5)


def _read_request(connection):
    """Reads one HTTP request, so that closing the connection resets nothing."""
    seen = b""
    while b"\r\n\r\n" not in seen:
        seen += connection.recv(2**16) or b"\r\n\r\n"
    head, _, body = seen.partition(b"\r\n\r\n")
    lengths = [
        int(line.split(b":")[1])
        for line in head.split(b"\r\n")
        if line.lower().startswith(b"content-length:")
    ]
    while lengths and len(body) < lengths[0]:
        body += connection.recv(2**16)


def http(body, status="200 OK", headers=""):
    """A reply of HTTP with these contents; anything but bytes is sent as JSON."""
    contents = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(contents)}\r\n{headers}\r\n"
    return raw(head.encode("latin-1") + contents)


def raw(contents):
    """A reply of these bytes."""
    return lambda connection: connection.sendall(contents)


def dripping(contents, pause):
    """A reply that sends one byte at a time."""

    def reply(connection):
        for index in range(len(contents)):
            connection.sendall(contents[index : index + 1])
            time.sleep(pause)

    return reply
