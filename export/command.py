"""What every command of this package shares: flags in, one line per mistake out."""

import os
import sys
from collections.abc import Callable

from absl import flags

from hcm_tf.errors import UserError

FAILURES = (UserError, flags.Error, OSError)


def run(
    name: str,
    values: flags.FlagValues,
    action: Callable[[], None],
    argv: list[str] | None = None,
) -> int:
    """Parses the flags and acts; a mistake of the user's becomes one line.

    Args:
        name: of the command, which begins the line.
        values: the command's flags.
        action: reads its flags and does the work.
        argv: the command line; None takes the program's.

    Returns:
        The exit status: 0, or 1 after a mistake.
    """
    # The loader's messages about missing accelerators help nobody here.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        argv = sys.argv if argv is None else argv
        if "--help" in argv:
            print(values.get_help())
            return 0
        rest = values(argv)[1:]
        if rest:
            raise UserError(f"unexpected argument {rest[0]!r}: flags begin with --")
        action()
    except FAILURES as error:
        print(f"{name}: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    return 0
