"""No flags, however odd, give anything but a configuration or one line."""

import dataclasses

import pytest
from absl import flags
from fuzzing import EXAMPLES, attempt, tries
from hypothesis import given
from hypothesis import strategies as st

import train_main
from hcm_tf import config_flags
from hcm_tf.config import ExperimentConfig

NAMES = [
    field.name
    for section in config_flags.SECTIONS.values()
    for field in dataclasses.fields(section)
    if field.metadata["flag"]
]
WORDS = (
    *("", "nan", "inf", "-inf", "-1", "0", "0.5", "1", "1e400", "1e-400", "1,2"),
    *("true", "none", "relativistic", "posterior", "cutout", ",", "folder:", "9" * 40),
    *("../../etc/passwd", "%s%n", "{0.__class__}", "\x1b[31m", "a\nb"),
)
VALUES = st.one_of(
    st.sampled_from(WORDS),
    st.integers().map(str),
    st.floats().map(str),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    st.lists(st.floats(), min_size=1, max_size=5).map(lambda x: ",".join(map(str, x))),
)
ARGUMENTS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(NAMES), VALUES).map("--{0[0]}={0[1]}".format),
        st.sampled_from(NAMES).map("--no{}".format),
        st.text(max_size=8).filter(lambda text: not text.startswith("--flagfile")),
    ),
    max_size=6,
)


@pytest.fixture(scope="module")
def parse():
    config_flags.define()
    yield config_flags.parse
    for name in NAMES:
        delattr(flags.FLAGS, name)


@tries(EXAMPLES)
@given(arguments=ARGUMENTS)
def test_flags_give_a_configuration_or_one_line(parse, capsys, arguments):
    flags.FLAGS.unparse_flags()
    for name in NAMES:
        flags.FLAGS[name].unparse()
    config, refusal = attempt(
        lambda: parse(["train_main.py", *arguments]), flags.Error, ValueError
    )
    if refusal:
        assert train_main.refuse(refusal) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert line.isprintable()
        assert line.removeprefix("train_main: ").strip()
    else:
        assert ExperimentConfig.from_json(config.to_json()) == config
