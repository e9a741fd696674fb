"""Draws the tables of a study: python -m benchmarks.study_plots --results=docs/study

For each PLAN.json a PLAN.png: every row's seeds as dots, their mean and standard
deviation as a bar. For the plans of FRONTIER error-bits.png: error against the length
of the code, by which rules that keep more can be compared with those that keep less.
With --runs=runs/study also PLAN-samples.jpg: the first eight samples of the first seed
of every row, where the run is still there. Needs requirements-plots.txt, and nothing of
TensorFlow.
"""

import argparse
import json
import math
import pathlib
import statistics
from collections.abc import Callable
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from PIL import Image

Run = dict[str, Any]
# What the axis says, the value of a run, and what of it is left out beyond that many
# times the median of the rows, since it would squeeze the others.
MEASURES: tuple[tuple[str, Callable[[Run], float], float], ...] = (
    ("Frechet distance, parts", lambda run: run["frechet parts"], 1.6),
    ("Frechet distance, random", lambda run: run["frechet random"], 1.6),
    ("reconstruction error,\nof the pixels' variance", lambda run: run["error"], 1.6),
    ("bits of attributes", lambda run: run["bits attributes"], math.inf),
    ("attributes never active", lambda run: run["never attributes"], math.inf),
    (
        "consistency of 8x8 units\nabove another unit's",
        lambda run: run["consistency"] - run["consistency of others"],
        math.inf,
    ),
)
# The plan whose rows lie on a curve, and that whose rows are points beside it.
FRONTIER = ("k", "sparsities")
SHOWN = 8
INK, FAINT, ACCENT = "#1d1f23", "#b9bcc2", "#b04a1c"


def main() -> None:
    """Flags -> pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", default="docs/study", type=pathlib.Path)
    parser.add_argument("--runs", type=pathlib.Path)
    options = parser.parse_args()
    tables = {}
    for path in sorted(options.results.glob("*.json")):
        table = json.loads(path.read_text())
        if not table["runs"]:  # Only its steps were timed.
            continue
        tables[path.stem] = table
        plot(table, path.with_suffix(".png"))
        print(path.with_suffix(".png"))
        if options.runs:
            out = path.with_name(f"{path.stem}-samples.jpg")
            if samples(table, options.runs / path.stem, out):
                print(out)
    if all(name in tables for name in FRONTIER):
        curve, points = (tables[name] for name in FRONTIER)
        frontier(curve, points, options.results / "error-bits.png")
        print(options.results / "error-bits.png")


def rows_of(table: dict[str, Any]) -> dict[str, list[Run]]:
    """Runs of each row that has any, in the order of the plan."""
    found: dict[str, list[Run]] = {row: [] for row in table["plan"]["rows"]}
    for run in table["runs"].values():
        found[run["row"]].append(run)
    return {row: runs for row, runs in found.items() if runs}


def values_of(runs: list[Run], of_run: Callable[[Run], float]) -> list[float]:
    """Values of the runs that have one."""
    found = []
    for run in runs:
        try:
            found.append(of_run(run))
        except (KeyError, TypeError):  # Not measured, or null: nothing to measure.
            continue
    return [one for one in found if one is not None]


def plot(table: dict[str, Any], path: pathlib.Path) -> None:
    """One panel a measure, one line a row, a dashed line at the plan's reference."""
    rows = rows_of(table)
    shown = {
        about: ([values_of(runs, of_run) for runs in rows.values()], beyond)
        for about, of_run, beyond in MEASURES
    }
    shown = {about: (v, beyond) for about, (v, beyond) in shown.items() if any(v)}
    # Of two sets of features the first: what knows faces, where there are any.
    for about in [about for about in shown if about.startswith("Frechet")][1:]:
        del shown[about]
    figure, panels = plt.subplots(
        *(1, len(shown)),
        sharey=True,
        figsize=(2.1 * len(shown) + 2, 0.3 * len(rows) + 1.4),
        squeeze=False,
    )
    reference = table["plan"].get("reference")
    for panel, (about, (values, beyond)) in zip(panels[0], shown.items(), strict=True):
        _panel(panel, values, beyond)
        if reference in rows:
            mean = statistics.mean(values[list(rows).index(reference)])
            panel.axvline(mean, color=FAINT, linestyle="--", linewidth=0.8, zorder=0)
        panel.set_xlabel(about, fontsize=9, color=INK)
    panels[0][0].set_yticks(range(len(rows)), list(rows), fontsize=9)
    panels[0][0].invert_yaxis()
    runs = sum(map(len, rows.values()))
    figure.suptitle(
        f"{table['plan']['about']} {runs} runs: dots; mean and standard deviation: "
        "bars; beyond the axis: numbers.",
        fontsize=9,
        color=INK,
    )
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _panel(panel: Axes, rows: list[list[float]], beyond: float) -> None:
    """Dots and a bar for each row; a number for one far beyond the others."""
    means = [statistics.mean(values) for values in rows if values]
    limit = beyond * statistics.median(means)
    inside = []
    for height, values in enumerate(rows):
        if not values:
            continue
        mean = statistics.mean(values)
        if mean > limit:
            panel.annotate(
                f"{mean:,.3g}" if mean < 1000 else f"{mean:,.0f}",
                (1, height),
                xycoords=("axes fraction", "data"),
                ha="right",
                va="center",
                fontsize=8,
                color=ACCENT,
            )
            continue
        spread = statistics.stdev(values) if len(values) > 1 else 0.0
        inside += [*values, mean - spread, mean + spread]
        panel.errorbar(
            *(mean, height, None),
            xerr=spread,
            fmt="|",
            markersize=9,
            color=ACCENT,
            capsize=2,
        )
        panel.plot(values, [height] * len(values), "o", ms=3, color=INK, alpha=0.6)
    room = 0.08 * (max(inside) - min(inside) or 1.0)
    panel.set_xlim(min(inside) - room, max(inside) + room)
    panel.xaxis.set_major_locator(MaxNLocator(4))
    panel.grid(axis="x", color=FAINT, linewidth=0.4)
    panel.tick_params(labelsize=8)
    panel.spines[["top", "right", "left"]].set_visible(False)


def frontier(curve: dict[str, Any], points: dict[str, Any], path: pathlib.Path) -> None:
    """Error against bits: the rows of one plan joined, those of another beside them."""

    def means(runs: list[Run]) -> tuple[float, float]:
        names = ("bits attributes", "error")
        bits, error = (statistics.mean(run[name] for run in runs) for name in names)
        return bits, error

    figure, panel = plt.subplots(figsize=(8, 4.6))
    joined = {row: means(runs) for row, runs in rows_of(curve).items()}
    panel.plot(*zip(*joined.values(), strict=True), "-o", color=ACCENT, ms=4)
    highest = 1.1 * max(error for _, error in joined.values())
    beside = {row: means(runs) for row, runs in rows_of(points).items()}
    beside.pop(points["plan"].get("reference", ""), None)  # A point of the curve.
    beside = {row: place for row, place in beside.items() if place[1] <= highest}
    panel.plot(*zip(*beside.values(), strict=True), "o", color=INK, ms=4)
    named = [(f"k {row}", place, ACCENT) for row, place in joined.items()]
    named += [(row, place, INK) for row, place in beside.items()]
    lowered = []
    for name, (bits, error), color in sorted(named, key=lambda one: -one[1][1]):
        width = 1.045 ** len(name)  # A factor, on this axis.
        # To the left where another point would be under the name, and of the curve.
        left = color == ACCENT or any(
            1 <= x / bits < width and abs(y - error) < 0.012
            for _, (x, y), _ in named
            if (x, y) != (bits, error)
        )
        lower = 0.0
        if left:  # Names to the left of neighbours stand below each other.
            beside = [y for x, end, y in lowered if x < bits and bits / width < end]
            lower = max(0.0, 0.013 - min((y - error for y in beside), default=1.0))
            lowered.append((bits / width, bits, error - lower))
        panel.annotate(
            name,
            (bits, error - lower),
            xytext=(-5 if left else 5, -3),
            textcoords="offset points",
            ha="right" if left else "left",
            fontsize=8,
            color=color,
        )
    panel.margins(0.08)
    panel.set_xscale("log")
    ticks = (100, 200, 500, 1000, 2000)
    panel.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    panel.xaxis.set_minor_formatter(plt.NullFormatter())
    panel.set_xlabel("bits of attributes, 4 a value", fontsize=9, color=INK)
    panel.set_ylabel("reconstruction error, of the pixels' variance", fontsize=9)
    panel.grid(color=FAINT, linewidth=0.4)
    panel.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def samples(table: dict[str, Any], runs: pathlib.Path, path: pathlib.Path) -> bool:
    """The first samples of every row's first seed that is still there, as one picture.

    Returns:
        Whether there was any.
    """
    found = {}
    for row, seeds in rows_of(table).items():
        for run in sorted(seeds, key=lambda run: run["seed"]):
            workdir = runs / f"{row.replace(' ', '_')}-{run['seed']}"
            pictures = sorted(workdir.glob("images/samples-*.png"))
            if pictures:
                found[row] = _first(pictures[-1])
                break
    if not found:
        return False
    figure, panels = plt.subplots(
        *(len(found), 1), figsize=(7.5, 0.72 * len(found)), squeeze=False
    )
    for panel, (row, strip) in zip(panels[:, 0], found.items(), strict=True):
        panel.imshow(strip, cmap="gray", interpolation="nearest")
        panel.set_xticks([])
        panel.set_yticks([])
        panel.set_ylabel(
            row.replace(", ", ",\n"), rotation=0, ha="right", va="center", fontsize=7
        )
        for spine in panel.spines.values():
            spine.set_visible(False)
    figure.tight_layout(pad=0.3)
    figure.savefig(path, dpi=110, bbox_inches="tight", pil_kwargs={"quality": 88})
    plt.close(figure)
    return True


def _first(path: pathlib.Path) -> np.ndarray:
    """The first row of a grid of eight by eight."""
    with Image.open(path) as picture:
        pixels = np.asarray(picture)
    side = pixels.shape[1] // SHOWN
    return pixels[:side]


if __name__ == "__main__":
    main()
