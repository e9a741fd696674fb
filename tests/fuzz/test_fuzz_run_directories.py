"""Run directories from strangers: read or refused in one line, and never changed."""

import json
import pathlib
import shutil

import pytest
from fuzzing import EXAMPLES, attempt, damaged, tries
from hypothesis import given
from hypothesis import strategies as st

from hcm_tf.errors import UserError
from hcm_tf.runs import checkpoint, run_directory

ODD = st.one_of(
    *(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    st.lists(st.one_of(st.integers(), st.floats(), st.none()), max_size=4),
    st.dictionaries(st.text(max_size=4), st.none(), max_size=2),
    st.sampled_from([-1, 0, 2**31, 10**9, 1e308, "../..", "\x1b[2J"]),
)


@st.composite
def odd_configuration(draw, config):
    """A `config.json` of which some values are something else."""
    config = json.loads(json.dumps(config))
    for _ in range(draw(st.integers(1, 3))):
        section = draw(st.sampled_from(sorted(config)))
        inner = config[section]
        if draw(st.integers(0, 7)) == 0 or not isinstance(inner, dict) or not inner:
            config[section] = draw(ODD)
        else:
            inner[draw(st.sampled_from([*sorted(inner), "unknown"]))] = draw(ODD)
    return json.dumps(config).encode()


def contents(directory):
    return {
        path.relative_to(directory): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def copy(tiny_run, tmp_path_factory):
    """A run beside a file that nobody may touch."""
    directory = tmp_path_factory.mktemp("stranger") / "run"
    shutil.copytree(tiny_run, directory)
    (directory.parent / "mine").write_text("mine")
    return directory


@tries(max(1, EXAMPLES // 10))
@given(data=st.data())
def test_reading_gives_a_run_or_one_line(data, copy, tiny_run):
    good = contents(pathlib.Path(tiny_run))
    name = data.draw(st.sampled_from(sorted(good)))
    if name.name == "config.json" and data.draw(st.booleans()):
        wrong = data.draw(odd_configuration(json.loads(good[name])))
    else:
        wrong = data.draw(damaged(good[name]))
    try:
        (copy / name).write_bytes(wrong)
        before = contents(copy.parent)
        run, refusal = attempt(lambda: checkpoint.load(copy), UserError)
        if refusal:
            assert str(refusal)
            assert "\n" not in str(refusal)
        else:
            assert run.sample(1).shape[0] == 1
            run_directory.origin(copy)
        assert contents(copy.parent) == before
    finally:
        (copy / name).write_bytes(good[name])
