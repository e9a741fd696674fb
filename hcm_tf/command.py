"""What every command shares: flags and help in, one line per mistake out."""

import sys
from collections.abc import Callable, Sequence

from absl import flags

from hcm_tf.errors import UserError

FAILURES = (UserError, flags.Error, OSError)
# What only some commands need, and is not among the requirements of training.
EXTRAS = {
    "ai_edge_litert": "requirements-export.txt",
    "grpc": "requirements-export.txt",
    "tensorflow_serving": "requirements-export.txt",
}
HELP = frozenset(("-h", "-help", "--help", "--helpshort", "--helpfull"))
# Flags that are needed wherever a command has them, and what they name.
REQUIRED = {"run_dir": "the directory of a finished run"}


def run(
    name: str,
    values: flags.FlagValues,
    action: Callable[..., None],
    argv: Sequence[str] | None = None,
    *,
    about: str | None = None,
    commands: Sequence[str] = (),
) -> int:
    """Parses the flags and acts; a mistake of the user's becomes one line.

    Args:
        name: of the command, which begins the line.
        values: the command's flags.
        action: reads its flags and does the work; with `commands`, it is handed one.
        argv: the command line; None takes the program's.
        about: stands above the flags in the help.
        commands: words of which one may stand on the command line; else the first.

    Returns:
        The exit status: 0, also after help, or 1 after a mistake.
    """
    argv = list(sys.argv if argv is None else argv)
    if show_help(argv, values, about):
        return 0
    try:
        words = values(argv)[1:]
        chosen = [(words.pop(0) if words else commands[0])] if commands else []
        unexpected = [word for word in chosen if word not in commands] or words
        if unexpected:
            raise UserError(
                f"unexpected argument {unexpected[0]!r}: flags begin with --; see "
                "--help"
            )
        for flag, meaning in REQUIRED.items():
            if flag in values and not values[flag].value:
                raise UserError(f"--{flag} is required: {meaning}")
        action(*chosen)
    except FAILURES as error:
        print(f"{name}: {printable(str(error))}", file=sys.stderr)
        return 1
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in EXTRAS:
            raise
        more = f"pip install -r {EXTRAS[package]}"
        print(f"{name}: the package {package} is needed: {more}", file=sys.stderr)
        return 1
    return 0


def show_help(
    argv: Sequence[str], values: flags.FlagValues, about: str | None = None
) -> bool:
    """Prints the help if the command line asks for it; says whether it did.

    Not absl's own --help, after which a program exits with 1.
    """
    before_words = argv[1 : argv.index("--")] if "--" in argv else argv[1:]
    if HELP.isdisjoint(before_words):
        return False
    print("\n".join(filter(None, (about, values.get_help()))))
    return True


def printable(text: str) -> str:
    """One line that is safe on a terminal, whatever it was made from."""
    line = " ".join(text.split())
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in line)
