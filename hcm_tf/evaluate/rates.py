"""What a sparse code is worth in bits: against JPEG, WebP and principal components.

The code of any one level is a whole description of an image: drawn from it
(`Generator.redraw`), everything above decides anew. Its values are rounded to a few
bits; positions cost what `metrics.rate_distortion` says, the cheaper of two ways. Where
attributes are placed freely, their code does not say where, and is left out.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from hcm_tf.evaluate.gather import BATCH, compiled
from hcm_tf.explain.refine import encode
from hcm_tf.images import to_float
from hcm_tf.metrics import rate_distortion
from hcm_tf.metrics.rate_distortion import PrincipalComponents, RatePoint
from hcm_tf.networks.levels import Level
from hcm_tf.runs.checkpoint import Run

VALUE_BITS = (2, 4, 8)
COMPONENT_BITS = 8
# Ranges of values and probabilities of units come from so many training images.
TRAINING = 1000
# Finding more takes longer than all the rest.
MOST_COMPONENTS = 384
HELD_OUT = 100


def measure(
    run: Run,
    training: np.ndarray,
    held_out: np.ndarray,
    *,
    batch: int = BATCH,
    seed: int = 0,
    advance: Callable[[int], object] = lambda count: None,
) -> dict[str, Any]:
    """Bits and errors of every level's code, and of other codes at as many bits.

    Args:
        run: encodes and draws.
        training: uint8 `(n, size, size, channels)`: ranges, probabilities, components.
        held_out: uint8, what is coded.
        batch: images at a time.
        seed: of the components' starting directions.
        advance: told how many of the levels are done.

    Returns:
        JSON values: `levels`, for each level its points, with `value_bits`, `bits` and
        `position_bits` an image, `error`, and the error of `jpeg`, `webp` and `pca` at
        as many bits, None where their curves do not reach; `curves` of those three.
    """
    images = to_float(held_out)
    seen = [Seen(level.shape) for level in run.generator.levels]
    for codes in _codes(run, to_float(training), batch):
        for known, code in zip(seen, codes, strict=True):
            known.update(code)
    coded = [
        np.concatenate(level) for level in zip(*_codes(run, images, batch), strict=True)
    ]
    points = {}
    for index, level in enumerate(run.generator.levels):
        if index == 0 and run.generator.placing is not None:
            advance(1)
            continue
        points[level.name] = [
            _point(run, index, level, seen[index], coded[index], images, bits, batch)
            for bits in VALUE_BITS
        ]
        advance(1)
    wanted = [point["bits"] for found in points.values() for point in found]
    curves = {
        "jpeg": rate_distortion.jpeg_curve(images),
        "webp": rate_distortion.webp_curve(images),
        "pca": _components(training, images, wanted, seed),
    }
    for found in points.values():
        for point in found:
            for name, curve in curves.items():
                point[name] = error_at(curve, point["bits"])
    return {
        "count": len(held_out),
        "training_count": len(training),
        "levels": points,
        "curves": {
            name: [point._asdict() for point in curve] for name, curve in curves.items()
        },
    }


def error_at(curve: Sequence[RatePoint], bits: float) -> float | None:
    """Error of a curve at so many bits, without headers, between its points.

    Linear in the logarithms of both; None outside of the curve.
    """
    known = sorted((point.payload_bits, point.error) for point in curve)
    if not known[0][0] <= bits <= known[-1][0]:
        return None
    rates, errors = np.log(np.maximum(np.array(known).T, 1e-12))
    return float(np.exp(np.interp(math.log(bits), rates, errors)))


def grouped(code: np.ndarray, level: Level) -> np.ndarray:
    """Codes `(batch, height, width, channels)` as `(batch, groups, competitors)`."""
    batch, _, _, channels = code.shape
    flat = code.reshape(batch, level.positions, channels)
    return flat if level.placed else flat.swapaxes(1, 2)


class Seen:
    """What training tells of a level's codes: their ranges, and how often each is used.

    Args:
        shape: of a code, `(height, width, channels)`.

    Attributes:
        count: codes seen.
        active: how often each entry was active, `shape`.
        low: the smallest active value of each channel, `(channels,)`; inf before any.
        high: the largest; -inf before any.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.count = 0
        self.active = np.zeros(shape, "int64")
        self.low = np.full(shape[-1], np.inf, "float32")
        self.high = np.full(shape[-1], -np.inf, "float32")

    def update(self, codes: np.ndarray) -> None:
        """Adds codes, `(batch, *shape)`."""
        active = codes != 0
        self.count += len(codes)
        self.active += np.count_nonzero(active, axis=0)
        lowest = np.where(active, codes, np.inf).min(axis=(0, 1, 2))
        highest = np.where(active, codes, -np.inf).max(axis=(0, 1, 2))
        self.low = np.minimum(self.low, lowest)
        self.high = np.maximum(self.high, highest)


def rounded(code: np.ndarray, seen: Seen, bits: int) -> np.ndarray:
    """Active values rounded within the range that the basis function has in training.

    Args:
        code: `(n, height, width, channels)`.
        seen: of codes of training images.
        bits: of a value.
    """
    # A channel that training never used has no range: what it holds becomes 0.
    used = seen.high >= seen.low
    low, high = np.where(used, seen.low, 0), np.where(used, seen.high, 0)
    values = rate_distortion.quantise(code, bits, low, high)
    return np.where(code != 0, values, 0).astype("float32")


def redrawn(run: Run, level: int, code: np.ndarray, batch: int = BATCH) -> np.ndarray:
    """The pictures that codes of one level describe, in [-1, 1]."""
    return np.concatenate(
        [
            np.tanh(
                run.generator.redraw(level, tf.constant(code[start : start + batch]))
            )
            for start in range(0, len(code), batch)
        ]
    )


def _point(
    run: Run,
    index: int,
    level: Level,
    seen: Seen,
    code: np.ndarray,
    images: np.ndarray,
    bits: int,
    batch: int,
) -> dict[str, Any]:
    active = code != 0
    usage = rate_distortion.smoothed_usage(seen.active, seen.count)
    ways = {
        "usage": rate_distortion.usage_bits(active, usage).mean(),
        "enumerated": rate_distortion.enumerated_bits(grouped(active, level)).mean(),
    }
    cheaper = min(ways, key=ways.get)
    values = rate_distortion.value_bits(active, bits).mean()
    kept = rounded(code, seen, bits)
    drawn = redrawn(run, index, kept, batch)
    return {
        "value_bits": bits,
        "positions_by": cheaper,
        "position_bits": float(ways[cheaper]),
        "bits": float(ways[cheaper] + values),
        "error": float(np.mean(np.square(drawn - images), dtype="float64")),
    }


def _codes(run: Run, images: np.ndarray, batch: int) -> Iterator[list[np.ndarray]]:
    """Codes of every level, of the encoder's latents, batch by batch."""
    trace = compiled(run, run.generator.trace)
    for start in range(0, len(images), batch):
        latents = encode(run.encoder, images[start : start + batch])
        yield [np.asarray(code) for code in trace(tf.constant(latents)).codes]


def _components(
    training: np.ndarray, images: np.ndarray, wanted: Sequence[float], seed: int
) -> list[RatePoint]:
    most = min(len(training) - 1, images[0].size, MOST_COMPONENTS)
    largest = min(most, max(1, math.ceil(max(wanted) / COMPONENT_BITS)))
    counts = sorted({max(1, largest // 2**halving) for halving in range(8)})
    components = PrincipalComponents(to_float(training), largest, seed)
    return components.curve(images, counts, COMPONENT_BITS)
