"""The measurements behind `benchmarks.explanation`, and their tables."""

import collections
import dataclasses

import numpy as np

from hcm_tf import data
from hcm_tf.errors import UserError
from hcm_tf.explain.attribution import explained, shares
from hcm_tf.explain.decoder import Decoder, Recording
from hcm_tf.explain.refine import encode, refine
from hcm_tf.explain.units import Units
from hcm_tf.images import to_float
from hcm_tf.metrics import consistency, locality, overlap
from hcm_tf.runs import checkpoint

# Parts with fewer visible pixels than this are not looked for.
SMALLEST_PART = 8
COUNTS = (1, 4, 16, 64, 256, 1024)


@dataclasses.dataclass(frozen=True)
class LevelResult:
    """Means of one level over the test faces.

    Attributes:
        active: active units of a face.
        auc, iou: of the best unit for each part, over parts and faces; each with its
            value for the same maps moved to random places.
        area: part of the image that holds 90 % of the energy of a unit's picture.
        consistency: cosine between the pictures of one unit in two faces, and of two
            different units at the same place.
        leakage: part of the change that falls outside of the part, when its best
            unit is removed, and the same with the change moved to a random place.
        explained: energy explained by the strongest m units, for m of COUNTS; None
            above the number of units.
    """

    active: float
    auc: tuple[float, float]
    iou: tuple[float, float]
    area: float
    consistency: tuple[float, float]
    leakage: tuple[float, float]
    explained: tuple[float | None, ...]


@dataclasses.dataclass(frozen=True)
class Result:
    """What was measured of one run.

    Attributes:
        step: training steps of the run.
        error: mean squared error of encoded faces, and after refinement.
        levels: by name.
    """

    step: int
    error: tuple[float, float]
    levels: dict[str, LevelResult]


def measure(
    run_dir: str, *, images: int, units: int, refine_steps: int, seed: int
) -> Result:
    """Measures one run on the first test faces.

    Raises:
        UserError: no such run, or one that does not draw avatars of 64 pixels.
    """
    run = checkpoint.load(run_dir)
    size, channels = run.config.model.image_size, run.config.model.image_channels
    if run.config.data.dataset != "avatars" or (size, channels) != (64, 3):
        raise UserError(
            f"{run_dir} draws {run.config.data.dataset} at {size} pixels with "
            f"{channels} channel(s); part masks exist for avatars at 64, in colour."
        )
    faces, masks = data.load_parts(run.config.data)
    faces = to_float(faces[:images])
    masks = np.stack([mask[:images] for mask in masks.values()], axis=1)
    refined = refine(
        run.generator, faces, encode(run.encoder, faces), steps=refine_steps
    )
    decoder = Decoder(run.generator)
    recordings = decoder.record(refined.latents)
    return Result(
        step=run.step,
        error=(
            float(refined.error_before.mean()),
            float(refined.error_after.mean()),
        ),
        levels={
            name: measure_level(decoder, recordings, masks, level, units, seed)
            for level, name in enumerate(decoder.level_names)
        },
    )


def measure_level(
    decoder: Decoder,
    recordings: list[Recording],
    masks: np.ndarray,
    level: int,
    count: int,
    seed: int,
) -> LevelResult:
    """Measures one level over recorded faces.

    Args:
        masks: bool `(faces, parts, size, size)`; parts that a face lacks are empty.
        count: strongest units of each face to look at.
    """
    random = np.random.default_rng(seed)
    values = collections.defaultdict(list)
    vectors, names, places = [], [], []
    name = decoder.level_names[level]
    with decoder.bar(len(recordings), f"Measuring {name}", "face") as bar:
        for recording, parts in zip(recordings, masks, strict=True):
            ranked = _ranked_units(decoder, recording, level)
            strongest = ranked.take(np.arange(min(count, ranked.count)))
            windows = decoder.unit_pictures(recording, level, strongest)
            pictures = _placed(decoder, recording, level, strongest, windows)
            values["active"].append(ranked.count)
            values["area"].append(locality.area(_maps(pictures)).mean())
            _match(values, recording, parts, pictures, random)
            values["explained"].append(_explained(decoder, recording, level, ranked))
            vectors.append(windows.reshape(len(windows), -1))
            shape = recording.codes[level].shape
            names.append(np.ravel_multi_index(strongest[:3], shape))
            places.append(strongest.row * shape[1] + strongest.column)
            bar.update()
    within, across = _consistency(
        np.concatenate(vectors), np.concatenate(names), np.concatenate(places)
    )
    return LevelResult(
        active=float(np.mean(values["active"])),
        auc=_means(values, "auc"),
        iou=_means(values, "iou"),
        area=float(np.mean(values["area"])),
        consistency=(within, across),
        leakage=_means(values, "leakage"),
        explained=tuple(
            None if np.isnan(column).any() else float(column.mean())
            for column in np.array(values["explained"]).T
        ),
    )


def tables(results: dict[str, Result], *, images: int, units: int) -> str:
    """The results as Markdown: a row for each level, a column for each run."""
    runs = "; ".join(
        f"{name}: step {result.step:,}, mean squared error {result.error[0]:.4f} "
        f"encoded, {result.error[1]:.4f} refined"
        for name, result in results.items()
    )
    lines = [
        f"{images} test faces, the {units} strongest units of each level and face. "
        f"{runs}.",
        "",
        *_table(
            results,
            {
                "AUC": lambda level: _pair(level.auc),
                "IoU": lambda level: _pair(level.iou),
                "leakage": lambda level: _pair(level.leakage),
            },
        ),
        "",
        "Each part's best unit; in brackets the same maps at random places.",
        "",
        *_table(
            results,
            {
                "active units": lambda level: f"{level.active:.0f}",
                "area": lambda level: f"{level.area:.3f}",
                "consistency": lambda level: _pair(level.consistency),
            },
        ),
        "",
        "Area: of the image, for 90 % of a unit's energy. Consistency: cosine between "
        "pictures of one unit in two faces; in brackets, of two units at one place.",
        "",
        *_table(
            results,
            {
                f"m = {count}": lambda level, index=index: _number(
                    level.explained[index]
                )
                for index, count in enumerate(COUNTS)
            },
        ),
        "",
        "Energy of the image before tanh that the strongest m units explain.",
    ]
    return "\n".join(lines)


def _ranked_units(decoder: Decoder, recording: Recording, level: int) -> Units:
    units = decoder.active(recording, level)
    share = shares(decoder, recording)[level][units.row, units.column, units.basis]
    return units.take(np.argsort(-share, kind="stable"))


def _placed(
    decoder: Decoder,
    recording: Recording,
    level: int,
    units: Units,
    pictures: np.ndarray,
) -> np.ndarray:
    windows = decoder.windows(recording, level, None)
    return np.stack(
        [
            windows.place(picture, row, column)
            for picture, row, column in zip(
                pictures, units.row, units.column, strict=True
            )
        ]
    )


def _maps(pictures: np.ndarray) -> np.ndarray:
    """Strength of a contribution at every pixel: `(n, pixels)`."""
    return np.sqrt(np.square(pictures).sum(axis=-1)).reshape(len(pictures), -1)


def _match(
    values: dict[str, list],
    recording: Recording,
    parts: np.ndarray,
    pictures: np.ndarray,
    random: np.random.Generator,
) -> None:
    """Best unit of every part, for the units and for the same maps moved."""
    parts = parts.reshape(len(parts), -1)
    parts = parts[parts.sum(axis=1) >= SMALLEST_PART]
    moved = overlap.shifted(pictures, random)
    for kind, shown in (("", pictures), (" moved", moved)):
        maps = _maps(shown)
        overlaps = overlap.intersection_over_union(locality.visible(maps), parts)
        areas = overlap.area_under_curve(maps, parts)
        values["iou" + kind].extend(overlaps.max(axis=0))
        values["auc" + kind].extend(areas.max(axis=0))
        if not kind:
            best = overlaps.argmax(axis=0)
            after = np.tanh(recording.logits - pictures[best])
            change = recording.image - after
            other = overlap.shifted(change, random)
            values["leakage"].extend(overlap.leakage(_maps(change), parts))
            values["leakage moved"].extend(overlap.leakage(_maps(other), parts))


def _explained(
    decoder: Decoder, recording: Recording, level: int, ranked: Units
) -> list[float]:
    shape = recording.codes[level].shape
    within = [count for count in COUNTS if count <= ranked.count]
    codes = [ranked.take(np.arange(count)).code(shape) for count in within]
    parts = decoder.replay(recording, level, np.stack(codes))
    found = explained(parts, recording.logits).tolist()
    return found + [np.nan] * (len(COUNTS) - len(within))


def _consistency(
    vectors: np.ndarray, names: np.ndarray, places: np.ndarray
) -> tuple[float, float]:
    """Cosines within a unit over all faces, and between units of one place."""
    within, _ = consistency.pair_cosines(vectors, names)
    across, weights = [], []
    for place in np.unique(places):
        here = places == place
        value = consistency.pair_cosines(vectors[here], names[here])[1]
        if not np.isnan(value):
            across.append(value)
            weights.append(here.sum())
    return within, float(np.average(across, weights=weights)) if across else np.nan


def _means(values: dict[str, list], name: str) -> tuple[float, float]:
    return float(np.mean(values[name])), float(np.mean(values[name + " moved"]))


def _table(results: dict[str, Result], columns: dict) -> list[str]:
    heads = [
        f"{what}, {name}" if len(results) > 1 else what
        for what in columns
        for name in results
    ]
    lines = ["| level | " + " | ".join(heads) + " |", "|---|" + "--:|" * len(heads)]
    for level in next(iter(results.values())).levels:
        cells = [
            show(result.levels[level])
            for show in columns.values()
            for result in results.values()
        ]
        lines.append(f"| {level} | " + " | ".join(cells) + " |")
    return lines


def _pair(values: tuple[float, float]) -> str:
    return f"{_number(values[0])} ({_number(values[1])})"


def _number(value: float | None) -> str:
    return "-" if value is None or np.isnan(value) else f"{value:.2f}"
