"""The sparse generator: latent -> attributes -> parts -> image (Xing et al. 2020)."""

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from hcm_tf.config import GRID, PLACEMENTS
from hcm_tf.layers import (
    RELU_GAIN,
    ChannelSelection,
    EqualizedConv2D,
    EqualizedDense,
    LocationAttention,
    PlacingConv2D,
)
from hcm_tf.networks.composition import Composition, Trace
from hcm_tf.operations import placing
from hcm_tf.operations.placing import Placing, PlacingStage
from hcm_tf.sparsity import Tensor, keep
from hcm_tf.sparsity.rules import RULES, Stage


@keras.saving.register_keras_serializable("hcm_tf")
class Generator(Composition):
    """A generator that keeps its top-k activations at every level (Xing et al. 2020).

    The latent becomes attributes at 4x4 locations, of which each location keeps the
    strongest; attribute v at location l owns a basis function, and every block above
    composes the image from the strongest positions of its feature maps.

    Args:
        resolutions: output resolution of each block, doubling from 8.
        widths: feature maps of each block.
        attributes: attributes per location (V).
        attribute_k: attributes kept at each location.
        spatial_k: positions kept in each feature map, for every block but the last.
        rules: by which they are kept, names of `sparsity.rules.RULES`: one for each
            sparse level, the attributes first; the last serves all further levels.
        temperature, p: of rules that have them, see `layers.ChannelSelection`.
        normalized: the blocks are, see `layers.SparseSwitchableNormalization`.
        gated: blocks from 32x32 pixels on may leave out the second convolution of a
            tile, see `layers.TileGate`.
        placement: "grid" (published), or "free": every location says where its part
            is, how large, how present and how deep (`operations.placing`).
        presence: of such parts: "soft", or "hard", 0 or 1.
        opacity: of such parts: "own", every location's, or "shared", one of all.
        stretch: such parts may be stretched along any direction, and be of more sizes.
        background_attributes: so many attributes, the first, belong to no part: they
            draw on the grid, behind all parts. What they are is decided for the picture
            as a whole, the mean over locations, so that they cannot draw its objects.
        location_latents: each location has its own sixteenth of the latent, in
            row-major order, and the first layer's weights are shared by all.
        location_attention: see `layers.LocationAttention`.
        image_channels: channels of the image.
        classes: of each label that images are drawn by; none: by latents alone.

    Raises:
        ValueError: the lengths do not agree, or a k is out of range; there is no such
            rule.
    """

    def __init__(
        self,
        *,
        resolutions: tuple[int, ...] = (8, 16, 32, 64),
        widths: tuple[int, ...] = (512, 256, 128, 64),
        attributes: int = 200,
        attribute_k: int = 20,
        spatial_k: tuple[int, ...] = (16, 64, 341),
        rules: tuple[str, ...] = ("top_k",),
        temperature: float = 1.0,
        p: float = 0.9,
        normalized: bool = False,
        gated: bool = False,
        placement: str = "grid",
        presence: str = "soft",
        opacity: str = "own",
        stretch: bool = False,
        background_attributes: int = 0,
        location_latents: bool = False,
        location_attention: bool = False,
        image_channels: int = 3,
        classes: tuple[int, ...] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not len(resolutions) == len(widths) == len(spatial_k) + 1:
            raise ValueError(
                "`resolutions` and `widths` must be one longer than `spatial_k`. "
                f"Received: {resolutions}, {widths}, {spatial_k}"
            )
        if placement not in PLACEMENTS:
            raise ValueError(
                f"`placement` must be one of {', '.join(PLACEMENTS)}. "
                f"Received: {placement!r}"
            )
        dtype = self.dtype_policy
        self.rules = tuple(rules[min(i, len(rules) - 1)] for i in range(len(widths)))
        self.temperature, self.p = temperature, p
        self.normalized = normalized
        self.gated = gated
        chosen = {"temperature": temperature, "p": p, "dtype": dtype}
        self.location_latents = location_latents
        self.features = widths[0]
        units = GRID * GRID * self.features
        self.fc = EqualizedDense(
            *(self.features if location_latents else units, RELU_GAIN / 4),
            dtype=dtype,
            name="fc",
        )
        self.attribute_conv = EqualizedConv2D(
            attributes, 3, dtype=dtype, name="attributes"
        )
        self.attention = None
        if location_attention:
            self.attention = LocationAttention(dtype=dtype, name="attention")
        self.placement, self.presence, self.opacity = placement, presence, opacity
        self.stretch = stretch
        self.background_attributes = background_attributes
        self.placing = None
        if placement == "free":
            self.placing = PlacingConv2D(
                opacity == "shared", stretch, dtype=dtype, name="placing"
            )
        self.classes = tuple(classes)
        self.label_fc = self.label_preferences = None
        if classes:
            # A label is one 1 among its classes: as if each were an input of its own.
            alone = math.sqrt(sum(classes) / len(classes))
            self.label_fc = EqualizedDense(
                units, gain=alone * self.fc.gain, dtype=dtype, name="label_fc"
            )
            self.label_preferences = EqualizedDense(
                *(GRID * GRID * attributes, alone),
                dtype=dtype,
                name="label_preferences",
            )
        self.attribute_selection = ChannelSelection(
            *(attribute_k, self.rules[0]),
            always=background_attributes,
            name="attribute_selection",
            **chosen,
        )
        self.compose(
            *(resolutions, widths, spatial_k, self.rules[1:]),
            attribute_k=attribute_k,
            background=background_attributes,
            normalized=normalized,
            gated=gated,
            image_channels=image_channels,
            **chosen,
        )

    def build(self, input_shape: tuple[int | None, int]) -> None:
        """Builds every layer for latents of shape `(batch, latent_size)`.

        With labels, those behind the latents count (`hcm_tf.labels`).
        """
        width = sum(self.classes)
        size = input_shape[-1] - width
        if self.location_latents:
            self.fc.build((None, GRID * GRID, size // (GRID * GRID)))
        else:
            self.fc.build((None, size))
        if self.classes:
            self.label_fc.build((None, width))
            self.label_preferences.build((None, width))
        shape = (None, GRID, GRID, self.features)
        self.attribute_conv.build(shape)
        for layer in (self.attention, self.placing):
            if layer is not None:
                layer.build(shape)
        shape = (None, GRID, GRID, self.attribute_conv.filters)
        self.attribute_selection.build(shape)
        for block in self.blocks:
            block.build(shape)
            shape = block.compute_output_shape(shape)
        self.to_image.build(shape)
        self.latent_size = input_shape[-1]
        self.built = True

    def call(
        self,
        latent: Tensor,
        stages: Stage | tuple[Stage, ...] | None = None,
        placing_stage: PlacingStage | None = None,
    ) -> Tensor:
        """Draws images: `(batch, latent_size)` -> `(batch, size, size, channels)`.

        Args:
            latent: in [-1, 1].
            stages: of training, one for all levels or one for each, the attributes'
                first; None when sampling.
            placing_stage: likewise, of parts that are placed freely.
        """
        return self.draw(latent, stages, placing_stage)[0]

    def draw(
        self,
        latent: Tensor,
        stages: Stage | tuple[Stage, ...] | None = None,
        placing_stage: PlacingStage | None = None,
    ) -> tuple[Tensor, Placing | None]:
        """The images, and where their parts are; arguments as of `call`."""
        own, *above = self._stages(stages)
        features, labels = self._features(latent)
        response = self._respond(features, labels)
        placed, matrix = self._place(features, placing_stage)
        code = self.attribute_selection(response, stage=own)
        selected = self._has_most(own)
        for block, stage in zip(self.blocks, above, strict=True):
            code = block(code, matrix, selected=selected, stage=stage)
            matrix = None
        return ops.tanh(self._to_logits(code)), placed

    def draw_background(
        self, latent: Tensor, stages: Stage | tuple[Stage, ...] | None = None
    ) -> Tensor:
        """The images without any part: what is behind them, `(batch, size, size, c)`.

        Args:
            latent, stages: as of `call`.

        Raises:
            ValueError: there is no background.
        """
        count = self.background_attributes
        if not count:
            raise ValueError("There is no background: `background_attributes` is 0.")
        response = self._respond(*self._features(latent))
        own = np.arange(response.shape[-1]) < count
        code = response * ops.cast(own, response.dtype)
        matrix = placing.background_sums(GRID)
        for block, stage in zip(self.blocks, self._stages(stages)[1:], strict=True):
            code = block(code, matrix, stage=stage)
            matrix = None
        return ops.tanh(self._to_logits(code))

    def preferences(self, latent: Tensor) -> Tensor:
        """The attributes before ReLU and selection, `(batch, 4, 4, attributes)`.

        Args:
            latent: `(batch, latent_size)`, in [-1, 1].
        """
        return self._prefer(*self._features(latent))

    def split(self, latent: Tensor) -> tuple[Tensor, Tensor]:
        """Latents, and the labels behind them: `(batch, ...)` each."""
        size = latent.shape[-1] - sum(self.classes)
        return latent[:, :size], latent[:, size:]

    def class_gates(self, labels: Tensor) -> Tensor:
        """How much of each attribute classes prefer: `(batch, 4, 4, attributes)`.

        From 0 (never) to 2; 1 is neither here nor there. Before the selection: the top
        of the AND-OR tree, at which a class chooses what it may be made of.

        Args:
            labels: `(batch, classes of all labels)`.
        """
        gates = 2 * ops.sigmoid(self.label_preferences(labels))
        return ops.reshape(gates, (-1, GRID, GRID, self.attribute_conv.filters))

    def _features(self, latent: Tensor) -> tuple[Tensor, Tensor | None]:
        """What each location knows, `(batch, 4, 4, features)`, and the labels."""
        latent, labels = ops.cast(latent, self.compute_dtype), None
        if self.classes:
            latent, labels = self.split(latent)
        if self.location_latents:
            size = latent.shape[-1] // (GRID * GRID)
            latent = ops.reshape(latent, (-1, GRID * GRID, size))
        x = self.fc(latent)
        if self.location_latents:
            x = ops.reshape(x, (-1, GRID * GRID * self.features))
        if labels is not None:
            x = x + self.label_fc(labels)
        x = ops.relu(x)
        x = ops.reshape(x, (-1, GRID, GRID, self.features))
        return x if self.attention is None else self.attention(x), labels

    def _prefer(self, features: Tensor, labels: Tensor | None) -> Tensor:
        preferred = self.attribute_conv(features)
        return preferred if labels is None else preferred * self.class_gates(labels)

    def _respond(self, features: Tensor, labels: Tensor | None) -> Tensor:
        """The attributes before their selection: `(batch, 4, 4, attributes)`."""
        response = ops.relu(self._prefer(features, labels))
        count = self.background_attributes
        if not count:
            return response
        # The mean of what locations respond: the response to their mean would be 0, and
        # without a gradient, for good, once it is negative for every picture.
        whole = ops.mean(response[..., :count], axis=(1, 2), keepdims=True)
        whole = ops.repeat(ops.repeat(whole, GRID, axis=1), GRID, axis=2)
        return ops.concatenate([whole, response[..., count:]], axis=-1)

    def _place(
        self, features: Tensor, stage: PlacingStage | None
    ) -> tuple[Placing | None, Tensor | None]:
        """Where the parts are, and their matrix; in float32, whatever computes."""
        if self.placing is None:
            return None, None
        numbers = ops.cast(self.placing(features), self.variable_dtype)
        placed = placing.read(
            numbers,
            stage,
            hard=self.presence == "hard",
            background=self.background_attributes > 0,
        )
        return placed, self.sums(placed)

    def sums(self, placed: Placing) -> Tensor:
        """The matrix of parts at these places: `operations.placing.sums`."""
        return placing.sums(placed, background=self.background_attributes > 0)

    def trace(
        self,
        latent: Tensor,
        stages: Stage | tuple[Stage, ...] | None = None,
        placing_stage: PlacingStage | None = None,
    ) -> Trace:
        """Draws images and records how: codes of every level, and all gates.

        Arguments as of `call`; gates of selections are boolean or float, as the rules
        return them.
        """
        own, *above = self._stages(stages)
        features, labels = self._features(latent)
        response = self._respond(features, labels)
        placed, matrix = self._place(features, placing_stage)
        code = keep(response, self.attribute_selection.gate(response, own))
        trace = self._trace(
            *(0, response, code, matrix), selected=self._has_most(own), stages=above
        )
        return trace._replace(placing=placed)

    def get_config(self) -> dict[str, Any]:
        *maps, last = self.blocks
        return {
            **super().get_config(),
            "resolutions": tuple(
                2 * GRID * 2**index for index in range(len(self.blocks))
            ),
            "widths": tuple(block.width for block in (*maps, last)),
            "attributes": self.attribute_conv.filters,
            "attribute_k": self.attribute_selection.k,
            "spatial_k": tuple(block.k for block in maps),
            "rules": self.rules,
            "temperature": self.temperature,
            "p": self.p,
            "normalized": self.normalized,
            "gated": self.gated,
            "placement": self.placement,
            "presence": self.presence,
            "opacity": self.opacity,
            "stretch": self.stretch,
            "background_attributes": self.background_attributes,
            "location_latents": self.location_latents,
            "location_attention": self.attention is not None,
            "image_channels": self.image_channels,
            "classes": self.classes,
        }

    def _stages(self, stages: Stage | tuple[Stage, ...] | None) -> list[Stage | None]:
        """One of each level, and of the last block, which selects nothing."""
        if stages is None or isinstance(stages, Stage):
            return [stages] * (len(self.blocks) + 1)
        return [*stages, stages[-1]]

    def _has_most(self, stage: Stage | None) -> bool:
        """Whether a location has `attribute_k` active attributes, ties aside."""
        return stage is None and RULES[self.rules[0]].bounded
