"""Blocks of the networks: the generator's going up, the trunk's going down."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
from keras import ops

from hcm_tf.layers import (
    EqualizedConv2D,
    PlacedConv2D,
    SparseSwitchableNormalization,
    SpatialSelection,
    TileGate,
    UpsampledConv2D,
)
from hcm_tf.operations import FAST, tiles
from hcm_tf.operations.upsampling import upsample, upsample_back
from hcm_tf.sparsity import Tensor, keep
from hcm_tf.sparsity.rules import Stage

# Slope of the leaky ReLU for negative values, in encoder and critic.
NEGATIVE_SLOPE = 0.2


class BlockGates(NamedTuple):
    """What a generator block decided in one forward pass.

    Attributes:
        first: where the first convolution is positive, `(batch, n, n, width)`; with a
            normaliser, its factor there, and 0 elsewhere.
        second: the same of the second convolution.
        kept: the selection's gate, boolean or float; all true without selection.
        placed: where the block's parts are placed freely, `(batch, 64, 144)`, see
            `operations.placing.sums`; None for the grid, and in every other block.
        tiles: of a gated block, how far each tile is open, float32 `(batch, n / 4,
            n / 4, 1)`, 0 where it was skipped, see `operations.tiles`; otherwise None.
    """

    first: Tensor
    second: Tensor
    kept: Tensor
    placed: Tensor | None = None
    tiles: Tensor | None = None

    def of(self, images: slice) -> "BlockGates":
        """What was decided of some images of the batch."""
        return BlockGates(*(None if gate is None else gate[images] for gate in self))


class BlockTrace(NamedTuple):
    """One pass through a generator block, recorded.

    Attributes:
        response: before selection, `(batch, n, n, width)`.
        code: after it.
        gates: what was decided.
        squares: mean squares that the normalisers saw, each `(width,)`; none without
            normalisers, or when sampling.
    """

    response: Tensor
    code: Tensor
    gates: BlockGates
    squares: tuple[Tensor, ...] = ()


@keras.saving.register_keras_serializable("hcm_tf")
class GeneratorBlock(keras.layers.Layer):
    """Upsample, conv3 ReLU, conv3 ReLU, select positions of each channel.

    Args:
        width: feature maps.
        k: positions kept in each feature map; None keeps all.
        attribute_k: attributes kept at each location, each owning its location's
            channel, where the input holds attributes; None: it does not.
        background: attributes that stay on the grid, see `layers.PlacedConv2D`.
        rule, temperature, p: of the selection, see `layers.SpatialSelection`.
        normalized: both convolutions are normalised before their ReLU, see
            `layers.SparseSwitchableNormalization`.
        gated: tiles of 4x4 pixels may be left as the first convolution has them, see
            `layers.TileGate`.
        residual: adds the upsampled 1x1 convolution of the input after the second
            ReLU; the selection then works on the signed sum.

    Attributes:
        recompute: `call` computes again what its gradient needs, to save memory; see
            `operations.apply`.

    Raises:
        ValueError: gated and normalised: what divides a tile depends on all others.
    """

    recompute = False

    def __init__(
        self,
        width: int,
        *,
        k: int | None,
        attribute_k: int | None = None,
        background: int = 0,
        rule: str = "top_k",
        temperature: float = 1.0,
        p: float = 0.9,
        normalized: bool = False,
        gated: bool = False,
        residual: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if gated and normalized:
            raise ValueError("A block cannot be both `gated` and `normalized`.")
        dtype = self.dtype_policy
        self.width = width
        self.k = k
        self.attribute_k = attribute_k
        self.background = background
        self.residual = residual
        self.first = (
            UpsampledConv2D(width, dtype=dtype, name="first")
            if attribute_k is None
            else PlacedConv2D(width, attribute_k, background, dtype=dtype, name="first")
        )
        self.second = EqualizedConv2D(width, 3, dtype=dtype, name="second")
        self.shortcut = (
            EqualizedConv2D(width, 1, dtype=dtype, name="shortcut")
            if residual
            else None
        )
        self.gate = TileGate(dtype=dtype, name="gate") if gated else None
        self.first_norm = self.second_norm = None
        if normalized:
            self.first_norm = SparseSwitchableNormalization(name="first_norm")
            self.second_norm = SparseSwitchableNormalization(name="second_norm")
        self.rule, self.temperature, self.p = rule, temperature, p
        self.selection = None
        if k is not None:
            self.selection = SpatialSelection(
                *(k, rule), temperature=temperature, p=p, dtype=dtype, name="selection"
            )

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        output_shape = self.compute_output_shape(input_shape)
        self.first.build(input_shape)
        self.second.build(output_shape)
        for norm in self.normalizers:
            norm.build(output_shape)
        if self.gate is not None:
            self.gate.build(output_shape)
        if self.shortcut is not None:
            self.shortcut.build(input_shape)
        if self.selection is not None:
            self.selection.build(output_shape)
        self.built = True

    @property
    def normalizers(self) -> tuple[SparseSwitchableNormalization, ...]:
        """That of the first convolution and that of the second, if there are any."""
        return () if self.first_norm is None else (self.first_norm, self.second_norm)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        batch, height, width, _ = input_shape
        return (batch, 2 * height, 2 * width, self.width)

    @staticmethod
    def widen(margin: int) -> int:
        """Pixels that a unit reaches beyond its cell in the output, per side.

        Args:
            margin: pixels that it reaches beyond it in the input.
        """
        return 2 * margin + 2  # Twice the size, then two 3x3 convolutions.

    def call(
        self,
        x: Tensor,
        placed: Tensor | None = None,
        *,
        selected: bool = False,
        stage: Stage | None = None,
    ) -> Tensor:
        """The block's output: `(batch, n, n, C)` -> `(batch, 2n, 2n, width)`.

        Arguments as of `trace`.
        """

        def run(*inputs: Tensor) -> Tensor:
            return self.trace(*inputs, selected=selected, stage=stage).code

        return _run(self, run, *((x,) if placed is None else (x, placed)))

    def trace(
        self,
        x: Tensor,
        placed: Tensor | None = None,
        *,
        selected: bool = False,
        stage: Stage | None = None,
    ) -> BlockTrace:
        """The output before and after selection, and the decisions.

        Args:
            x: `(batch, n, n, C)`.
            placed: see `BlockGates`.
            selected: x is the network's own selection, no edited or foreign code, so
                that of attributes no more than `attribute_k` of a location are active.
            stage: of training, for the selection of the outputs; None when sampling.
        """
        first = self._respond(x, placed, selected)
        hidden, first_gate = _rectify(first, self.first_norm, stage)
        opened = second = None
        if self.gate is None:
            second = self.second(hidden)
            composed, second_gate = _rectify(second, self.second_norm, stage)
        else:
            opened = self.gate(hidden)
            composed, second_gate = self.gate.compose(
                hidden, self.second.scaled_kernel(), opened
            )
        response = self._add_shortcut(composed, x)
        if self.selection is None:
            kept = ops.ones_like(response, dtype="bool")
            code = response
        else:
            kept = self.selection.gate(response, stage)
            code = keep(response, kept)
        return BlockTrace(
            response,
            code,
            BlockGates(first_gate, second_gate, kept, placed, opened),
            squares=tuple(
                norm.mean_squares(x)
                for norm, x in zip(self.normalizers, (first, second), strict=False)
                if stage is not None
            ),
        )

    def replay(self, x: Tensor, gates: BlockGates) -> Tensor:
        """The linear map that recorded gates make of this block."""
        hidden = keep(self._respond(x, gates.placed, False), gates.first)
        composed = keep(self.second(hidden), gates.second)
        if gates.tiles is not None:
            composed = tiles.mix(gates.tiles, composed, hidden)
        return keep(self._add_shortcut(composed, x), gates.kept)

    def pull_back(self, y: Tensor, gates: BlockGates) -> Tensor:
        """The adjoint of `replay`: `(batch, 2n, 2n, width)` -> `(batch, n, n, C)`."""
        y = keep(y, gates.kept)
        if gates.tiles is None:
            hidden = self.second.back(keep(y, gates.second))
        else:
            shares = tiles.pixels(gates.tiles, y.dtype)
            hidden = self.second.back(keep(shares * y, gates.second))
            hidden = hidden + (1 - shares) * y
        hidden = keep(hidden, gates.first)
        if gates.placed is None:
            x = self.first.back(hidden)
        else:
            x = self.first.back(hidden, gates.placed)
        return x if self.shortcut is None else x + self.shortcut.back(upsample_back(y))

    def _respond(self, x: Tensor, placed: Tensor | None, selected: bool) -> Tensor:
        if isinstance(self.first, PlacedConv2D):
            return self.first(x, placed, selected=selected)
        return self.first(x)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "width": self.width,
            "k": self.k,
            "attribute_k": self.attribute_k,
            "background": self.background,
            "rule": self.rule,
            "temperature": self.temperature,
            "p": self.p,
            "normalized": self.first_norm is not None,
            "gated": self.gate is not None,
            "residual": self.residual,
        }

    def _add_shortcut(self, composed: Tensor, x: Tensor) -> Tensor:
        if self.shortcut is None:
            return composed
        return composed + upsample(self.shortcut(x))


@keras.saving.register_keras_serializable("hcm_tf")
class DownBlock(keras.layers.Layer):
    """conv3 lrelu, conv3 lrelu, average-pool 2 (encoder and critic).

    Args:
        width: feature maps.
        residual: adds the 1x1 convolution of the average-pooled input.

    Attributes:
        recompute: as of `GeneratorBlock`.
    """

    execution = FAST
    recompute = False

    def __init__(
        self,
        width: int,
        *,
        residual: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        dtype = self.dtype_policy
        self.width = width
        self.residual = residual
        self.first = EqualizedConv2D(width, 3, dtype=dtype, name="first")
        self.second = EqualizedConv2D(width, 3, dtype=dtype, name="second")
        self.shortcut = (
            EqualizedConv2D(width, 1, dtype=dtype, name="shortcut")
            if residual
            else None
        )

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        batch, height, width, _ = input_shape
        self.first.build(input_shape)
        self.second.build((batch, height, width, self.width))
        if self.shortcut is not None:
            self.shortcut.build(input_shape)
        self.built = True

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        batch, height, width, _ = input_shape
        return (batch, height // 2, width // 2, self.width)

    def call(self, x: Tensor) -> Tensor:
        """`(batch, n, n, C)` -> `(batch, n / 2, n / 2, width)`."""
        return _run(self, self._go_down, x)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "width": self.width,
            "residual": self.residual,
        }

    def _go_down(self, x: Tensor) -> Tensor:
        y = self.execution.leaky_relu(self.first(x), NEGATIVE_SLOPE)
        y = halve(self.execution.leaky_relu(self.second(y), NEGATIVE_SLOPE))
        return y if self.shortcut is None else y + self.shortcut(halve(x))


@keras.saving.register_keras_serializable("hcm_tf")
class Trunk(keras.layers.Layer):
    """What encoder and critic share in form: conv5 lrelu, then blocks down to 4x4.

    Args:
        widths: feature maps of each block, from the image down.
        residual_block: index of the block with a shortcut.
    """

    execution = FAST

    def __init__(
        self,
        widths: tuple[int, ...],
        *,
        residual_block: int,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        dtype = self.dtype_policy
        self.widths = tuple(widths)
        self.residual_block = residual_block
        self.from_image = EqualizedConv2D(widths[0], 5, dtype=dtype, name="image")
        self.blocks = [
            DownBlock(
                width,
                residual=index == residual_block,
                dtype=dtype,
                name=f"down{index + 1}",
            )
            for index, width in enumerate(widths)
        ]
        track_by_name(self, self.blocks)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.from_image.build(input_shape)
        shape = (*input_shape[:-1], self.from_image.filters)
        for block in self.blocks:
            block.build(shape)
            shape = block.compute_output_shape(shape)
        self.built = True

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        shape = input_shape
        for block in self.blocks:
            shape = block.compute_output_shape(shape)
        return shape

    def call(self, images: Tensor) -> Tensor:
        """`(batch, size, size, channels)` -> `(batch, 4, 4, widths[-1])`."""
        x = self.execution.leaky_relu(self.from_image(images), NEGATIVE_SLOPE)
        for block in self.blocks:
            x = block(x)
        return x

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "widths": self.widths,
            "residual_block": self.residual_block,
        }


def track_by_name(
    owner: keras.layers.Layer, layers: Sequence[keras.layers.Layer]
) -> None:
    """Makes each layer an attribute too.

    A checkpoint follows attributes, but not lists of layers: their weights would be
    left out of it without a word.
    """
    for layer in layers:
        setattr(owner, layer.name, layer)


def _rectify(
    x: Tensor, norm: SparseSwitchableNormalization | None, stage: Stage | None
) -> tuple[Tensor, Tensor]:
    """ReLU, of normalised responses if there is a normaliser; and its gate."""
    if norm is None:
        y = ops.relu(x)
        return y, y > 0
    factor = norm.factor(x, stage)
    gate = ops.where(factor * x > 0, factor, ops.zeros((), dtype=x.dtype))
    return gate * x, gate


def _run(
    block: GeneratorBlock | DownBlock, run: Callable[..., Tensor], *inputs: Tensor
) -> Tensor:
    if not block.recompute:
        return run(*inputs)
    # Needs TensorFlow, as training does; sampling runs on every backend.
    from hcm_tf.operations.recomputation import recomputed

    return recomputed(block, run, *inputs)


def halve(x: Tensor) -> Tensor:
    """Averages 2x2 pixels: `(batch, n, n, C)` -> `(batch, n / 2, n / 2, C)`."""
    return ops.average_pool(
        x, 2, strides=2, padding="valid", data_format="channels_last"
    )
