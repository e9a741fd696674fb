"""What is said of drawn scenes as Markdown: counts, distances, and edits."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hcm_tf.evaluate.parsing_table import cell, line
from hcm_tf.evaluate.scene_leakage import FOUND

_SETS = ("samples", "reconstructions", "test scenes")


def markdown(results: Mapping[str, dict[str, Any]]) -> str:
    """Markdown for runs on the same scenes: four tables.

    Args:
        results: what `drawn.evaluate` stores of each run, by its name.
    """
    found = [_counts, _histograms, _distances, _edits]
    return "\n\n".join("\n".join(table(results)) for table in found)


def _counts(results: Mapping[str, dict[str, Any]]) -> Iterator[str]:
    """How often each counter is right, and how far counts are from real ones."""
    yield from _heading(
        [
            *("run", "objects counted by"),
            *("right, test scenes", "right, reconstructions"),
            *(f"total variation, {name}" for name in _SETS),
        ]
    )
    for run, found in results.items():
        for name, counter in found["counters"].items():
            right = counter["right"]
            values = [found["sets"][one]["total_variation"].get(name) for one in _SETS]
            yield line(
                [
                    *(run, name),
                    *(cell(right[one]) for one in ("test scenes", "reconstructions")),
                    *(_interval(value) for value in values),
                ]
            )


def _histograms(results: Mapping[str, dict[str, Any]]) -> Iterator[str]:
    """Which part of the images has so many objects."""
    every = [
        (run, f"{kind}, {name}", counts)
        for run, found in results.items()
        for kind, one in (
            *found["sets"].items(),
            ("training scenes", found["training_scenes"]),
        )
        for name, counts in one["counts"].items()
    ]
    length = max((len(counts) for *_, counts in every), default=1)
    yield from _heading(["run", "images, counted by", *map(str, range(length))])
    for run, name, counts in every:
        parts = [count / sum(counts) for count in counts]
        parts += [0.0] * (length - len(parts))
        yield line([run, name, *(f"{part:.3f}" for part in parts)])


def _distances(results: Mapping[str, dict[str, Any]]) -> Iterator[str]:
    """Frechet, and the objects' areas and shapes."""
    yield from _heading(
        [
            *("run", "images", "Frechet", "objects found"),
            *("mean area", "area, W1", "mean shape", "shape, W1"),
        ]
    )
    for run, found in results.items():
        for name in _SETS:
            one = found["sets"][name]
            area, shape = one["area"], one["shape"]
            yield line(
                [
                    *(run, name, _interval(one["frechet"]), str(area["objects"])),
                    *(_number(area["mean"], 2), _number(one["area_distance"], 2)),
                    *(_number(shape["mean"], 3), _number(one["shape_distance"], 3)),
                ]
            )


def _edits(results: Mapping[str, dict[str, Any]]) -> Iterator[str]:
    """Change and leakage of every edit, of all objects and of those found."""
    yield from _heading(
        [
            *("run", "objects", "edit, gates", "change of the object"),
            *("leakage, others", "leakage, background"),
            *("control, others", "control, background"),
        ]
    )
    names = ("own", "others", "background", "control_others", "control_background")
    for run, found in results.items():
        edits = found["edits"]
        for which, count, rows in (
            ("all", edits["objects"], edits["all"]),
            (f"overlap at least {FOUND}", edits["found"], edits["of_found"]),
        ):
            for edit, row in rows.items():
                values = [cell(row[name]) for name in names]
                yield line([run, f"{which}: {count}", edit, *values])


def _heading(names: Sequence[str]) -> Iterator[str]:
    yield line(names)
    yield "|" + "---|" * len(names)


def _interval(value: Mapping[str, float] | None) -> str:
    if value is None:
        return "-"
    margin = value["high"] - value["value"]
    return f"{value['value']:.3f} ± {margin:.3f}"


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
