"""Recorded pictures, and replays of any parts of them in batches of bounded memory."""

import dataclasses
import functools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from hcm_tf.explain.units import Units, Windows, active_units, pack
from hcm_tf.networks import Generator, Trace
from hcm_tf.networks.blocks import BlockGates
from hcm_tf.operations.placing import Placing

MEMORY_MB = 512
# So that even a small network's progress bar moves.
LARGEST_BATCH = 128
# Maps alive at once in a block, in units of its output: before and after each gate,
# and the taps or workspace of its convolutions.
MAPS_PER_BLOCK = 6


@dataclasses.dataclass(frozen=True)
class Recording:
    """One image and every decision of its drawing, without the batch dimension.

    Attributes:
        latent: `(latent_size,)`.
        responses: activations of each sparse level before selection.
        codes: the sparse codes, each `(height, width, channels)`.
        gates: what `Generator.replay` takes, of batch 1.
        logits: the image before tanh, `(size, size, channels)`.
        image: in [-1, 1].
        placing: where the parts are, of batch 1; None on the grid.
    """

    latent: np.ndarray
    responses: tuple[np.ndarray, ...]
    codes: tuple[np.ndarray, ...]
    gates: tuple[BlockGates, ...]
    logits: np.ndarray
    image: np.ndarray
    placing: Placing | None = None

    @property
    def placed(self) -> np.ndarray | None:
        """The matrix of the parts' places, which a redrawn code of level 0 keeps."""
        return self.gates[0].placed


class Passes(NamedTuple):
    """Some units, decoded.

    Attributes:
        index: which units, int `(n,)`.
        which: the map that holds each, int `(n,)`.
        maps: `(passes, size, size, channels)`; units that share one do not overlap.
    """

    index: np.ndarray
    which: np.ndarray
    maps: np.ndarray


class Decoder:
    """Records images of one generator and replays parts of their codes.

    Args:
        generator: the network.
        memory_mb: memory that one replay may use, in MiB; it sets the batch.
        progress: whether long work shows a progress bar; None: on a terminal.

    Raises:
        ValueError: `memory_mb` is not positive.
    """

    def __init__(
        self,
        generator: Generator,
        *,
        memory_mb: float = MEMORY_MB,
        progress: bool | None = None,
    ) -> None:
        if not memory_mb > 0:
            raise ValueError(f"`memory_mb` must be positive. Received: {memory_mb}")
        self.generator = generator
        self.memory_mb = memory_mb
        self.hide_progress = None if progress is None else not progress
        self.levels = generator.levels
        self.level_names = generator.level_names
        self._trace = tf.function(generator.trace, reduce_retracing=True)
        # One for each level, and no lambdas: TensorFlow counts the traces of functions
        # that share their code together, and takes many levels for a mistake.
        self._replay = functools.cache(
            lambda level, until: tf.function(
                functools.partial(generator.replay, level, until=until),
                reduce_retracing=True,
            )
        )
        self._pull_back = functools.cache(
            lambda until: tf.function(
                functools.partial(generator.pull_back, until=until),
                reduce_retracing=True,
            )
        )
        self._retrace = functools.cache(
            lambda level: tf.function(
                functools.partial(generator.retrace, level), reduce_retracing=True
            )
        )
        self._redraw = functools.cache(
            lambda level: tf.function(
                functools.partial(generator.redraw, level), reduce_retracing=True
            )
        )

    def bar(self, total: int, what: str, unit: str = "unit") -> tqdm:
        """A progress bar; it leaves nothing behind when it is done."""
        return tqdm(
            total=total, desc=what, unit=unit, disable=self.hide_progress, leave=False
        )

    def record(self, latents: np.ndarray) -> list[Recording]:
        """Draws and records images.

        Args:
            latents: `(n, latent_size)`.
        """
        latents = np.asarray(latents, "float32")
        recordings = []
        batch = self.batch_size(0, None)
        for start in range(0, len(latents), batch):
            some = latents[start : start + batch]
            trace = self._trace(tf.constant(some))
            arrays = [
                tuple(np.asarray(level) for level in trace.responses),
                tuple(np.asarray(level) for level in trace.codes),
            ]
            logits, image = np.asarray(trace.logits), np.asarray(trace.image)
            for index in range(len(some)):
                one = slice(index, index + 1)
                recordings.append(
                    Recording(
                        latent=some[index],
                        responses=tuple(level[index] for level in arrays[0]),
                        codes=tuple(level[index] for level in arrays[1]),
                        gates=tuple(
                            BlockGates(*gates).of(one) for gates in trace.gates
                        ),
                        logits=logits[index],
                        image=image[index],
                        placing=trace.placing
                        and type(trace.placing)(*(part[one] for part in trace.placing)),
                    )
                )
        return recordings

    def replay(
        self,
        recording: Recording,
        level: int,
        codes: np.ndarray,
        until: int | None = None,
    ) -> np.ndarray:
        """Decodes codes of a level through the recorded gates; see `Generator.replay`.

        Args:
            codes: `(n, height, width, channels)`.

        Returns:
            `(n, size, size, channels)`: images before tanh, or codes of level `until`.
        """
        batch = self.batch_size(level, until)
        replayed = [
            self._replay(level, until)(
                tf.constant(codes[start : start + batch]), recording.gates
            ).numpy()
            for start in range(0, len(codes), batch)
        ]
        return np.concatenate(replayed)

    def pull_back(
        self, recording: Recording, weights: np.ndarray, until: int | None = None
    ) -> tuple[np.ndarray, ...]:
        """What each entry of every level's code adds, a unit of its value, to a sum.

        See `Generator.pull_back`.

        Args:
            weights: of the sum over the image before tanh, `(size, size, channels)`, or
                over the code of level `until`.

        Returns:
            Of every level below, of the shape of its code.
        """
        pulled = self._pull_back(until)(
            tf.constant(weights[np.newaxis], tf.float32), recording.gates
        )
        return tuple(level[0].numpy() for level in pulled)

    def retrace(
        self, level: int, code: np.ndarray, placed: np.ndarray | None = None
    ) -> Trace:
        """Draws and records a level's code; see `Generator.retrace`.

        Args:
            code: `(height, width, channels)`.
            placed: `Recording.placed` of the picture that it is a code of.
        """
        code = tf.constant(code[np.newaxis], tf.float32)
        return self._retrace(level)(code, placed=placed)

    def redraw(
        self, level: int, codes: np.ndarray, placed: np.ndarray | None = None
    ) -> np.ndarray:
        """Draws from codes of a level with new decisions; see `Generator.redraw`."""
        codes = tf.constant(codes, tf.float32)
        return self._redraw(level)(codes, placed=placed).numpy()

    def windows(self, recording: Recording, level: int, until: int | None) -> Windows:
        """What a unit of `level` reaches in the image, or in level `until`."""
        size = recording.codes[level].shape[0]
        above = recording.logits if until is None else recording.codes[until]
        larger = above.shape[0]
        reach = self.generator.reach(level, until, recording.placed)
        return Windows(cell=larger // size, reach=reach, size=larger)

    def decode(
        self,
        recording: Recording,
        level: int,
        units: Units,
        until: int | None = None,
        what: str = "",
    ) -> Iterator[Passes]:
        """Decodes every unit by itself, many in each call.

        Units that cannot meet share a map, and maps share a call: as many as the
        memory allows.

        Args:
            recording: the image.
            level: level of the units.
            units: units of that level.
            until: level to stop at; None goes on to the image before tanh.
            what: shown beside the progress bar.
        """
        shape = recording.codes[level].shape
        reach = self.windows(recording, level, until).reach
        packing = pack(units, 2 * reach + 1)
        passes = len(packing.starts) - 1
        batch = self.batch_size(level, until)
        with self.bar(units.count, what) as bar:
            for first in range(0, passes, batch):
                last = min(first + batch, passes)
                bounds = packing.starts[first : last + 1]
                index = packing.order[bounds[0] : bounds[-1]]
                which = np.repeat(np.arange(last - first), np.diff(bounds))
                some = units.take(index)
                codes = np.zeros((last - first, *shape), "float32")
                codes[which, some.row, some.column, some.basis] = some.value
                yield Passes(index, which, self.replay(recording, level, codes, until))
                bar.update(len(index))

    def unit_pictures(
        self, recording: Recording, level: int, units: Units
    ) -> np.ndarray:
        """Each unit's part of the image before tanh: `(n, side, side, channels)`.

        See `Windows` for where they belong.
        """
        windows = self.windows(recording, level, None)
        channels = recording.logits.shape[-1]
        pictures = np.zeros(
            (units.count, windows.side, windows.side, channels), "float32"
        )
        for index, which, maps in self.decode(recording, level, units):
            pictures[index] = windows.cut(maps, which, units.take(index))
        return pictures

    def decode_across(
        self, latents: np.ndarray, level: int, units: Units
    ) -> np.ndarray:
        """Decodes one unit of each of several images: `(n, size, size, channels)`.

        Args:
            latents: `(n, latent_size)`.
            level: level of the units.
            units: one for each latent; active in its image or not.
        """
        latents = np.asarray(latents, "float32")
        pictures = []
        # A trace and a replay are alive at once.
        batch = max(1, self.batch_size(0, None) // 2)
        for start in range(0, len(latents), batch):
            trace = self._trace(tf.constant(latents[start : start + batch]))
            some = units.take(np.arange(start, min(start + batch, len(latents))))
            code = np.zeros(trace.codes[level].shape, "float32")
            index = np.arange(some.count)
            code[index, some.row, some.column, some.basis] = some.value
            logits = self._replay(level, None)(tf.constant(code), trace.gates)
            pictures.append(logits.numpy())
        return np.concatenate(pictures)

    def active(self, recording: Recording, level: int) -> Units:
        """The active units of a level."""
        return active_units(recording.codes[level])

    def batch_size(self, level: int, until: int | None) -> int:
        """How many codes of a level one replay can take."""
        sizes = [block.size for block in self._block_shapes()[level:until]]
        image = self.generator.image_size**2 * self.generator.image_channels
        values = MAPS_PER_BLOCK * sum(sizes) + 2 * image
        batch = int(self.memory_mb * 2**20 / (4 * values))
        return max(1, min(batch, LARGEST_BATCH))

    def _block_shapes(self) -> list["_BlockShape"]:
        return [
            _BlockShape(side=8 * 2**index, width=block.width)
            for index, block in enumerate(self.generator.blocks)
        ]


class _BlockShape(NamedTuple):
    side: int
    width: int

    @property
    def size(self) -> int:
        return self.side**2 * self.width
