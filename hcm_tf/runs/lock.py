"""One process trains in a run directory: an advisory lock."""

import contextlib
import os
import pathlib
import platform
import sys
from collections.abc import Iterator
from typing import IO

from hcm_tf.errors import UserError

try:
    import fcntl
except ImportError:  # Windows has none.
    fcntl = None

LOCK_FILE = "lock"


@contextlib.contextmanager
def locked(workdir: pathlib.Path) -> Iterator[None]:
    """Holds the lock of a run directory; the file stays, and means nothing by itself.

    The system forgets the lock with the process that holds it, also when that is
    killed. It is `flock`'s, which is advisory: it keeps out other processes that ask
    for it, thus other runs, and nobody who reads.

    On network file systems it depends on the mount. NFS (Linux 2.6.12 and later) and
    SMB (5.5) pass it on to the server, so that it holds between machines; NFS mounted
    with `nolock` or `local_lock=flock`, and some others, keep out processes of the same
    machine only. Where the file system or the platform has no such locks, a line on
    stderr says so, and nothing is kept out.

    Raises:
        UserError: another process holds it.
        OSError: the lock file cannot be written.
    """
    path = workdir / LOCK_FILE
    # For appending: the name of the holder stays until the lock is ours.
    with path.open("a+") as file:
        if _acquire(file, workdir):
            # The name is only for the message; a full disk is told of where it hurts.
            with contextlib.suppress(OSError):
                os.truncate(file.fileno(), 0)
                os.write(file.fileno(), _own_name().encode())
        yield


def _own_name() -> str:
    return f"process {os.getpid()} on {platform.node()}\n"


def _acquire(file: IO[str], workdir: pathlib.Path) -> bool:
    try:
        if fcntl is None:
            raise OSError("this platform has no file locks")
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        holder = file.readline().strip() or "another process"
        raise UserError(
            f"{workdir} is in use: {holder} trains there. Wait until it ends or stop "
            "it, or choose another --workdir."
        ) from None
    except OSError as error:
        print(
            f"{workdir} cannot be locked ({error}): see to it that no second run uses "
            "it.",
            file=sys.stderr,
        )
        return False
    return True
