"""Attribution: how much of an image each active unit of a level made, exactly.

With its gates recorded the network above a level is linear, so the image before tanh,
L, is the sum of the pictures u_i of the level's active units. The share of unit i is
<u_i, L> / <L, L>: shares add up to 1, and those of a group of units to the share of
the group. A share is negative where a unit works against the image.
"""

import dataclasses
import functools
import itertools

import numpy as np

from hcm_tf.explain.decoder import Decoder, Recording
from hcm_tf.explain.units import Units, Windows


@dataclasses.dataclass(frozen=True)
class Attribution:
    """The active units of one level of one image, and what each contributes.

    Attributes:
        level: the level.
        units: its active units.
        share: of the energy of the image before tanh, float64 `(n,)`; adds up to 1.
        energy: squared norm of each unit's own picture, float64 `(n,)`.
        residual: largest difference between the sum of the units' pictures and the
            image before tanh, over the largest value of the latter.
    """

    level: int
    units: Units
    share: np.ndarray
    energy: np.ndarray
    residual: float

    @functools.cached_property
    def order(self) -> np.ndarray:
        """Unit indices from the largest share to the smallest."""
        return np.argsort(-self.share, kind="stable")


def attribute(decoder: Decoder, recording: Recording, level: int) -> Attribution:
    """Decodes every active unit of a level, and checks that they sum to the image."""
    units = decoder.active(recording, level)
    windows = decoder.windows(recording, level, None)
    logits = recording.logits.astype("float64")
    share = np.zeros(units.count)
    energy = np.zeros(units.count)
    total = np.zeros_like(logits)
    name = decoder.level_names[level]
    for index, which, maps in decoder.decode(
        recording, level, units, what=f"Decoding {name}"
    ):
        some = units.take(index)
        patches = windows.cut(maps, which, some).astype("float64")
        here = windows.cut(logits[None], np.zeros(len(index), int), some)
        share[index] = np.einsum("nhwc,nhwc->n", patches, here)
        energy[index] = np.einsum("nhwc,nhwc->n", patches, patches)
        windows.add(total, patches, some)
    whole = _positive(np.sum(np.square(logits)))
    return Attribution(
        level=level,
        units=units,
        share=share / whole,
        energy=energy,
        residual=relative_error(total, logits),
    )


def credit(
    decoder: Decoder, recording: Recording, weights: np.ndarray
) -> tuple[np.ndarray, ...]:
    """What every unit of every level adds to a weighted sum of the image before tanh.

    One pass through the adjoint, where `attribute` decodes every unit. A region R is
    credited by weights that are the image itself in R and zero elsewhere: then the
    credits of a level add up to the region's energy.

    Args:
        weights: `(size, size, channels)`.

    Returns:
        Of every level, float64 of the shape of its code; each sums to the same.
    """
    pulled = decoder.pull_back(recording, weights)
    return tuple(
        code.astype("float64") * level
        for code, level in zip(recording.codes, pulled, strict=True)
    )


def shares(
    decoder: Decoder, recording: Recording, region: np.ndarray | None = None
) -> tuple[np.ndarray, ...]:
    """The share of every unit of every level in the image, or in a region of it.

    Args:
        region: bool `(size, size)`; None: all of the image.

    Returns:
        Of every level, float64 of the shape of its code; each sums to 1, but to 0 where
        the region is empty of any response.
    """
    weights = recording.logits
    if region is not None:
        weights = np.where(np.asarray(region, bool)[..., np.newaxis], weights, 0)
    whole = _positive(np.sum(np.square(weights.astype("float64"))))
    return tuple(found / whole for found in credit(decoder, recording, weights))


def location_pictures(decoder: Decoder, recording: Recording) -> np.ndarray:
    """What the attributes of each location draw together, before tanh.

    Returns:
        `(locations, size, size, channels)`, row by row of the grid, and behind them
        what the background's attributes draw, if there are any; they sum to the image
        before tanh.
    """
    code = recording.codes[0]
    rows, columns, basis = code.shape
    alone = np.eye(rows * columns, dtype=code.dtype)[..., np.newaxis]
    codes = (alone * code.reshape(-1, basis)).reshape(-1, rows, columns, basis)
    if own := decoder.generator.background_attributes:
        codes[..., :own] = 0
        behind = np.zeros_like(codes[:1])
        behind[..., :own] = code[..., :own]
        codes = np.concatenate([codes, behind])
    return decoder.replay(recording, 0, codes)


def pixel_contributions(
    decoder: Decoder, recording: Recording, level: int, side: int
) -> np.ndarray:
    """What every active unit of a level draws in each pixel of a smaller image.

    Args:
        side: of the smaller image, whose pixels are means of equal squares; a multiple
            of the level's.

    Returns:
        Before tanh, float32 `(side, side, units, channels)`, in the order of
        `Decoder.active`; the units sum to the image before tanh.
    """
    units = decoder.active(recording, level)
    reach = decoder.windows(recording, level, None).reach
    windows = Windows(side // recording.codes[level].shape[0], reach, side)
    margin = windows.reach * windows.cell
    padded, channels = side + 2 * margin, recording.logits.shape[-1]
    found = np.zeros((padded, padded, units.count, channels), "float32")
    inside = np.arange(windows.side)
    for index, which, maps in decoder.decode(recording, level, units):
        some = units.take(index)
        top, left = (edge[:, np.newaxis, np.newaxis] for edge in windows.corners(some))
        rows, columns = top + margin + inside[:, np.newaxis], left + margin + inside
        found[rows, columns, index[:, np.newaxis, np.newaxis]] = windows.cut(
            pooled(maps, side), which, some
        )
    return found[margin : margin + side, margin : margin + side]


def pooled(pictures: np.ndarray, side: int) -> np.ndarray:
    """Means over equal squares of pixels: `(n, side, side, channels)`.

    Args:
        pictures: `(n, size, size, channels)`, size a multiple of `side`.
    """
    count, size, _, channels = pictures.shape
    cell = size // side
    squares = pictures.reshape(count, side, cell, side, cell, channels)
    # Seven times as fast as a mean over both axes.
    corners = itertools.product(range(cell), repeat=2)
    return sum(squares[:, :, row, :, column] for row, column in corners) / cell**2


def reconstruct(
    decoder: Decoder, recording: Recording, attribution: Attribution, counts: np.ndarray
) -> np.ndarray:
    """The image before tanh from the top m units, for each m.

    Args:
        counts: values of m, from 0 to the number of units.

    Returns:
        float32 `(len(counts), size, size, channels)`.
    """
    shape = recording.codes[attribution.level].shape
    codes = (
        attribution.units.take(attribution.order[:count]).code(shape)
        for count in counts
    )
    return np.concatenate(
        [decoder.replay(recording, attribution.level, code[None]) for code in codes]
    )


def explained(parts: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """Explained energy of each part, 1 - |L - part|^2 / |L|^2: 1 is all of it.

    Args:
        parts: `(n, size, size, channels)`.
        logits: `(size, size, channels)`.
    """
    logits = logits.astype("float64")
    missing = np.sum(np.square(logits - parts), axis=(1, 2, 3))
    return 1.0 - missing / _positive(np.sum(np.square(logits)))


def top_counts(total: int, steps: int = 24) -> np.ndarray:
    """Values of m to look at: 0, 1, and on by equal factors to `total`."""
    grown = np.geomspace(1, max(total, 1), steps)
    return np.unique(np.append(0, np.rint(grown).astype(int)).clip(0, total))


def relative_error(actual: np.ndarray, expected: np.ndarray) -> float:
    """Largest absolute difference over the largest absolute expected value."""
    difference = np.max(np.abs(np.asarray(actual, "float64") - expected))
    return float(difference / _positive(np.max(np.abs(expected))))


def _positive(value: float) -> float:
    return float(value) if value > 0 else 1.0
