"""How much memory is left."""

import contextlib
import os
import pathlib
import re
import sys

_LIMITS = (  # Of a container: control groups of version 2 and 1.
    pathlib.Path("/sys/fs/cgroup/memory.max"),
    pathlib.Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)


def available() -> int:
    """Bytes that can be allocated: Linux's own estimate, or what a container may have.

    What a container uses already is not subtracted. Other systems than Linux tell of
    all memory that there is, or of nothing, which then is no bound.
    """
    found = [_of_the_machine()]
    for path in _LIMITS:
        # Version 2 says `max` where there is no limit.
        with contextlib.suppress(OSError, ValueError):
            found.append(int(path.read_text()))
    return min(found)


def _of_the_machine() -> int:
    with contextlib.suppress(OSError):
        text = pathlib.Path("/proc/meminfo").read_text()
        if match := re.search(r"^MemAvailable: *(\d+) kB$", text, re.MULTILINE):
            return int(match[1]) * 1024
    if not hasattr(os, "sysconf"):
        return sys.maxsize
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
