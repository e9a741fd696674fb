"""Atlases: what a generator's basis functions look like, and which it uses.

Global and part bases are those of one image, as the first release of the method's code
draws them; the bases of a level are gathered over many samples.
"""

import dataclasses
import json
import pathlib
from typing import Any

import numpy as np
import tensorflow as tf

from hcm_tf.explain import rendering
from hcm_tf.explain.decoder import Decoder, Recording
from hcm_tf.explain.units import Units
from hcm_tf.images import grid, write_png

SAMPLES = 256
TILES = 256
RANKS = 20
TILE_SIDE = 40


@dataclasses.dataclass(frozen=True)
class LevelAtlas:
    """The basis functions of one level, gathered over many samples.

    Attributes:
        name: of the level.
        samples: number of images.
        usage: how often each basis function is active, int: `(locations, attributes)`
            at level 0, in how many images; `(channels,)` above, at how many positions
            of all images.
        shown: flat indices into `usage` of those with a picture, most used first.
        pictures: of each where it was strongest, before tanh, `(shown, size, size,
            channels)`.
    """

    name: str
    samples: int
    usage: np.ndarray
    shown: np.ndarray
    pictures: np.ndarray

    @property
    def never_used(self) -> np.ndarray:
        """Flat indices of the basis functions that were never active."""
        return np.flatnonzero(self.usage == 0)

    def to_json(self) -> dict[str, Any]:
        """Usage counts and never used units, as plain values."""
        return {
            "level": self.name,
            "samples": self.samples,
            "units": "attribute at location" if self.usage.ndim == 2 else "feature map",
            "usage": self.usage.tolist(),
            "never_used": self.never_used.tolist(),
        }

    def caption(self) -> str:
        """One sentence: how many are shown, and how many were never used."""
        what = "attributes at their locations" if self.usage.ndim == 2 else "maps"
        return (
            f"{len(self.shown)} most used of {self.usage.size} {what}; "
            f"{len(self.never_used)} never used in {self.samples} samples"
        )

    def sheet(self, columns: int = 16, side: int = TILE_SIDE) -> np.ndarray:
        """The pictures, cropped, in a grid: uint8."""
        return _sheet(self.pictures, columns, side)

    def transparent_sheet(self, columns: int = 12, side: int = TILE_SIDE) -> np.ndarray:
        """The same with four channels, transparent between the pictures."""
        squares = [rendering.tile(picture, side) for picture in self.pictures]
        squares = np.stack(squares or [np.zeros((side, side, 3), "uint8")])
        squares = np.broadcast_to(squares, (*squares.shape[:3], 3))
        alpha = np.full((*squares.shape[:3], 1), 255, "uint8")
        return grid(
            np.concatenate([squares, alpha], axis=-1), columns, gap=2, background=0
        )


def global_bases(
    decoder: Decoder, recording: Recording, ranks: int = RANKS
) -> np.ndarray:
    """What the r-th strongest attributes of all locations draw together, r = 1, 2, ...

    Returns:
        Before tanh, `(ranks, size, size, channels)`, at most as many as are kept.
    """
    units, rank = ranked_attributes(decoder, recording, ranks)
    shape = recording.codes[0].shape
    codes = [units.take(rank == r).code(shape) for r in range(rank.max(initial=-1) + 1)]
    return decoder.replay(recording, 0, np.stack(codes))


def ranked_attributes(
    decoder: Decoder, recording: Recording, ranks: int = RANKS
) -> tuple[Units, np.ndarray]:
    """The strongest attributes of every location, row-major, and their ranks from 0."""
    units = decoder.active(recording, 0)
    location = units.row * recording.codes[0].shape[1] + units.column
    order = np.lexsort((-units.value, location))
    units, location = units.take(order), location[order]
    first = np.searchsorted(location, location, side="left")
    rank = np.arange(units.count) - first
    return units.take(rank < ranks), rank[rank < ranks]


def part_bases(
    decoder: Decoder, recording: Recording, ranks: int = RANKS
) -> tuple[Units, np.ndarray, np.ndarray]:
    """What single attributes draw: each location's strongest, by rank.

    Returns:
        The units, their ranks from 0, and their pictures before tanh, `(n, side, side,
        channels)`, centred on their locations.
    """
    units, rank = ranked_attributes(decoder, recording, ranks)
    return units, rank, decoder.unit_pictures(recording, 0, units)


def level_atlas(
    decoder: Decoder, latents: np.ndarray, level: int, tiles: int = TILES
) -> LevelAtlas:
    """Gathers the basis functions of a level over many samples.

    Args:
        latents: `(samples, latent_size)`.
        tiles: pictures of so many, the most used.
    """
    about = decoder.levels[level]
    _, width, channels = about.shape
    groups = about.bases // channels
    usage = np.zeros((groups, channels), int)
    strongest = np.zeros((groups, channels))
    place = np.zeros((groups, channels, 2), int)
    chunk = 32
    with decoder.bar(len(latents), f"Atlas of {about.name}", "image") as bar:
        for start in range(0, len(latents), chunk):
            recordings = decoder.record(latents[start : start + chunk])
            codes = np.stack([recording.codes[level] for recording in recordings])
            # Images and the positions that share a basis function side by side.
            shared = about.positions // groups
            flat = codes.reshape(len(codes), groups, shared, channels)
            flat = flat.swapaxes(1, 2).reshape(-1, groups, channels)
            usage += (flat != 0).sum(axis=0)
            best = np.abs(flat).argmax(axis=0)
            group = np.arange(groups)[:, None]
            value = flat[best, group, np.arange(channels)]
            peak, position = np.divmod(best, shared)
            position = position + group * shared
            better = np.abs(value) > np.abs(strongest)
            strongest = np.where(better, value, strongest)
            found = np.stack([peak + start, position], axis=-1)
            place = np.where(better[..., None], found, place)
            bar.update(len(recordings))
    shown = np.argsort(-usage.ravel(), kind="stable")[:tiles]
    shown = shown[usage.ravel()[shown] > 0]
    sample, position = place.reshape(-1, 2)[shown].T
    units = Units(
        position // width,
        position % width,
        shown % channels,
        strongest.ravel()[shown].astype("float32"),
    )
    empty = np.zeros((0, *recordings[0].logits.shape), "float32")
    return LevelAtlas(
        name=about.name,
        samples=len(latents),
        usage=usage if about.placed else usage[0],
        shown=shown,
        pictures=(
            decoder.decode_across(latents[sample], level, units)
            if len(shown)
            else empty
        ),
    )


def image_sheets(
    decoder: Decoder, recording: Recording, ranks: int = RANKS
) -> dict[str, np.ndarray]:
    """Global bases, and part bases with a row for each location, as uint8 grids."""
    whole = global_bases(decoder, recording, ranks)
    units, rank, pictures = part_bases(decoder, recording, ranks)
    columns = int(rank.max(initial=0)) + 1
    width = recording.codes[0].shape[1]
    rows = recording.codes[0].shape[0] * width
    cells = np.zeros((rows * columns, *pictures.shape[1:]), "float32")
    cells[(units.row * width + units.column) * columns + rank] = pictures
    return {
        "global_bases": _sheet(whole, 10, recording.logits.shape[0], crop=False),
        "part_bases": _sheet(cells, columns, TILE_SIDE),
    }


def write(
    directory: pathlib.Path,
    sheets: dict[str, np.ndarray],
    atlases: list[LevelAtlas],
    step: int,
) -> None:
    """Writes atlases as PNG files, usage as JSON, and all of it for TensorBoard."""
    sheets = {**sheets, **{f"level_{atlas.name}": atlas.sheet() for atlas in atlases}}
    for name, sheet in sheets.items():
        write_png(directory / f"{name}.png", sheet)
    usage = [atlas.to_json() for atlas in atlases]
    (directory / "usage.json").write_text(json.dumps(usage) + "\n")
    writer = tf.summary.create_file_writer(str(directory / "tensorboard"))
    with writer.as_default(step=step):
        for name, sheet in sheets.items():
            tf.summary.image(f"atlas/{name}", sheet[None])
        for atlas in atlases:
            tf.summary.scalar(f"atlas/never_used_{atlas.name}", len(atlas.never_used))
            tf.summary.text(f"atlas/{atlas.name}", atlas.caption())
    writer.close()


def _sheet(
    pictures: np.ndarray, columns: int, side: int, *, crop: bool = True
) -> np.ndarray:
    if not len(pictures):
        return np.full((side, side, pictures.shape[-1]), 255, "uint8")
    draw = (
        rendering.tile if crop else lambda picture, _: rendering.signed_pixels(picture)
    )
    squares = np.stack([draw(picture, side) for picture in pictures])
    return grid(squares, columns, gap=1)
