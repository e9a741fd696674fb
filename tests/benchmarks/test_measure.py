"""Counting and timing of the benchmarks."""

import dataclasses
import json
import pathlib

from benchmarks import measure
from hcm_tf.config import ModelConfig


def test_useful_macs_of_the_full_size():
    # fc, attributes, dictionary; 8x8; 16x16; 32x32; 64x64; image.
    expected = 200 * 8192 + 16 * 9 * 512 * 200 * 2 + 64 * 9 * 512**2
    expected += 64 * 9 * 512 * 256 + 256 * 9 * 256**2
    expected += 256 * 9 * 256 * 128 + 256 * 256 * 128 + 1024 * 9 * 128**2
    expected += 1024 * 9 * 128 * 64 + 4096 * 9 * 64**2 + 4096 * 25 * 64 * 3
    assert measure.useful_macs(measure.FULL_SIZE) == expected


def test_quickstart_is_that_of_the_flag_file():
    path = pathlib.Path(__file__).parents[2] / "configs" / "quickstart.flags"
    lines = [line.strip() for line in path.read_text().splitlines()]
    given = dict(line[2:].split("=") for line in lines if line.startswith("--"))
    fields = {field.name for field in dataclasses.fields(ModelConfig)}
    values = {name: int(value) for name, value in given.items() if name in fields}
    assert ModelConfig(**values) == measure.QUICKSTART


def test_interleave_calls_in_turn():
    calls = []
    runs = {name: lambda name=name: calls.append(name) for name in "ab"}
    times = measure.interleave(runs, rounds=3, warm=1)
    assert "".join(calls) == "ab" + "ababab"
    assert set(times) == {"a", "b"}
    assert times["a"]["quartiles"][0] <= times["a"]["ms"] <= times["a"]["quartiles"][1]


def test_report_ends_in_one_json_object(capsys):
    measure.report("name", ("form", "ms"), [("ours", 1.5), ("torch", None)])
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert last["rows"] == [{"form": "ours", "ms": 1.5}, {"form": "torch", "ms": None}]
