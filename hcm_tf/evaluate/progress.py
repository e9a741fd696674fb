"""Progress of long work on a terminal."""

import contextlib
from collections.abc import Callable, Iterator

from tqdm import tqdm


@contextlib.contextmanager
def bar(what: str, total: int) -> Iterator[Callable[[int], object]]:
    """A progress bar on a terminal; it leaves nothing behind."""
    with tqdm(total=total, desc=what, disable=None, leave=False) as bar:
        yield bar.update
