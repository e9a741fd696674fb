"""Bits of a code against the error of the image: sparse codes, JPEG, WebP, PCA.

Bits of a sparse code are those an entropy coder would need for

* positions, either `enumerated`: each group of n competitors with k active ones costs
  log2 binomial(n, k) for which they are, and log2(n + 1) for k, where k varies; or by
  `usage`: a unit active with probability p in training costs -log2 p if active and
  -log2(1 - p) if not, the probabilities being known to both sides;
* values: b bits for each active one, on a uniform grid over a range from training.

Errors are mean squared errors in units of [-1, 1]. Rates are bits an image. JPEG and
WebP are given twice, with their headers, and without (see `jpeg_payload` and
`webp_payload`), because tables of 600 bytes are most of a small picture's file.
"""

import io
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image

from hcm_tf.metrics.checks import check_images

QUALITIES = (5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95)
# RIFF and chunk headers (12 + 8), and the key frame's own (RFC 6386, 9.1: 10).
WEBP_HEADER = 30


class RatePoint(NamedTuple):
    """One point of a curve: a setting, mean bits an image, and mean squared error.

    payload_bits leaves the file's headers out; equal to bits where there are none.
    """

    setting: int
    bits: float
    payload_bits: float
    error: float


def enumerated_bits(active: np.ndarray, k_varies: bool = True) -> np.ndarray:
    """Bits of positions, enumerated group by group.

    Args:
        active: bool `(batch, groups, n)`, the competitors along the last axis.
        k_varies: whether k has to be sent.

    Returns:
        float64 `(batch,)`.
    """
    active = _groups(active)
    n = active.shape[2]
    table = np.array([_log2_binomial(n, k) for k in range(n + 1)])
    bits = table[np.count_nonzero(active, axis=2)].sum(axis=1)
    return bits + (active.shape[1] * math.log2(n + 1) if k_varies else 0.0)


def smoothed_usage(counts: np.ndarray, examples: int) -> np.ndarray:
    """Probabilities of units from training (Krichevsky and Trofimov): never 0 or 1.

    Args:
        counts: in how many examples each unit was active.
        examples: how many there were.
    """
    counts = np.asarray(counts, "float64")
    if examples < 1 or counts.min() < 0 or counts.max() > examples:
        raise ValueError(
            f"`counts` must be from 0 to `examples` ({examples}). "
            f"Received: {counts.min():g} to {counts.max():g}"
        )
    return (counts + 0.5) / (examples + 1)


def usage_bits(active: np.ndarray, usage: np.ndarray) -> np.ndarray:
    """Bits of positions by the probabilities of units.

    Args:
        active: bool `(batch, ...)`.
        usage: float, of the shape of one example, strictly between 0 and 1; see
            `smoothed_usage`.

    Returns:
        float64 `(batch,)`.
    """
    active = np.asarray(active, bool)
    usage = np.asarray(usage, "float64")
    if active.shape[1:] != usage.shape or not ((usage > 0) & (usage < 1)).all():
        raise ValueError(
            "`usage` must be strictly between 0 and 1, of the shape of one example. "
            f"Received: {usage.shape} for {active.shape}"
        )
    on, off = -np.log2(usage).ravel(), -np.log2(1 - usage).ravel()
    return off.sum() + active.reshape(len(active), -1) @ (on - off)


def value_bits(active: np.ndarray, bits: int) -> np.ndarray:
    """Bits of the values: `bits` for each active one. float64 `(batch,)`."""
    active = np.asarray(active, bool).reshape(len(active), -1)
    return active.sum(axis=1) * float(bits)


def quantise(
    values: np.ndarray, bits: int, low: np.ndarray, high: np.ndarray
) -> np.ndarray:
    """The middle of the cell that each value falls into, of 2^bits cells.

    Args:
        values: float; what is outside of the range goes to its first or last cell.
        bits: from 1 to 24.
        low: start of the range, broadcast against `values`.
        high: its end; where it equals `low`, the value is `low`.

    Returns:
        float64, of the shape of `values`.
    """
    if not 1 <= bits <= 24:
        raise ValueError(f"`bits` must be from 1 to 24. Received: {bits}")
    low, high = np.asarray(low, "float64"), np.asarray(high, "float64")
    if (high < low).any():
        raise ValueError("`high` must not be below `low`.")
    cells = 2**bits
    width = (high - low) / cells
    safe = np.where(width > 0, width, 1)
    index = np.clip(np.floor((values - low) / safe), 0, cells - 1)
    return np.where(width > 0, low + (index + 0.5) * width, low)


def jpeg_curve(
    images: np.ndarray, qualities: Sequence[int] = QUALITIES
) -> list[RatePoint]:
    """JPEG with optimised Huffman tables; colour at half the resolution, as usual.

    Args:
        images: float `(n, height, width, 1 or 3)`, in [-1, 1].
        qualities: Pillow's, from 1 to 95.
    """
    return [_file_point(images, quality, "JPEG") for quality in qualities]


def webp_curve(
    images: np.ndarray, qualities: Sequence[int] = QUALITIES
) -> list[RatePoint]:
    """Lossy WebP at the slowest method; grey images are stored in colour.

    Args: as `jpeg_curve`.
    """
    return [_file_point(images, quality, "WEBP") for quality in qualities]


def jpeg_payload(data: bytes) -> int:
    """Bytes of a JPEG's entropy-coded scans: no markers, no tables, no end."""
    payload, position = 0, 2
    while data[position + 1] != 0xD9:
        marker, length = data[position + 1], _big_endian(data, position + 2)
        position += 2 + length
        if marker == 0xDA:
            start = position
            # In a scan 0xFF is followed by 0, or by a restart marker.
            while data[position] != 0xFF or (
                data[position + 1] == 0 or 0xD0 <= data[position + 1] <= 0xD7
            ):
                position += 1
            payload += position - start
    return payload


def webp_payload(data: bytes) -> int:
    """Bytes of a plain lossy WebP behind its 30 bytes of headers.

    Raises:
        ValueError: not a plain lossy WebP.
    """
    if data[:4] != b"RIFF" or data[8:16] != b"WEBPVP8 ":
        raise ValueError("A plain lossy WebP was expected.")
    return len(data) - WEBP_HEADER


class PrincipalComponents:
    """The mean image and the directions of largest variance of training images.

    By randomised subspace iteration (Halko et al. 2011), some images at a time, so that
    uint8 pixels of a whole data set do.

    Args:
        training: real numbers `(n, ...)`.
        components: how many, at most n - 1 and the size of an image.
        seed: of the starting directions.
        iterations: passes over the images; each sharpens the last directions.
    """

    def __init__(
        self, training: np.ndarray, components: int, seed: int = 0, iterations: int = 6
    ) -> None:
        rows = np.asarray(training).reshape(len(training), -1)
        most = min(len(rows) - 1, rows.shape[1])
        if not 1 <= components <= most:
            raise ValueError(
                f"`components` must be from 1 to {most} (images less one, or values). "
                f"Received: {components}"
            )
        self.mean = rows.mean(axis=0, dtype="float64")
        random = np.random.default_rng(seed)
        spare = min(components + 10, rows.shape[1])
        basis = random.standard_normal((rows.shape[1], spare))
        for _ in range(iterations):
            basis, _ = np.linalg.qr(self._scattered(rows, basis))
        image = self._scattered(rows, basis)
        values, vectors = np.linalg.eigh(basis.T @ image)
        order = np.argsort(values)[::-1][:components]
        self.directions = basis @ vectors[:, order]
        self.variances = np.maximum(values[order], 0) / (len(rows) - 1)
        coefficients = self.coefficients(rows)
        self.low, self.high = coefficients.min(axis=0), coefficients.max(axis=0)

    def coefficients(self, images: np.ndarray) -> np.ndarray:
        """float64 `(n, components)`."""
        rows = np.asarray(images).reshape(len(images), -1)
        return np.concatenate(
            [
                (rows[start : start + 512] - self.mean) @ self.directions
                for start in range(0, len(rows), 512)
            ]
        )

    def curve(
        self, images: np.ndarray, counts: Sequence[int], bits: int
    ) -> list[RatePoint]:
        """Rate and error with the first m coefficients, each of `bits` bits.

        Quantised by `quantise` over the range of the training coefficients.

        Args:
            images: as the training images, in [-1, 1] for comparable errors.
            counts: each m; the settings of the points.
            bits: of a coefficient.
        """
        if not 1 <= min(counts) <= max(counts) <= self.directions.shape[1]:
            raise ValueError(
                f"`counts` must be from 1 to {self.directions.shape[1]}. "
                f"Received: {tuple(counts)}"
            )
        rows = np.asarray(images).reshape(len(images), -1)
        exact = self.coefficients(rows)
        kept = quantise(exact, bits, self.low, self.high)
        centred = [
            np.sum(np.square(rows[start : start + 512] - self.mean))
            for start in range(0, len(rows), 512)
        ]
        # Directions are orthonormal: what is left out and what is rounded add up.
        found = []
        for m in counts:
            left = np.sum(centred) - np.sum(exact[:, :m] ** 2)
            rounded = np.sum((exact[:, :m] - kept[:, :m]) ** 2)
            error = float((left + rounded) / rows.size)
            found.append(RatePoint(m, float(m * bits), float(m * bits), error))
        return found

    def _scattered(self, rows: np.ndarray, basis: np.ndarray) -> np.ndarray:
        """The scatter matrix times a basis, without the matrix."""
        product = np.zeros(basis.shape)
        for start in range(0, len(rows), 512):
            centred = rows[start : start + 512] - self.mean
            product += centred.T @ (centred @ basis)
        return product


def _file_point(images: np.ndarray, quality: int, name: str) -> RatePoint:
    images = check_images("images", images)
    if not 1 <= quality <= 100:
        raise ValueError(f"A quality must be from 1 to 100. Received: {quality}")
    settings = {"optimize": True} if name == "JPEG" else {"method": 6}
    payload_of = jpeg_payload if name == "JPEG" else webp_payload
    whole = payload = error = 0.0
    for image in images:
        pixels = np.clip(np.rint((image + 1) * 127.5), 0, 255).astype("uint8")
        grey = pixels.shape[2] == 1
        picture = Image.fromarray(pixels[..., 0] if grey else pixels)
        file = io.BytesIO()
        picture.save(file, name, quality=quality, **settings)
        whole += len(file.getvalue())
        payload += payload_of(file.getvalue())
        decoded = np.asarray(Image.open(file).convert(picture.mode), "float64")
        gaps = decoded.reshape(image.shape) / 127.5 - 1 - image
        error += np.mean(np.square(gaps))
    count = len(images)
    return RatePoint(quality, 8 * whole / count, 8 * payload / count, error / count)


def _groups(active: np.ndarray) -> np.ndarray:
    active = np.asarray(active, bool)
    if active.ndim != 3:
        raise ValueError(
            f"`active` must have the shape (batch, groups, n). Received: {active.shape}"
        )
    return active


def _log2_binomial(n: int, k: int) -> float:
    return math.log2(math.comb(n, k))


def _big_endian(data: bytes, position: int) -> int:
    return data[position] * 256 + data[position + 1]
