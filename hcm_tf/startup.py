"""How a command starts TensorFlow: quietly, and with oneDNN's kernels."""

import contextlib
import importlib
import os
import sys
import tempfile
from collections.abc import Iterator


def load_tensorflow() -> None:
    """Imports TensorFlow; what it says of missing accelerators is left out.

    Those lines come before any setting of its log is read. If it cannot be loaded, they
    are printed after all. `TF_CPP_MIN_LOG_LEVEL`, where it is set, is respected, and 0
    shows everything.

    oneDNN's kernels are asked for, which TensorFlow takes by itself only on processors
    with AVX512-VNNI; `TF_ENABLE_ONEDNN_OPTS=0` says no.
    """
    if "tensorflow" in sys.modules:
        return
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    if os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3") == "0":
        importlib.import_module("tensorflow")
        return
    with _stderr_aside():
        importlib.import_module("tensorflow")


@contextlib.contextmanager
def _stderr_aside() -> Iterator[None]:
    """Keeps file descriptor 2, which C++ writes to, from the screen."""
    sys.stderr.flush()
    screen = os.dup(2)
    with tempfile.TemporaryFile() as aside:
        os.dup2(aside.fileno(), 2)
        try:
            yield
        except BaseException:
            os.dup2(screen, 2)
            aside.seek(0)
            os.write(2, aside.read())
            raise
        finally:
            os.dup2(screen, 2)
            os.close(screen)
