"""The command line: every flag, every way to get one wrong, and what it costs."""

import dataclasses
import pathlib
import subprocess
import sys

import pytest

from hcm_tf import config_flags
from hcm_tf.config import DataConfig, ModelConfig, TrainConfig

ROOT = pathlib.Path(__file__).parents[1]


def command(*arguments, cwd=ROOT):
    return subprocess.run(
        [sys.executable, str(ROOT / "train_main.py"), *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        timeout=300,
    )


WRONG = {
    "unknown name": (["--colour=red"], "colour"),
    "near miss": (["--batchsize=5"], "batch_size"),
    "out of range": (["--steps=0"], "steps"),
    "not a number": (["--steps=many"], "steps"),
    "not a choice": (["--image_size=48"], "image_size"),
    "not a word of the list": (["--resize=zoom"], "resize"),
    "not numbers": (["--spatial_keep=a,b"], "spatial_keep"),
    "out of the range of a list": (["--spatial_keep=0.5,1.5"], "spatial_keep"),
    "stray argument": (["train"], "train"),
    "pair that does not fit": (["--batch_size=15"], "stddev_group_size"),
    "batch and replicas": (["--batch_size=21", "--replicas=2"], "batch_size"),
    "no such flag file": (["--flagfile=nowhere.flags"], "nowhere.flags"),
}


@pytest.mark.parametrize(("arguments", "named"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_flag_costs_one_line_and_nothing_else(arguments, named, tmp_path):
    done = command("--workdir=run", *arguments, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("train_main: ")
    assert named in line
    assert list(tmp_path.iterdir()) == []


def test_a_flag_file_line_without_dashes_is_refused(tmp_path):
    (tmp_path / "a.flags").write_text("steps=5\n")
    done = command("--flagfile=a.flags", cwd=tmp_path)
    assert done.returncode == 1
    assert "'steps=5'" in done.stderr


def test_wrong_flags_are_told_before_tensorflow_is_loaded():
    code = (
        "import sys; sys.path.insert(0, '.'); import train_main;"
        "assert train_main.main(['train_main.py', '--steps=0']) == 1;"
        "assert not {'tensorflow', 'keras', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=120)


@pytest.mark.parametrize("kind", ["ValueError", "OSError"])
def test_a_mistake_of_ours_shows_its_traceback(kind, tmp_path):
    code = (
        "import sys; sys.path.insert(0, '.'); import train_main\n"
        "from hcm_tf.runs import experiment\n"
        f"def broken(*_): raise {kind}('a mistake of ours')\n"
        "experiment.devices.make_strategy = broken\n"
        f"sys.exit(train_main.main(['train_main.py', '--workdir={tmp_path}']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "in broken" in done.stderr
    assert done.stderr.splitlines()[-1] == f"{kind}: a mistake of ours"


def test_help_names_every_field_with_its_range():
    done = command("--help")
    assert "--workdir" in done.stdout
    for section in (ModelConfig, DataConfig, TrainConfig):
        for field in dataclasses.fields(section):
            negated = "[no]" if isinstance(field.default, bool) else ""
            named = f"--{negated}{field.name}:" in done.stdout
            assert named == field.metadata["flag"], field.name
    assert "(default: '100000')" in done.stdout
    assert "an integer in the range [1, 1024]" in done.stdout
    assert "tensorflow" not in done.stderr.lower()


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.flags")), ids=str)
def test_every_flag_file_describes_an_experiment(path):
    code = (
        "import sys; from hcm_tf import config_flags; from absl import flags;"
        "flags.DEFINE_string('workdir', '', ''); config_flags.define();"
        "print(config_flags.parse(sys.argv))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, f"--flagfile={path}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("ExperimentConfig(")
    header = path.read_text().splitlines()
    assert any(f"--flagfile=configs/{path.name}" in line for line in header)
    assert any(line.startswith("# Time:") for line in header)
    assert any(line.startswith("# Score:") for line in header)


def test_sections_of_the_flags_are_those_of_the_configuration():
    assert [*config_flags.SECTIONS] == ["model", "data", "train"]
