"""What all commands share, tried on each of them as a user would."""

import pathlib
import re
import subprocess
import sys

import pytest
from absl import flags

from hcm_tf import command
from hcm_tf.errors import UserError

ROOT = pathlib.Path(__file__).parents[1]
COMMANDS = {
    "train_main": ["train_main.py"],
    "evaluate": ["-m", "hcm_tf.evaluate"],
    "explain": ["-m", "hcm_tf.explain"],
    "client": ["-m", "export.client"],
    "projector": ["-m", "export.projector"],
    "report": ["-m", "export.report"],
    "saved_model": ["-m", "export.saved_model"],
    "tflite": ["-m", "export.tflite"],
    "explanation": ["-m", "benchmarks.explanation"],
}
NEED_A_RUN = (
    "evaluate",
    "explain",
    "projector",
    "saved_model",
    "tflite",
    "explanation",
)


def start(name, *arguments):
    return subprocess.run(
        [sys.executable, *COMMANDS[name], *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_help_is_no_failure_and_has_a_short_form(name):
    long, short = start(name, "--help"), start(name, "-h")
    assert (long.returncode, long.stderr) == (0, "")
    assert (short.returncode, short.stderr) == (0, "")
    assert long.stdout == short.stdout
    flag = {"train_main": "--workdir", "client": "--url", "report": "--models"}
    assert f"  {flag.get(name, '--run_dir')}:" in long.stdout


@pytest.mark.parametrize("name", NEED_A_RUN)
def test_a_missing_run_directory_is_one_clear_line(name):
    done = start(name)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.endswith(": --run_dir is required: the directory of a finished run")


@pytest.mark.parametrize(
    "name",
    ["train_main", "evaluate", "explain", "client", "projector", "explanation"],
)
def test_seeds_begin_at_zero(name):
    """The same command line draws the same pictures everywhere."""
    lines = start(name, "--help").stdout.splitlines()
    at = next(index for index, line in enumerate(lines) if "  --seed:" in line)
    assert "(default: '0')" in " ".join(lines[at : at + 3])


def own_flags():
    own = flags.FlagValues()
    flags.DEFINE_string("out", "", "Somewhere.", own)
    return own


def test_help_is_asked_for_before_the_words_only(capsys):
    seen = []
    status = command.run(
        "it", own_flags(), seen.append, ["it", "--", "-h"], commands=("draw", "-h")
    )
    assert (status, seen) == (0, ["-h"])
    assert command.run("it", own_flags(), seen.append, ["it", "-h"], about="Us.") == 0
    assert seen == ["-h"]
    assert capsys.readouterr().out.startswith("Us.\n")


def test_the_first_word_is_the_default():
    seen = []
    for words in ([], ["draw"], ["edit"]):
        arguments = ["it", *words]
        commands = ("draw", "edit")
        assert (
            command.run("i", own_flags(), seen.append, arguments, commands=commands)
            == 0
        )
    assert seen == ["draw", "draw", "edit"]


@pytest.mark.parametrize(
    ("error", "status"), [(UserError("a\n b"), 1), (OSError("a b"), 1), (None, 0)]
)
def test_mistakes_are_one_line(error, status, capsys):
    def act():
        if error:
            raise error

    assert command.run("it", own_flags(), act, ["it"]) == status
    assert capsys.readouterr().err == ("it: a b\n" if status else "")


def test_a_fault_of_ours_is_not_hidden():
    def act():
        raise ValueError("ours")

    with pytest.raises(ValueError, match="ours"):
        command.run("it", own_flags(), act, ["it"])


@pytest.mark.parametrize("module", ["grpc", "tensorflow_serving.apis"])
def test_a_package_of_the_exports_that_is_missing_is_one_line(module, capsys):
    def act():
        raise ModuleNotFoundError(f"No module named {module!r}", name=module)

    assert command.run("it", own_flags(), act, ["it"]) == 1
    package = module.partition(".")[0]
    assert capsys.readouterr().err == (
        f"it: the package {package} is needed: pip install -r requirements-export.txt\n"
    )


def test_the_packages_of_the_exports_are_those_of_their_requirements():
    for package, file in command.EXTRAS.items():
        needed = (ROOT / file).read_text()
        assert re.search(rf"^{package.replace('_', '.')}", needed, re.MULTILINE)


def test_a_package_of_ours_that_is_missing_is_no_mistake_of_the_user():
    def act():
        raise ModuleNotFoundError("No module named 'hcm_tf.gone'", name="hcm_tf.gone")

    with pytest.raises(ModuleNotFoundError):
        command.run("it", own_flags(), act, ["it"])


def test_what_is_no_text_stays_off_the_terminal(capsys):
    def act():
        raise UserError("\x1b[31m\x00\x04\udc80 é\r\n\u202ered")

    assert command.run("it", own_flags(), act, ["it"]) == 1
    shown = capsys.readouterr().err
    assert shown == "it: \ufffd[31m\ufffd\ufffd\ufffd é \ufffdred\n"
