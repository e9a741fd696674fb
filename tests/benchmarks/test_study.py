"""The study: its plans, its order, and that it goes on where it was."""

import json
import pathlib
import subprocess
import sys
import threading

import pytest
from small_run import FLAGS

from benchmarks import study
from hcm_tf.config import SPARSITIES

EVALUATION = pathlib.Path("pretrained/avatars64/evaluation.json")
PLAN = {
    "about": "Two rows.",
    "steps": 3,
    "seeds": [0, 1],
    "flags": {"batch_size": 4, "stddev_group_size": 4},
    "rows": {"a": {"sparsity": "top_k"}, "b, wide": {"sparsity": ["dense", "top_k"]}},
    "evaluate": {},
}


@pytest.fixture
def plan(tmp_path):
    path = tmp_path / "two.json"
    path.write_text(json.dumps(PLAN))
    return path


@pytest.fixture
def trained(monkeypatch):
    """Runs that were trained, without being."""
    found = []

    def train(plan, row, seed, steps, workdir):
        found.append((row, seed, steps))

    monkeypatch.setattr(study, "train", train)
    result = json.loads(EVALUATION.read_text())
    monkeypatch.setattr(study, "evaluate", lambda plan, workdir: result)
    return found


def run(monkeypatch, plan, tmp_path, *more):
    arguments = [f"--plan={plan}", f"--out={tmp_path}/out", f"--results={tmp_path}/r"]
    monkeypatch.setattr(sys, "argv", ["study", *arguments, *more])
    study.main()
    return json.loads((tmp_path / "r" / "two.json").read_text())


@pytest.mark.parametrize("name", [path.stem for path in study.PLANS.glob("*.json")])
def test_every_row_of_every_plan_is_a_configuration(name):
    plan = study.read(name)
    for row in plan.rows:
        flags = study.flags_of(plan, row, 1, plan.steps)
        config = study.configuration(flags)
        known = {key for _, section in config.sections() for key in vars(section)}
        assert set(flags) <= known
        assert (config.train.seed, config.train.steps) == (1, plan.steps)


def test_the_main_plan_has_every_rule():
    rows = study.read("sparsities").rows.values()
    assert {row.get("sparsity", "top_k") for row in rows} == set(SPARSITIES)


def test_a_seed_of_all_rows_comes_before_the_next(trained, plan, tmp_path, monkeypatch):
    table = run(monkeypatch, plan, tmp_path)
    assert trained == [("a", 0, 3), ("b, wide", 0, 3), ("a", 1, 3), ("b, wide", 1, 3)]
    assert list(table["runs"]) == [
        *("a, seed 0", "b, wide, seed 0"),
        *("a, seed 1", "b, wide, seed 1"),
    ]
    values = table["runs"]["a, seed 0"]
    result = json.loads(EVALUATION.read_text())
    assert values["sure"] == result["faces"]["sure"]["samples"]
    assert values["never attributes"] == pytest.approx(0.00125)
    assert values["frechet parts"] == pytest.approx(98.2, abs=0.1)


def test_several_runs_are_trained_at_a_time(trained, plan, tmp_path, monkeypatch):
    both = threading.Barrier(2, timeout=60)

    def train(plan, row, seed, steps, workdir):
        both.wait()
        trained.append((row, seed, steps))

    monkeypatch.setattr(study, "train", train)
    monkeypatch.setattr(study.os, "sched_getaffinity", lambda _: {0, 1})
    cores = []
    monkeypatch.setattr(study.os, "sched_setaffinity", lambda _, own: cores.append(own))
    table = run(monkeypatch, plan, tmp_path, "--parallel=2", "--seeds=1")
    assert sorted(trained) == [("a", 0, 3), ("b, wide", 0, 3)]
    assert sorted(map(tuple, cores)) == [(0,), (1,)]
    # As in the plan, whichever was finished first.
    assert list(table["runs"]) == ["a, seed 0", "b, wide, seed 0"]
    assert table["plan"]["seeds"] == [0, 1]


def test_a_run_that_fails_does_not_stop_the_others(
    trained, plan, tmp_path, monkeypatch, capsys
):
    def train(plan, row, seed, steps, workdir):
        if row == "a":
            raise subprocess.CalledProcessError(1, ["train"])
        trained.append((row, seed, steps))

    monkeypatch.setattr(study, "train", train)
    with pytest.raises(SystemExit, match="missing in the table: a, seed 0; a, seed 1"):
        run(monkeypatch, plan, tmp_path)
    assert trained == [("b, wide", 0, 3), ("b, wide", 1, 3)]
    assert "Failed: a, seed 0" in capsys.readouterr().out


def test_more_runs_at_a_time_than_cores_are_refused():
    assert study.shares({3, 1, 2}, 2) == [{1, 3}, {2}]
    with pytest.raises(SystemExit, match=r"--parallel=3: this machine has 1 to 2"):
        study.shares({0, 1}, 3)


def test_what_is_finished_is_not_repeated(trained, plan, tmp_path, monkeypatch):
    def stop(plan, workdir):
        raise KeyboardInterrupt

    evaluate = study.evaluate
    monkeypatch.setattr(
        study,
        "evaluate",
        lambda plan, workdir: (stop if len(trained) == 3 else evaluate)(plan, workdir),
    )
    with pytest.raises(KeyboardInterrupt):
        run(monkeypatch, plan, tmp_path)
    monkeypatch.setattr(study, "evaluate", evaluate)
    table = run(monkeypatch, plan, tmp_path)
    assert trained[3:] == [("a", 1, 3), ("b, wide", 1, 3)]
    assert len(table["runs"]) == 4


def test_equal_time_gives_slow_rows_fewer_steps(trained, plan, tmp_path, monkeypatch):
    plan.write_text(json.dumps({**PLAN, "equal": "time", "reference": "a"}))
    monkeypatch.setattr(study, "step_times", lambda plan: {"a": 10.0, "b, wide": 30.0})
    run(monkeypatch, plan, tmp_path)
    assert trained[:2] == [("a", 0, 3), ("b, wide", 0, 1)]


def test_the_rate_falls_over_the_same_share_of_fewer_steps():
    plan = study.read("sparsities_time")
    whole, half = (study.flags_of(plan, "l1", 0, steps) for steps in (2000, 1000))
    assert (whole["steps"], whole["cooldown_steps"]) == (2000, 600)
    assert (half["steps"], half["cooldown_steps"]) == (1000, 300)


def test_the_summary_has_means_deviations_and_differences():
    runs = {
        f"{row}{seed}": {
            "row": row,
            "seed": seed,
            "error": 1234.0 + seed + more,
            "sure": None,
            "bits attributes": 0.5,
            "consistency": 0.9 + 1e-9 * seed,
            "consistency of others": 0.4,
        }
        for row, more in (("a", 0.0), ("b", 25.0))
        for seed in range(3)
    }
    del runs["b2"]
    table = {
        "runs": runs,
        "step_ms": {"a": 2.5, "b": 3.25},
        "plan": {"reference": "a", "steps": 2600},
    }
    first, differences, times = study.summary(table).split("\n\n")
    heading = "consistency above another unit's"
    assert first.splitlines() == [
        f"| row | runs | error, encoded | bits of attributes | {heading} |",
        "|---|---|---|---|---|",
        # Deviations end where the mean's digits do.
        "| a | 3 | 1,240 ± 1 | 0.5 ± 0 | 0.5 ± 0 |",
        "| b | 2 | 1,260 ± 1 | 0.5 ± 0 | 0.5 ± 0 |",
    ]
    # Of the same seeds: the means of a and b differ by 24.5.
    assert differences.splitlines()[2:] == ["| b | 2 | 25 ± 0 | 0 ± 0 |"]
    assert times.splitlines()[-1] == "| b | 3.2 | 1.30 | 2,000 |"


def test_steps_of_all_rows_are_timed():
    names = ("image_size", "base_channels", "attributes", "latent_size", "batch_size")
    plan = study.Plan(
        about="Of small networks.",
        steps=3,
        seeds=(0,),
        flags={name: FLAGS[name] for name in (*names, "stddev_group_size")},
        rows={"a": {}, "b": {"sparsity": "soft_top_k"}},
        evaluate={},
    )
    times = study.step_times(plan)
    assert list(times) == ["a", "b"]
    assert min(times.values()) > 0
