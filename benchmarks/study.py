"""Trains and measures the runs of a plan, and keeps one table of them.

    python -m benchmarks.study --plan=sparsities [--parallel=2]

A plan is a file of benchmarks/plans: flags that all runs share, rows of flags that
differ, and seeds. The first seed of all rows comes before the second, so that a study
that is stopped has compared something. Start the same command again, and it goes on
where it was: runs are resumed, finished ones are not repeated. The table, RESULTS/
PLAN.json, is written anew after every run. `--parallel` runs at a time share the cores:
small networks do not use two cores twice as well as one.

With `"equal": "time"` rows take as many steps as they can in the time that the plan's
steps take the row `reference`; the time of a step is measured before, of all rows in
turn, and kept in the table.
"""

import argparse
import dataclasses
import json
import math
import os
import pathlib
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent import futures
from typing import Any

from benchmarks import measure
from hcm_tf import files
from hcm_tf.config import ExperimentConfig

ROOT = pathlib.Path(__file__).parents[1]
PLANS = pathlib.Path(__file__).parent / "plans"
TIMED_ROUNDS = 15
LEVEL = "8x8"  # Of the parts: where consistency and edits are taken from.
# What the printed table shows of a run, the file having more: heading, value, and value
# that is taken from it.
COLUMNS = (
    ("Frechet, parts", "frechet parts", ""),
    ("Frechet, random", "frechet random", ""),
    ("sliced Wasserstein, 64", "sliced wasserstein 64", ""),
    ("16", "sliced wasserstein 16", ""),
    ("sure", "sure", ""),
    ("error, encoded", "error", ""),
    ("bits of attributes", "bits attributes", ""),
    ("active: attributes", "kept attributes", ""),
    ("8x8", "kept 8x8", ""),
    ("16x16", "kept 16x16", ""),
    ("32x32", "kept 32x32", ""),
    ("attributes never active", "never attributes", ""),
    ("consistency above another unit's", "consistency", "consistency of others"),
)
# What is asked for too, and tells the rows less apart.
FURTHER = (
    ("error at 4 bits a value, attributes", "error at bits attributes", ""),
    ("SSIM, encoded", "ssim", ""),
    ("part changed by its unit", "part changed", ""),
    ("by another", "part changed by chance", ""),
    ("maps never active: 8x8", "never 8x8", ""),
    ("16x16", "never 16x16", ""),
    ("32x32", "never 32x32", ""),
)
# Of the same seed of the plan's reference, in a table of differences.
COMPARED = {"frechet parts", "frechet random", "sure", "error", "bits attributes"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """Runs to compare.

    Attributes:
        about: what is asked.
        steps: of every run, or of the reference's with equal time.
        seeds: of every row.
        flags: of all runs, by name.
        rows: flags of each row, by its name.
        evaluate: flags of `hcm_tf.evaluate`.
        equal: "steps" or "time".
        reference: row that the others are compared with, and whose time they have.
    """

    about: str
    steps: int
    seeds: tuple[int, ...]
    flags: dict[str, Any]
    rows: dict[str, dict[str, Any]]
    evaluate: dict[str, Any]
    equal: str = "steps"
    reference: str = ""

    def runs(self) -> list[tuple[str, int]]:
        """(row, seed) in the order in which they are trained."""
        return [(row, seed) for seed in self.seeds for row in self.rows]


def read(name: str) -> Plan:
    """The plan of a name, or of a file."""
    path = pathlib.Path(name)
    path = path if path.suffix else PLANS / f"{name}.json"
    values = json.loads(path.read_text())
    return Plan(**{**values, "seeds": tuple(values["seeds"])})


def main() -> None:
    """Flags -> table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plan", required=True)
    parser.add_argument("--out", default="runs/study", type=pathlib.Path)
    parser.add_argument("--results", default="docs/study", type=pathlib.Path)
    parser.add_argument(
        "--seeds", type=int, help="take the first ones only; 0 measures steps alone"
    )
    parser.add_argument("--parallel", default=1, type=int, help="runs at a time")
    options = parser.parse_args()
    plan, name = read(options.plan), pathlib.Path(options.plan).stem
    path = options.results / f"{name}.json"
    table = json.loads(path.read_text()) if path.exists() else {"runs": {}}
    table |= {"plan": dataclasses.asdict(plan)}
    cores = shares(os.sched_getaffinity(0), options.parallel)
    if plan.equal == "time" and set(table.get("step_ms", {})) != set(plan.rows):
        os.sched_setaffinity(0, cores[0])  # Before TensorFlow counts them.
        table["step_ms"] = step_times(plan)
        files.write(path, json.dumps(table, indent=1) + "\n")
    plan = dataclasses.replace(plan, seeds=plan.seeds[: options.seeds])
    study = _Study(plan, table, path, options.out / name)
    with futures.ThreadPoolExecutor(len(cores)) as pool:
        workers = [pool.submit(study.work, own) for own in cores]
        try:
            for worker in futures.as_completed(workers):
                worker.result()
        finally:
            study.stopping = True
    print(summary(table))
    if study.failed:
        sys.exit(f"Failed, and missing in the table: {'; '.join(study.failed)}.")


def shares(cores: set[int], number: int) -> list[set[int]]:
    """The machine's cores, dealt to runs that are trained beside each other.

    Raises:
        SystemExit: fewer cores than runs.
    """
    if not 1 <= number <= len(cores):
        sys.exit(f"--parallel={number}: this machine has 1 to {len(cores)} cores.")
    return [set(sorted(cores)[first::number]) for first in range(number)]


class _Study:
    """Takes the runs of a plan that are missing in its table, one after the other.

    Attributes:
        stopping: whether the runs under way are the last.
        failed: runs that ended with an error, which the others do not wait for.
    """

    def __init__(
        self, plan: Plan, table: dict[str, Any], path: pathlib.Path, out: pathlib.Path
    ) -> None:
        self.stopping = False
        self.failed: list[str] = []
        self._plan, self._table, self._path, self._out = plan, table, path, out
        numbered = enumerate(plan.runs(), start=1)
        self._todo = (
            (number, *run)
            for number, run in numbered
            if _key(*run) not in table["runs"]
        )
        self._lock = threading.Lock()

    def work(self, cores: set[int]) -> None:
        """Trains and measures what is next, on these cores, until nothing is left."""
        os.sched_setaffinity(0, cores)  # Of this thread, and so of its processes.
        while not self.stopping:
            with self._lock:
                number, row, seed = next(self._todo, (0, "", 0))
            if not number:
                return
            print(
                f"{number} of {len(self._plan.runs())}: {_key(row, seed)}", flush=True
            )
            try:
                values = self._run(row, seed)
            except subprocess.CalledProcessError as error:
                if not self.stopping:
                    print(f"Failed: {_key(row, seed)}: {error}", flush=True)
                    self.failed.append(_key(row, seed))
                continue
            except BaseException:
                self.stopping = True
                raise
            if values is not None:
                with self._lock:
                    self._table["runs"][_key(row, seed)] = values
                    self._table["runs"] = in_order(self._table)
                    files.write(self._path, json.dumps(self._table, indent=1) + "\n")

    def _run(self, row: str, seed: int) -> dict[str, Any] | None:
        """What the table says of a run; None if it was interrupted."""
        plan, steps = self._plan, self._plan.steps
        if plan.equal == "time":
            times = self._table["step_ms"]
            steps = round(steps * times[plan.reference] / times[row])
        workdir = self._out / f"{row.replace(' ', '_')}-{seed}"
        began = time.time()
        train(plan, row, seed, steps, workdir)
        if self.stopping:
            return None
        trained = time.time()
        result = evaluate(plan, workdir)
        return {
            "row": row,
            "seed": seed,
            "steps": steps,
            **columns(result),
            "training_seconds": round(trained - began, 1),
            "evaluation_seconds": round(time.time() - trained, 1),
            "machine": measure.machine(),
        }


def in_order(table: dict[str, Any]) -> dict[str, Any]:
    """The runs of a table as its plan has them, whatever was finished first."""
    rows = list(table["plan"]["rows"])
    order = {(run["row"], run["seed"]): key for key, run in table["runs"].items()}
    return {
        order[row, seed]: table["runs"][order[row, seed]]
        for seed in sorted({seed for _, seed in order})
        for row in sorted({row for row, _ in order}, key=rows.index)
        if (row, seed) in order
    }


def _key(row: str, seed: int) -> str:
    return f"{row}, seed {seed}"


def flags_of(plan: Plan, row: str, seed: int, steps: int) -> dict[str, Any]:
    """All flags of a run but its directory.

    With fewer steps than the plan's the learning rate falls over as many fewer, so that
    slow rows have their share of steps at the whole rate.
    """
    flags = {**plan.flags, **plan.rows[row], "seed": seed, "steps": steps}
    if "cooldown_steps" in flags:
        flags["cooldown_steps"] = round(flags["cooldown_steps"] * steps / plan.steps)
    return flags


def train(plan: Plan, row: str, seed: int, steps: int, workdir: pathlib.Path) -> None:
    """Trains a run, or goes on with it."""
    flags = {**flags_of(plan, row, seed, steps), "workdir": workdir}
    _command(["train_main.py"], flags)


def evaluate(plan: Plan, workdir: pathlib.Path) -> dict[str, Any]:
    """What `hcm_tf.evaluate` writes of a run."""
    _command(["-m", "hcm_tf.evaluate"], {**plan.evaluate, "run_dir": workdir})
    return json.loads((workdir / "evaluation.json").read_text())


def _command(words: list[str], flags: dict[str, Any]) -> None:
    arguments = [f"--{name}={_text(value)}" for name, value in flags.items()]
    subprocess.run([sys.executable, *words, *arguments], check=True, cwd=ROOT)


def _text(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def columns(result: dict[str, Any]) -> dict[str, Any]:
    """The columns of the table, of an evaluation."""
    samples, faces = result["samples"], result["faces"]
    found = {
        f"frechet {name}": about["distances"]["frechet"]["value"]
        for name, about in samples["features"].items()
    }
    for size, distance in samples["sliced_wasserstein"].items():
        found[f"sliced wasserstein {size}"] = distance["value"]
    if "sure" in faces:
        found["sure"] = faces["sure"]["samples"]
    encoded = result["reconstruction"]["encoded"]
    found["error"] = encoded["of_pixel_variance"]["value"]
    found["ssim"] = encoded["ssim"]["value"]
    for level, about in result["sparsity"].items():
        found[f"kept {level}"] = about["fraction_kept"]
        found[f"never {level}"] = about["never_active"]
    for level, points in result["rate_distortion"]["levels"].items():
        point = next(p for p in points if p["value_bits"] == 4)
        found[f"bits {level}"] = point["bits"]
        found[f"error at bits {level}"] = point["error"]
    about = result.get("meaning", {}).get("levels", {}).get(LEVEL)
    if about:
        found["consistency"] = about["consistency"]["same_unit"]
        found["consistency of others"] = about["consistency"]["other_unit"]
        # Without a unit for a part on any face there was nothing to edit.
        for column, unit in (("", "unit"), (" by chance", "random_unit")):
            edited = about["edits"].get(unit, {})
            found[f"part changed{column}"] = edited.get("own")
    return found


def step_times(plan: Plan) -> dict[str, float]:
    """Milliseconds of a training step of every row, measured in turn."""
    # Only here: the study itself is processes.
    import numpy as np
    import tensorflow as tf

    from hcm_tf.runs import building

    def step(flags: dict[str, Any]) -> Any:
        config = configuration(flags)
        trainer = building.build_trainer(config, replicas=1)
        run = tf.function(trainer.train_step, autograph=False)
        model, batch = config.model, config.train.batch_size
        shape = (batch, model.image_size, model.image_size, model.image_channels)
        images = np.random.default_rng(0).uniform(-1, 1, shape).astype("float32")
        return lambda: float(run({"image": tf.constant(images)})["generator_loss"])

    steps = {
        row: step(flags_of(plan, row, plan.seeds[0], plan.steps)) for row in plan.rows
    }
    timed = measure.interleave(steps, rounds=TIMED_ROUNDS)
    return {row: about["ms"] for row, about in timed.items()}


def configuration(flags: dict[str, Any]) -> ExperimentConfig:
    """What the command would make of flags."""
    sections = {}
    for name, section in ExperimentConfig().sections():
        own = {field.name for field in dataclasses.fields(section)}
        values = {key: value for key, value in flags.items() if key in own}
        for key, value in values.items():
            if isinstance(getattr(section, key), tuple) and not isinstance(value, list):
                values[key] = [value]
        sections[name] = values
    return ExperimentConfig.from_json(sections)


def value(run: dict[str, Any], name: str, taken: str = "") -> float | None:
    """What a run has of a name, less what it has of another; None without either."""
    if run.get(name) is None or (taken and run.get(taken) is None):
        return None
    return run[name] - (run[taken] if taken else 0.0)


def by_row(table: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Runs of every row that has any."""
    rows: dict[str, list[dict[str, Any]]] = {}
    for run in table["runs"].values():
        rows.setdefault(run["row"], []).append(run)
    return rows


def summary(table: dict[str, Any]) -> str:
    """Mean and standard deviation over the seeds, as Markdown.

    With a reference also those of every run's differences from the run of the
    reference that has the same seed: what seeds share cancels there.
    """
    rows, parts = by_row(table), []
    if rows:
        parts = [_markdown(rows, _columns(COLUMNS))]
        reference = table.get("plan", {}).get("reference")
        other = {run["seed"]: run for run in rows.get(reference, ())}
        others = {row: runs for row, runs in rows.items() if row != reference}
        if other and others:
            differences = [
                (f"{heading}, less {reference}'s", _difference(name, other))
                for heading, name, _ in COLUMNS
                if name in COMPARED
            ]
            parts.append(_markdown(others, differences, digits=2))
        parts.append(_markdown(rows, _columns(FURTHER)))
    if table.get("step_ms"):
        times = table["step_ms"]
        first, steps = times[table["plan"]["reference"]], table["plan"]["steps"]
        lines = [
            "| row | ms a step | of the reference's | steps, in equal time |",
            "|---|---|---|---|",
        ]
        lines += [
            f"| {row} | {ms:.1f} | {ms / first:.2f} | {steps * first / ms:,.0f} |"
            for row, ms in times.items()
        ]
        parts.append("\n".join(lines))
    return "\n\n".join(filter(None, parts))


def _columns(
    named: tuple[tuple[str, str, str], ...],
) -> list[tuple[str, Callable[[dict[str, Any]], float | None]]]:
    return [
        (heading, lambda run, names=names: value(run, *names))
        for heading, *names in named
    ]


def _difference(
    name: str, other: dict[int, dict[str, Any]]
) -> Callable[[dict[str, Any]], float | None]:
    """A run -> its value less that of the other run of its seed."""

    def less(run: dict[str, Any]) -> float | None:
        its, others = value(run, name), value(other.get(run["seed"], {}), name)
        return None if its is None or others is None else its - others

    return less


def _markdown(
    rows: dict[str, list[dict[str, Any]]],
    columns: list[tuple[str, Callable[[dict[str, Any]], float | None]]],
    digits: int = 3,
) -> str:
    """One table: the columns that any run has, under their headings; "" of none."""
    every = [run for runs in rows.values() for run in runs]
    columns = [one for one in columns if any(one[1](run) is not None for run in every)]
    if not columns:
        return ""
    lines = [
        "| " + " | ".join(("row", "runs", *(heading for heading, _ in columns))) + " |",
        "|---" * (len(columns) + 2) + "|",
    ]
    for row, runs in rows.items():
        cells = [row, str(len(runs))]
        for _, of_run in columns:
            values = [of_run(run) for run in runs]
            cells.append(_spread([one for one in values if one is not None], digits))
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _spread(values: list[float], digits: int) -> str:
    """Mean, and the deviation as far as the mean's digits show it."""
    if not values:
        return ""
    mean = statistics.mean(values)
    if len(values) == 1:
        return _number(mean, digits)
    deviation = statistics.stdev(values)
    places = digits - 1 - math.floor(math.log10(abs(mean) or 1.0))
    deviation = round(float(f"{deviation:.1g}"), max(places, 0))
    return f"{_number(mean, digits)} ± {_number(deviation, 1)}"


def _number(value: float, digits: int) -> str:
    """With so many digits that count; large ones without an exponent."""
    rounded = float(f"{value:.{digits}g}")
    return f"{rounded:,.0f}" if abs(rounded) >= 1000 else f"{rounded:g}"


if __name__ == "__main__":
    main()
