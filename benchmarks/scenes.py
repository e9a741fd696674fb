"""Scenes: what can be had without training, and what they look like.

    python -m benchmarks.scenes --baselines [--sets=binarized,textured --count=320]
    python -m benchmarks.scenes --sheet=docs/scenes/sheet.png

The first scores segmentations that need no training on the test scenes, beside what an
earlier implementation found, writes OUT/baselines.json and prints a table for each set.
Rows that are there already are not made again, so that it can be stopped. The second
draws ten test scenes of every set, and below each its visible masks.
"""

import argparse
import json
import pathlib
import sys
from typing import Any

import numpy as np
from tqdm import tqdm

from benchmarks import scene_baselines
from hcm_tf import files
from hcm_tf.config import DataConfig
from hcm_tf.data import load_scenes, scene_source
from hcm_tf.data.scenes import RECIPES
from hcm_tf.errors import UserError
from hcm_tf.evaluate import scene_scores
from hcm_tf.evaluate.segment_pictures import PALETTE
from hcm_tf.images import grid, write_png

# Beyond so many standard errors two measurements are said to differ.
MOST_ERRORS = 3.0

_SHOWN = 10

Table = dict[str, Any]


def main() -> None:
    """Flags -> tables or pictures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--baselines", action="store_true", help="Score them.")
    add("--sheet", type=pathlib.Path, help="PNG file to draw the sets to.")
    add("--sets", default=",".join(scene_baselines.SETS), help="To be scored.")
    add("--count", type=int, default=scene_source.TEST_SCENES, help="Test scenes.")
    add("--out", type=pathlib.Path, default=pathlib.Path("docs/scenes"))
    add("--manual_dir", default="", help="As for train_main.py.")
    options = parser.parse_args()
    if not options.baselines and options.sheet is None:
        parser.error("give --baselines or --sheet=PATH")
    try:
        if options.sheet is not None:
            write_png(options.sheet, sheet(options.manual_dir))
            print(options.sheet)
        if options.baselines:
            names = options.sets.split(",")
            path = options.out / "baselines.json"
            print(markdown(measure(path, names, options.count, options.manual_dir)))
    except UserError as error:
        sys.exit(f"benchmarks.scenes: {error}")


def sheet(manual_dir: str = "") -> np.ndarray:
    """Two rows of pictures for each set, in the order of `RECIPES`: images and masks.

    Returns:
        uint8 `(height, width, 3)`.
    """
    pictures = []
    for name in RECIPES:
        scenes = load_scenes(_data(name, manual_dir), _SHOWN)
        pictures += [np.broadcast_to(scene.image, (64, 64, 3)) for scene in scenes]
        pictures += [PALETTE[scene.labels] for scene in scenes]
    return grid(np.stack(pictures), _SHOWN, gap=2)


def measure(
    path: pathlib.Path, names: list[str], count: int, manual_dir: str = ""
) -> Table:
    """Scores every baseline on every set, and stores each row as it is made.

    Args:
        path: of the table, JSON; rows in it are kept.
        names: sets, of `scene_baselines.SETS`.
        count: test scenes of each.
        manual_dir: where the items of `fashion_items` are.

    Raises:
        UserError: there is no such set, a number of scenes is out of range, or the
            table is of another number of scenes.
    """
    unknown = [name for name in names if name not in scene_baselines.SETS]
    if unknown:
        raise UserError(
            f"--sets: unknown {', '.join(unknown)}. There are "
            f"{', '.join(scene_baselines.SETS)}."
        )
    if not 2 <= count <= scene_source.TEST_SCENES:
        raise UserError(
            f"--count must be between 2 and {scene_source.TEST_SCENES}. "
            f"Received: {count}"
        )
    table = _begun(path, count)
    for name in names:
        rows = table["sets"].setdefault(name, {})
        segmenters = scene_baselines.baselines(name)
        missing = [baseline for baseline in segmenters if baseline not in rows]
        if not missing:
            continue
        scenes = scene_baselines.test_scenes(name, count, _data(name, manual_dir))
        for baseline in tqdm(missing, desc=name, disable=None):
            rows[baseline] = scene_scores.score(segmenters[baseline], scenes)
            files.write(path, json.dumps(table, indent=1) + "\n")
    for name, rows in table["sets"].items():
        for baseline, row in rows.items():
            row["first"] = scene_baselines.compared(name, baseline, row)
    files.write(path, json.dumps(table, indent=1) + "\n")
    return table


def markdown(table: Table) -> str:
    """A table for each set, and what differs from the first measurement."""
    return "\n".join(_of_set(name, rows) for name, rows in table["sets"].items())


def differing(rows: dict[str, Any]) -> list[str]:
    """What is beyond `MOST_ERRORS` of the first measurement, a line each."""
    return [
        f"{baseline}: {one['score']} {row[one['score']]['mean']:.3f} against "
        f"{_as_given(one['first'])}"
        for baseline, row in rows.items()
        for one in row["first"]
        if one["errors_apart"] is None or one["errors_apart"] > MOST_ERRORS
    ]


def _of_set(name: str, rows: dict[str, Any]) -> str:
    scores = list(scene_scores.SCORES)
    heading = ["without training", *scores, "first measured", "errors apart"]
    lines = [f"\n### {name}\n", _line(heading), "|" + "---|" * len(heading)]
    for baseline, row in rows.items():
        cells = [f"{row[one]['mean']:.3f} ± {row[one]['error']:.3f}" for one in scores]
        first = " / ".join(_as_given(one["first"]) for one in row["first"])
        apart = " / ".join(
            "never varies"
            if one["errors_apart"] is None
            else f"{one['errors_apart']:.1f}"
            for one in row["first"]
        )
        lines.append(_line([baseline, *cells, first or "-", apart or "-"]))
    differ = differing(rows)
    if differ:
        lines.append(f"\nMore than {MOST_ERRORS:g} errors apart: {'; '.join(differ)}.")
    return "\n".join(lines)


def _as_given(value: float) -> str:
    """With the digits that it was given with."""
    return f"{value:.2f}" if round(value, 2) == value else f"{value:.3f}"


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _begun(path: pathlib.Path, count: int) -> Table:
    if not path.exists():
        return {"count": count, "sets": {}}
    table = json.loads(path.read_text())
    if table["count"] != count:
        raise UserError(
            f"{path} is of {table['count']} scenes, and not of {count}: name another "
            "--out, or remove it."
        )
    return table


def _data(name: str, manual_dir: str) -> DataConfig:
    return DataConfig(dataset=f"scenes/{name}", manual_dir=manual_dir)


if __name__ == "__main__":
    main()
