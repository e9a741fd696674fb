"""Draws the tables of a study: python -m benchmarks.study_plots --results=docs/study

For each PLAN.json a PLAN.png: every row's seeds as dots, their mean and standard
deviation as a bar. With --runs=runs/study also PLAN-samples.jpg: the first
eight samples of the first seed of every row, where the run is still there. Needs
requirements-plots.txt, and nothing of TensorFlow.
"""

import argparse
import json
import pathlib
import statistics
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

# Column of the table, what the axis says, and whether its range is better logarithmic.
MEASURES = (
    ("frechet {features}", "Frechet distance, {features}", True),
    ("error", "reconstruction error,\nof the pixels' variance", True),
    ("never attributes", "attributes never active", False),
    ("consistency", "consistency of 8x8 units", False),
)
SHOWN = 8
INK, FAINT, ACCENT = "#1d1f23", "#b9bcc2", "#b04a1c"


def main() -> None:
    """Flags -> pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", default="docs/study", type=pathlib.Path)
    parser.add_argument("--runs", type=pathlib.Path)
    options = parser.parse_args()
    for path in sorted(options.results.glob("*.json")):
        table = json.loads(path.read_text())
        if not table["runs"]:  # Only its steps were timed.
            continue
        plot(table, path.with_suffix(".png"))
        print(path.with_suffix(".png"))
        if options.runs:
            out = path.with_name(f"{path.stem}-samples.jpg")
            if samples(table, options.runs / path.stem, out):
                print(out)


def rows_of(table: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Runs of each row that has any, in the order of the plan."""
    found: dict[str, list[dict[str, Any]]] = {row: [] for row in table["plan"]["rows"]}
    for run in table["runs"].values():
        found[run["row"]].append(run)
    return {row: runs for row, runs in found.items() if runs}


def plot(table: dict[str, Any], path: pathlib.Path) -> None:
    """One panel a measure, one line a row."""
    rows = rows_of(table)
    some = next(iter(rows.values()))[0]
    features = "parts" if "frechet parts" in some else "random"
    shown = [
        (name.format(features=features), about.format(features=features), log)
        for name, about, log in MEASURES
    ]
    shown = [one for one in shown if some.get(one[0]) is not None]
    figure, panels = plt.subplots(
        *(1, len(shown)),
        sharey=True,
        figsize=(3 * len(shown) + 2, 0.32 * len(rows) + 1.2),
        squeeze=False,
    )
    for panel, (name, about, log) in zip(panels[0], shown, strict=True):
        for height, runs in enumerate(rows.values()):
            values = [run[name] for run in runs if run.get(name) is not None]
            if not values:
                continue
            mean = statistics.mean(values)
            spread = statistics.stdev(values) if len(values) > 1 else 0.0
            # A logarithm has no room for a bar that reaches 0.
            low = min(spread, 0.9 * mean) if log else spread
            panel.errorbar(
                *(mean, height, None),
                xerr=[[low], [spread]],
                fmt="|",
                markersize=9,
                color=ACCENT,
                capsize=2,
            )
            panel.plot(values, [height] * len(values), "o", ms=3, color=INK, alpha=0.6)
        panel.set_xlabel(about, fontsize=8, color=INK)
        panel.grid(axis="x", color=FAINT, linewidth=0.4)
        panel.tick_params(labelsize=8)
        panel.spines[["top", "right", "left"]].set_visible(False)
        if log:
            panel.set_xscale("log")
            panel.xaxis.set_minor_formatter(plt.NullFormatter())
            low, high = panel.get_xlim()
            ticks = [
                digit * 10.0**power
                for power in range(-3, 5)
                for digit in (1, 2, 5)
                if low <= digit * 10.0**power <= high
            ]
            panel.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    panels[0][0].set_yticks(range(len(rows)), list(rows), fontsize=8)
    panels[0][0].invert_yaxis()
    runs = sum(map(len, rows.values()))
    figure.suptitle(f"{table['plan']['about']} {runs} runs.", fontsize=9, color=INK)
    figure.tight_layout()
    figure.savefig(path, dpi=130)
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
