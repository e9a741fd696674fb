"""Codes -> image: composed anew or replayed through gates (Xing et al. 2020)."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
from keras import ops

from hcm_tf.config import GRID, RESIDUAL_RESOLUTION
from hcm_tf.layers import (
    ChannelSelection,
    EqualizedConv2D,
    SparseSwitchableNormalization,
    SpatialSelection,
)
from hcm_tf.networks.blocks import BlockGates, GeneratorBlock, track_by_name
from hcm_tf.networks.levels import Level
from hcm_tf.operations import placing
from hcm_tf.operations.placing import Placing
from hcm_tf.sparsity import Tensor
from hcm_tf.sparsity.rules import Stage


class Trace(NamedTuple):
    """One forward pass, recorded.

    Level 0 holds the attributes of the 4x4 locations, level n the output of block n.

    Attributes:
        responses: the activations of each sparse level before selection, each
            `(batch, height, width, channels)`.
        codes: the same after selection: the sparse codes.
        gates: `BlockGates` of each block.
        logits: the image before tanh, `(batch, size, size, image_channels)`.
        image: tanh of the logits, in [-1, 1].
        squares: `BlockTrace.squares` of all blocks, in training.
        placing: where the parts are, of which the first block's gates hold the matrix;
            None on the grid, and of what `retrace` draws.
    """

    responses: tuple[Tensor, ...]
    codes: tuple[Tensor, ...]
    gates: tuple[BlockGates, ...]
    logits: Tensor
    image: Tensor
    squares: tuple[Tensor, ...] = ()
    placing: Placing | None = None


class Composition(keras.Model):
    """What is above the attributes: blocks that compose an image of basis functions.

    A code of any level says which of the level's units are active, and how strongly.
    It is drawn by gates that are decided on the way (`retrace`, `redraw`) or by gates
    that were recorded (`replay`): then everything above it is linear, as the paper's
    AND-OR tree asks, and has an adjoint (`pull_back`).

    A `Generator` is one whose attributes come from a latent, by `attribute_conv` and
    `attribute_selection`, with `rules`, `placement`, `placing` and `stretch`.
    """

    def compose(
        self,
        resolutions: tuple[int, ...],
        widths: tuple[int, ...],
        spatial_k: tuple[int, ...],
        rules: tuple[str, ...],
        *,
        attribute_k: int,
        background: int,
        normalized: bool,
        gated: bool,
        image_channels: int,
        **chosen: Any,
    ) -> None:
        """Makes the blocks and the last convolution, in a constructor.

        Not a constructor of its own, because optimizers know weights by the order in
        which they were made, and the attributes' come first.

        Args:
            resolutions, widths, spatial_k: as of `Generator`.
            rules: of the levels above the attributes.
            attribute_k, background: of the first block, see `GeneratorBlock`.
            normalized, gated, image_channels: as of `Generator`.
            **chosen: of every block: temperature, p and dtype.
        """
        self.image_size = resolutions[-1]
        self.image_channels = image_channels
        self.blocks = [
            GeneratorBlock(
                width,
                k=k,
                attribute_k=attribute_k if level == 0 else None,
                background=background if level == 0 else 0,
                rule=rule,
                normalized=normalized,
                gated=gated and resolution >= RESIDUAL_RESOLUTION,
                residual=resolution == RESIDUAL_RESOLUTION,
                name=f"block{level + 1}",
                **chosen,
            )
            for level, (resolution, width, k, rule) in enumerate(
                zip(
                    # The last block selects nothing.
                    *(resolutions, widths, (*spatial_k, None), (*rules, "dense")),
                    strict=True,
                )
            )
        ]
        track_by_name(self, self.blocks)
        self.to_image = EqualizedConv2D(
            image_channels, 5, dtype=chosen["dtype"], name="image"
        )

    @property
    def levels(self) -> tuple[Level, ...]:
        """The sparse levels, lowest first: attributes, 8x8, 16x16, 32x32."""
        attributes = Level(
            name="attributes",
            shape=(GRID, GRID, self.attribute_conv.filters),
            k=self.attribute_selection.k,
            placed=True,
            rule=self.rules[0],
            always=self.background_attributes,
        )
        maps = [
            Level(
                name=f"{side}x{side}",
                shape=(side, side, block.width),
                k=block.selection.k,
                placed=False,
                rule=block.rule,
            )
            for index, block in enumerate(self.blocks[:-1])
            for side in [2 * GRID * 2**index]
        ]
        return (attributes, *maps)

    @property
    def selections(self) -> tuple[ChannelSelection | SpatialSelection, ...]:
        """The layer that selects at each sparse level, lowest first."""
        return (
            self.attribute_selection,
            *(block.selection for block in self.blocks[:-1]),
        )

    @property
    def normalizers(self) -> tuple[SparseSwitchableNormalization, ...]:
        """The normalisers of all blocks, lowest first, as in `Trace.squares`."""
        return tuple(norm for block in self.blocks for norm in block.normalizers)

    @property
    def level_names(self) -> tuple[str, ...]:
        """Names of the sparse levels, lowest first."""
        return tuple(level.name for level in self.levels)

    def reach(
        self, level: int, until: int | None = None, placed: Tensor | None = None
    ) -> int:
        """How far a unit of a level reaches, in cells of that level to every side.

        Args:
            level: level of the unit, 0 for the attributes.
            until: level in which it is seen, above `level`; None: in the image.
            placed: a recorded matrix, which an edit may have moved further than the
                generator does; None: as far as that can.

        Raises:
            ValueError: `level` or `until` is out of range.
        """
        self._check_levels(level, until)
        blocks = self.blocks[level:until]
        margin = 0  # Pixels of the larger map, beyond the unit's own cell.
        for index, block in enumerate(blocks, level):
            margin = block.widen(margin)
            if index == 0 and self.placing is not None:
                own = 0 if placed is None else placing.margin(placed)
                # Stretched, it may get anywhere. The second convolution adds one.
                furthest = 2 * GRID - 2 if self.stretch else placing.MARGIN
                margin = max(furthest, own) + 1
        if until is None:
            margin += self.to_image.kernel_size // 2
        return math.ceil(margin / 2 ** len(blocks))

    def retrace(self, level: int, code: Tensor, placed: Tensor | None = None) -> Trace:
        """Draws from a level's code, deciding everything above it anew, and records it.

        Args:
            level: level of `code`, 0 for the attributes.
            code: `(batch, height, width, channels)`.
            placed: where the attributes' parts are, if they are placed freely: the
                matrix of a trace (`BlockGates.placed`), of the same batch or of batch
                1. That is decided with the attributes, by what a location knows, and
                no code says it. Levels above do not ask for it.

        Returns:
            As of `trace`, but from `level` on: the code stands for its response too.

        Raises:
            ValueError: `level` is out of range; `placed` is missing, or is of no use.
        """
        self._check_levels(level)
        placed = self._matrix(level, placed)
        stages = [None] * len(self.blocks[level:])
        return self._trace(level, code, code, placed, selected=False, stages=stages)

    def _trace(
        self,
        level: int,
        response: Tensor,
        code: Tensor,
        placed: Tensor | None,
        *,
        selected: bool,
        stages: Sequence[Stage | None],
    ) -> Trace:
        responses, codes, gates, squares = [response], [code], [], []
        for block, stage in zip(self.blocks[level:], stages, strict=True):
            found = block.trace(code, placed, selected=selected, stage=stage)
            code, placed = found.code, None
            responses.append(found.response)
            codes.append(code)
            gates.append(found.gates)
            squares += found.squares
        logits = self._to_logits(code)
        return Trace(
            responses=tuple(responses[:-1]),
            codes=tuple(codes[:-1]),
            gates=tuple(gates),
            logits=logits,
            image=ops.tanh(logits),
            squares=tuple(squares),
        )

    def replay(
        self,
        level: int,
        code: Tensor,
        gates: tuple[BlockGates, ...],
        until: int | None = None,
    ) -> Tensor:
        """Decodes a level's code, or any part of one, through recorded gates.

        With its gates fixed the network above a level is linear and has no bias, so
        that the results of the parts of a code sum to the result of the code.

        Args:
            level: level of `code`, 0 for the attributes.
            code: `(batch, height, width, channels)`.
            gates: those of all blocks, from `trace`, of the same batch or of batch 1.
            until: level to stop at, above `level`; None goes on to the image.

        Returns:
            The code of level `until`, or the image before tanh.

        Raises:
            ValueError: `level` or `until` is out of range.
        """
        self._check_levels(level, until)
        for block, block_gates in zip(
            self.blocks[level:until], gates[level:until], strict=True
        ):
            code = block.replay(code, block_gates)
        return self._to_logits(code) if until is None else code

    def pull_back(
        self,
        weights: Tensor,
        gates: tuple[BlockGates, ...],
        until: int | None = None,
    ) -> tuple[Tensor, ...]:
        """The adjoint of `replay`, for all levels in one pass.

        The product of `weights` with what a level's code draws is that of the code with
        the level's result: so much every unit, times its value, adds to it.

        Args:
            weights: of the image before tanh, `(batch, size, size, channels)`, or of
                the code of level `until`.
            gates: those of all blocks, from `trace`, of the same batch or of batch 1.
            until: as of `replay`.

        Returns:
            Of every level below, `(batch, height, width, channels)`, from the
            attributes on.
        """
        self._check_levels(0, until)
        weights = ops.cast(weights, self.compute_dtype)
        found = [self.to_image.back(weights) if until is None else weights]
        for block, block_gates in zip(
            self.blocks[:until][::-1], gates[:until][::-1], strict=True
        ):
            found.append(block.pull_back(found[-1], block_gates))
        return tuple(found[:0:-1])

    def redraw(self, level: int, code: Tensor, placed: Tensor | None = None) -> Tensor:
        """Draws from a level's code, deciding everything above it anew.

        Args:
            level: level of `code`, 0 for the attributes.
            code: `(batch, height, width, channels)`.
            placed: as of `retrace`.

        Returns:
            The image before tanh; that of the trace, if `code` is its code.

        Raises:
            ValueError: as of `retrace`.
        """
        self._check_levels(level)
        placed = self._matrix(level, placed)
        for block in self.blocks[level:]:
            code = block(code, placed)
            placed = None
        return self._to_logits(code)

    def _check_levels(self, level: int, until: int | None = None) -> None:
        levels = len(self.blocks)
        if not 0 <= level < levels:
            raise ValueError(
                f"`level` must be between 0 and {levels - 1}. Received: {level}"
            )
        if until is not None and not level < until < levels:
            raise ValueError(
                f"`until` must be between {level + 1} and {levels - 1}. "
                f"Received: {until}"
            )

    def _matrix(self, level: int, placed: Tensor | None) -> Tensor | None:
        """What the first of the blocks above a level needs of `placed`."""
        if level > 0:
            return None
        if (self.placing is None) != (placed is None):
            raise ValueError(
                "A code of the attributes needs `placed`, the matrix of a trace, where "
                'placement is "free", and has no use for it on the grid. '
                f"Received: placement={self.placement!r}, "
                f"placed {'missing' if placed is None else 'given'}"
            )
        return placed

    def _to_logits(self, code: Tensor) -> Tensor:
        return ops.cast(self.to_image(code), self.variable_dtype)
