"""The numbers side by side: a row for each measure, a column for each run."""

import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple


class Row(NamedTuple):
    """One measure of all runs.

    section: a heading it stands under.
    name: of the measure.
    better: which way is better, in a word; "" where neither is.
    cells: one text for each run.
    floor: of the first run that has one: what real images have.
    """

    section: str
    name: str
    better: str
    cells: tuple[str, ...]
    floor: str


HIGHER = {"precision", "recall", "density", "coverage"}
PLACING = {
    "spread": "spread of positions, in cells of the 8x8 map",
    "presence": "mean presence",
    "ratio": "error with all parts at home, over the error",
}
SIMILARITIES = ("psnr", "ssim", "ms_ssim")


def rows(results: Mapping[str, dict[str, Any]]) -> list[Row]:
    """The table's rows; a run that lacks a measure has an empty cell.

    Args:
        results: by the run's name, what `evaluation.json` holds.
    """
    found: dict[tuple[str, str], dict[str, tuple[str, str]]] = {}
    better: dict[tuple[str, str], str] = {}
    for run, result in results.items():
        for section, name, way, value, floor in _measures(result):
            found.setdefault((section, name), {})[run] = (value, floor)
            better[section, name] = way
    return [
        Row(
            section=section,
            name=name,
            better=better[section, name],
            cells=tuple(cells.get(run, ("", ""))[0] for run in results),
            floor=next((floor for _, floor in cells.values() if floor), ""),
        )
        for (section, name), cells in found.items()
    ]


def markdown(results: Mapping[str, dict[str, Any]]) -> str:
    """The table for a screen or a document."""
    head = ["measure", *results, "real images"]
    cells = [
        [f"{row.section}: {row.name}{_arrow(row.better)}", *row.cells, row.floor]
        for row in rows(results)
    ]
    widths = [max(map(len, column)) for column in zip(head, *cells, strict=True)]
    lines = [head, ["-" * width for width in widths], *cells]
    return "\n".join(
        "| "
        + " | ".join(
            cell.ljust(width) if index == 0 else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        + " |"
        for line in lines
    )


def number(value: float | None) -> str:
    """Three significant digits, and more before the point."""
    if value is None or not math.isfinite(value):
        return "-"
    if value == 0 or abs(value) >= 100:
        return f"{value:.0f}"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:.{digits}f}" if digits <= 6 else f"{value:.1e}"


def _arrow(better: str) -> str:
    return f" ({better} is better)" if better else ""


def _estimate(found: Mapping[str, Any]) -> str:
    margin = (found["high"] - found["low"]) / 2
    return f"{number(found['value'])} ± {number(margin)}"


def _measures(result: dict[str, Any]) -> Iterator[tuple[str, str, str, str, str]]:
    """(section, name, better, value, floor) of every row of one run."""
    yield from _samples(result.get("samples", {}))
    yield from _faces(result.get("faces", {}))
    yield from _reconstruction(result.get("reconstruction", {}))
    yield from _sparsity(result.get("sparsity", {}))
    yield from _rates(result.get("rate_distortion", {}))
    yield from _meaning(result.get("meaning", {}))


def _samples(samples: dict[str, Any]) -> Iterator[tuple[str, str, str, str, str]]:
    for size, found in samples.get("sliced_wasserstein", {}).items():
        name = f"sliced Wasserstein, {size} px"
        yield "samples", name, "less", _estimate(found), _estimate(found["floor"])
    for extractor, found in samples.get("features", {}).items():
        for name, each in found["distances"].items():
            way = "more" if name in HIGHER else "less"
            section = f"samples, {extractor}"
            yield section, name, way, _estimate(each), _estimate(each["floor"])


def _faces(faces: dict[str, Any]) -> Iterator[tuple[str, str, str, str, str]]:
    for kind, found in faces.get("memorisation", {}).items():
        section = f"copies, {kind}"
        share, floor = number(found["share"]), number(found["held_out_share"])
        yield section, "nearer to training than 95 % of held-out", "", share, floor
        yield section, "median distance over held-out", "", number(found["ratio"]), "1"
    if "sure" not in faces:
        return
    sure = faces["sure"]
    yield "labels", "sure", "more", number(sure["samples"]), number(sure["real"])
    both = {"mean": faces["mean_label_distance"], **faces["labels"]}
    for head, found in both.items():
        name = f"total variation, {head}"
        distance, floor = number(found["distance"]), number(found["floor"])
        yield "labels", name, "less", distance, floor
    for kind, found in faces["unseen"].items():
        samples, floor = number(found["samples"]), number(found["floor"])
        yield "labels", f"combination never seen, {kind}", "", samples, floor


def _reconstruction(found: dict[str, Any]) -> Iterator[tuple[str, str, str, str, str]]:
    for kind in ("encoded", "refined"):
        measured = found.get(kind, {})
        section = f"held-out, {kind} ({measured.get('count', found.get('count'))})"
        for name, each in measured.items():
            if isinstance(each, dict) and "value" in each:
                way = "more" if name in SIMILARITIES else "less"
                floor = "" if name == "psnr" else ("1" if way == "more" else "0")
                yield section, name.replace("_", " "), way, _estimate(each), floor
    placed = found.get("placing", {})
    for name, says in PLACING.items():
        if name in placed:
            yield "held-out, placing", says, "", number(placed[name]), ""
    kept = found.get("labels_kept")
    if kept:
        for kind in ("encoded", "refined"):
            if kind in kept["mean"]:
                value, floor = number(kept["mean"][kind]), number(kept["mean"]["real"])
                yield "held-out", f"labels kept, {kind}", "more", value, floor


def _sparsity(levels: dict[str, Any]) -> Iterator[tuple[str, str, str, str, str]]:
    for level, found in levels.items():
        for name in ("active", "fraction_kept", "never_active", "usage_entropy"):
            value = number(found[name])
            yield f"sparsity, {level}", name.replace("_", " "), "", value, ""


def _rates(rates: dict[str, Any]) -> Iterator[tuple[str, str, str, str, str]]:
    for level, points in rates.get("levels", {}).items():
        for point in points:
            others = ", ".join(
                f"{name} {number(point[name])}" for name in ("jpeg", "webp", "pca")
            )
            yield (
                f"code, {level}",
                f"error at {point['value_bits']} bits a value",
                "less",
                f"{number(point['error'])} ({point['bits']:.0f} bits; {others})",
                "",
            )


def _meaning(meaning: dict[str, Any]) -> Iterator[tuple[str, str, str, str, str]]:
    """What stands in brackets is what has no unit: it must be beaten."""
    for level, found in meaning.get("levels", {}).items():
        section = f"meaning, {level}"
        scores = found["overlap"]
        if scores["pairs"]:
            yield (
                section,
                "overlap of a part and its unit (other face; average place)",
                "more",
                f"{number(scores['unit_score'])} ({number(scores['other_face'])}; "
                f"{number(scores['average_place'])})",
                "",
            )
        same, other = (
            number(found["consistency"][name]) for name in ("same_unit", "other_unit")
        )
        name = "consistency of a unit (another unit at its place)"
        yield section, name, "more", f"{same} ({other})", ""
        for count, energy in found["explained"].items():
            yield section, f"energy of the strongest {count}", "", number(energy), ""
        edits = found.get("edits", {})
        if edits.get("cases"):
            for kind in ("own", "others"):
                unit, random = (number(edits[n][kind]) for n in ("unit", "random_unit"))
                what = "its own label" if kind == "own" else "each other label"
                name = f"removing it changes {what} (a random unit)"
                yield section, name, "", f"{unit} ({random})", ""
