"""The report: one self-contained page about one or several images, with its files."""

import base64
import dataclasses
import json
import pathlib
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from hcm_tf.config import Label
from hcm_tf.explain import atlas, classes, drawing, rendering, tree
from hcm_tf.explain.attribution import (
    Attribution,
    attribute,
    explained,
    reconstruct,
    top_counts,
)
from hcm_tf.explain.decoder import Decoder, Recording
from hcm_tf.explain.names import Names, key
from hcm_tf.images import encode_png, grid, to_uint8, write_png

PAGE = pathlib.Path(__file__).with_name("page")
# The page has room for so many basis functions of a level.
PAGE_TILES = 48
PAGE_SAMPLES = 64


@dataclasses.dataclass(frozen=True)
class Subject:
    """One image to explain.

    Attributes:
        title: what the page calls it.
        recording: the drawing that is explained.
        original: the real image, in [-1, 1]; None for a generated one.
        encoded: what the encoder's latent alone draws; None for a generated one.
        error_before: mean squared error of `encoded`.
        error_after: mean squared error of the recording, after refinement.
    """

    title: str
    recording: Recording
    original: np.ndarray | None = None
    encoded: np.ndarray | None = None
    error_before: float | None = None
    error_after: float | None = None


def write(
    directory: pathlib.Path,
    decoder: Decoder,
    subjects: Sequence[Subject],
    atlases: Sequence[atlas.LevelAtlas],
    *,
    about: str,
    levels: Sequence[int],
    roots: int = tree.ROOTS,
    breadth: int = tree.BREADTH,
    names: Names | None = None,
    labels: Sequence[Label] = (),
) -> float:
    """Writes `report.html` and the files behind it.

    Args:
        directory: an existing directory.
        decoder: of the generator.
        subjects: the images.
        atlases: of the generator's levels.
        about: one line about the run.
        levels: levels that the page reconstructs from their top units.
        roots: attributes a tree starts from.
        breadth: children listed for each node.
        names: of basis functions, if there are any.
        labels: of the generator.

    Returns:
        The largest residual of all sums: of units to images, of edges to units.
    """
    size = decoder.generator.image_size
    images, worst = [], 0.0
    for number, subject in enumerate(subjects, 1):
        folder = directory / f"image-{number}"
        folder.mkdir()
        described, residual = _subject(
            *(folder, decoder, subject, levels),
            roots=roots,
            breadth=breadth,
            names=names,
        )
        described["classes"] = [
            _label(folder, decoder, subject.recording, labels, index)
            for index in range(len(labels))
        ]
        images.append(described)
        worst = max(worst, residual)
    (directory / "atlas").mkdir()
    for level in atlases:
        write_png(directory / "atlas" / f"{level.name}.png", level.sheet())
    (directory / "atlas" / "usage.json").write_text(
        json.dumps([level.to_json() for level in atlases]) + "\n"
    )
    data = {
        "about": about,
        "size": size,
        "channels": decoder.generator.image_channels,
        "levels": list(decoder.level_names),
        "shown_levels": list(levels),
        "residual": worst,
        "images": images,
        "atlases": [
            {
                "name": level.name,
                "caption": level.caption(),
                "picture": png_uri(level.transparent_sheet()),
            }
            for level in atlases
        ],
    }
    (directory / "report.html").write_text(page(data), encoding="utf-8")
    return worst


def page(data: dict[str, Any]) -> str:
    """The page with its style, script and data inside."""
    text = (PAGE / "report.html").read_text(encoding="utf-8")
    # No "</script>" may appear in the data, whatever an image file is called.
    values = json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")
    for mark, content in (
        ("/*STYLE*/", (PAGE / "report.css").read_text(encoding="utf-8")),
        ("/*SCRIPT*/", (PAGE / "report.js").read_text(encoding="utf-8")),
        ("/*DATA*/", values),
    ):
        text = text.replace(mark, content, 1)
    return text


def png_uri(pixels: np.ndarray) -> str:
    """uint8 `(height, width, channels)` as a data URI."""
    return "data:image/png;base64," + base64.b64encode(encode_png(pixels)).decode()


def pack_patch(patch: np.ndarray, top: int, left: int, size: int) -> dict[str, Any]:
    """A unit's picture in a byte a value: the box that is not zero, and its scale.

    Args:
        patch: `(side, side, channels)`, before tanh; may stick out of the image.
        top: its place in the image.
        left: likewise.
        size: of the image.
    """
    low = max(-top, 0), max(-left, 0)
    patch = patch[low[0] : size - top, low[1] : size - left]
    top, left = top + low[0], left + low[1]
    scale = float(np.max(np.abs(patch), initial=0.0)) / 127 or 1.0
    values = np.rint(patch / scale).astype("int8")
    lit = np.any(values, axis=-1)
    rows, columns = np.flatnonzero(lit.any(1)), np.flatnonzero(lit.any(0))
    if rows.size:
        values = values[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        top, left = top + int(rows[0]), left + int(columns[0])
    else:
        values = values[:1, :1]
    return {
        "box": [top, left, *values.shape[:2]],
        "scale": scale,
        "values": _encode(values),
    }


def _subject(
    folder: pathlib.Path,
    decoder: Decoder,
    subject: Subject,
    levels: Sequence[int],
    *,
    roots: int,
    breadth: int,
    names: Names | None,
) -> tuple[dict[str, Any], float]:
    began = time.perf_counter()
    recording = subject.recording
    attributions = [
        attribute(decoder, recording, level)
        for level in range(len(decoder.level_names))
    ]
    grown = tree.grow(
        *(decoder, recording),
        attributions=attributions,
        roots=roots,
        breadth=breadth,
        names=names,
    )
    tree.write_json(folder / "tree.json", grown)
    write_png(folder / "tree.png", drawing.draw_tree(decoder, recording, grown))
    for name, sheet in atlas.image_sheets(decoder, recording).items():
        write_png(folder / f"{name}.png", sheet)
    shown = [
        _top_m(folder, decoder, recording, attributions[level]) for level in levels
    ]
    pictures = {"image": rendering.image_pixels(recording.logits)}
    if subject.original is not None:
        pictures["original"] = to_uint8(subject.original)
        pictures["encoded"] = to_uint8(subject.encoded)
    for name, pixels in pictures.items():
        write_png(folder / f"{name}.png", pixels)
    residual = max(*grown.unit_residuals, *grown.edge_residuals)
    summary = {
        "title": subject.title,
        "error_before": subject.error_before,
        "error_after": subject.error_after,
        "seconds": time.perf_counter() - began,
        "levels": [
            {
                "name": name,
                "active": attribution.units.count,
                "unit_residual": attribution.residual,
                "edge_residual": grown.edge_residuals[level],
            }
            for level, (name, attribution) in enumerate(
                zip(decoder.level_names, attributions, strict=True)
            )
        ],
        "top_m": [{k: v for k, v in one.items() if k != "frames"} for one in shown],
    }
    (folder / "attribution.json").write_text(json.dumps(summary, indent=1) + "\n")
    limit = float(np.max(np.abs(recording.logits)) or 1.0) / 32767
    logits = np.rint(recording.logits / limit).astype("<i2")
    return {
        **summary,
        "top_m": shown,
        "pictures": {name: png_uri(pixels) for name, pixels in pictures.items()},
        "logits": {"scale": limit, "values": _encode(logits)},
        "roots": [tree.identifier(0, unit) for unit in grown.roots],
        "nodes": _nodes(decoder, recording, grown, names or {}),
    }, residual


def _label(
    folder: pathlib.Path,
    decoder: Decoder,
    recording: Recording,
    labels: Sequence[Label],
    index: int,
) -> dict[str, Any]:
    """What the page says of a label: the picture as its classes, and preferences."""
    name = labels[index].name
    compared = classes.counterfactuals(decoder, recording, labels, index)
    pictures = to_uint8(np.stack([one.image for one in compared]))
    write_png(folder / f"classes-{index + 1}.png", grid(pictures))
    return {
        "name": name,
        "count": len(labels[index].classes),
        "classes": [
            {
                "name": one.name,
                "own": one.own,
                "change": one.change,
                "kept": one.kept,
                "picture": png_uri(picture),
            }
            for one, picture in zip(compared, pictures, strict=True)
        ],
        "prefers": [
            {
                "unit": f"{one.row},{one.column}:{one.basis}",
                "gate": one.gate,
                "others": one.others,
                "picture": png_uri(rendering.signed_pixels(one.logits)),
            }
            for one in classes.preferences(decoder, recording, labels, index)
        ],
    }


def _nodes(
    decoder: Decoder, recording: Recording, grown: tree.Tree, names: Names
) -> dict[str, dict[str, Any]]:
    """The tree's nodes by identifier, each with its picture and names around it."""
    nodes = {node["id"]: node for node in grown.to_json()["nodes"]}
    for node in grown.walk():
        values, about = nodes[tree.identifier(node.level, node.unit)], decoder.levels
        for rival in values["rivals"]:
            place = node.row, node.column, rival["basis"]
            rival["name"] = names.get(key(about[node.level], *place), "")
        for edge, parent in zip(node.parents, values["parents"], strict=True):
            place = (int(field[edge.node]) for field in grown.units[node.level - 1][:3])
            parent["name"] = names.get(key(about[node.level - 1], *place), "")
    for level, row in enumerate(grown.nodes):
        units, pictures = drawing.node_pictures(decoder, recording, grown, level)
        windows = decoder.windows(recording, level, None)
        for unit, picture, top, left in zip(
            row, pictures, *windows.corners(units), strict=True
        ):
            nodes[tree.identifier(level, unit)]["picture"] = pack_patch(
                picture, int(top), int(left), windows.size
            )
    return nodes


def _top_m(
    folder: pathlib.Path,
    decoder: Decoder,
    recording: Recording,
    attribution: Attribution,
) -> dict[str, Any]:
    """Reconstructions from the top m units of a level, as m grows."""
    counts = top_counts(attribution.units.count)
    parts = reconstruct(decoder, recording, attribution, counts)
    pixels = [rendering.image_pixels(part) for part in parts]
    name = decoder.level_names[attribution.level]
    sheet = grid(np.stack(pixels), columns=12, gap=2)
    write_png(folder / f"top_m_{name}.png", sheet)
    error = np.mean(np.square(np.tanh(parts) - recording.image), axis=(1, 2, 3))
    return {
        "level": attribution.level,
        "counts": counts.tolist(),
        "explained": explained(parts, recording.logits).tolist(),
        "error": error.tolist(),
        "frames": [png_uri(frame) for frame in pixels],
    }


def _encode(values: np.ndarray) -> str:
    return base64.b64encode(values.tobytes()).decode()
