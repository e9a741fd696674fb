"""How much is tried, how bytes are damaged, and what may come of it."""

import os

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "40"))


def tries(count):
    """Settings of a test that tries `count` examples, the same ones every time."""
    return settings(
        max_examples=count,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


def attempt(function, *refusals):
    """The result of a function and None, or None and how it refused."""
    try:
        return function(), None
    except refusals as error:
        return None, error


@st.composite
def damaged(draw, content):
    """Bytes with a few places overwritten, cut out, repeated, or cut off at the end."""
    content = bytearray(content)
    for _ in range(draw(st.integers(1, 4))):
        # Headers decide most: half of all damage is done to them.
        end = draw(st.sampled_from([min(64, len(content)), len(content)]))
        start = draw(st.integers(0, end))
        few = draw(st.binary(max_size=8))
        match draw(st.sampled_from(["overwrite", "remove", "insert", "cut"])):
            case "overwrite":
                content[start : start + len(few)] = few
            case "remove":
                del content[start : start + draw(st.integers(1, 64))]
            case "insert":
                content[start:start] = few
            case "cut":
                del content[start:]
    return bytes(content)
