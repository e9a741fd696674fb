"""The encoder: image -> latent, trained with the generator to reconstruct."""

import itertools
from typing import Any

import keras
from keras import ops

from hcm_tf.config import GRID
from hcm_tf.layers import EqualizedDense
from hcm_tf.networks.blocks import Trunk
from hcm_tf.sparsity import Tensor


@keras.saving.register_keras_serializable("hcm_tf")
class Encoder(keras.Model):
    """Maps an image to the latent that draws it (Xing et al. 2020).

    Args:
        latent_size: length of the latent.
        location_latents: each of the trunk's last pixels gives its own part of it, by
            weights that all share; see `Generator`.
        widths: feature maps of each block, from the image down.
        residual_block: index of the block with a shortcut.
        classes: of each label that it reads from an image; none: it reads none.

    Attributes:
        offsets: what latents have in common that are of one class, `(classes of all
            labels, latent_size)`; it follows training, and is taken away from them, so
            that the latent does not say what the label says. None without labels.
    """

    def __init__(
        self,
        *,
        latent_size: int = 200,
        location_latents: bool = False,
        widths: tuple[int, ...] = (64, 128, 256, 512),
        residual_block: int = 1,
        classes: tuple[int, ...] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        dtype = self.dtype_policy
        self.trunk = Trunk(
            widths,
            residual_block=residual_block,
            dtype=dtype,
            name="trunk",
        )
        self.latent_size = latent_size
        self.location_latents = location_latents
        self.fc = EqualizedDense(
            latent_size // GRID**2 if location_latents else latent_size,
            gain=1.0,
            dtype=dtype,
            name="fc",
        )
        self.classes = tuple(classes)
        self.label_fc = self.offsets = None
        if classes:
            self.label_fc = EqualizedDense(
                sum(classes), gain=1.0, dtype=dtype, name="label_fc"
            )

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Builds every layer for images of shape `(batch, size, size, channels)`."""
        self.trunk.build(input_shape)
        _, height, width, channels = self.trunk.compute_output_shape(input_shape)
        self.features = height * width * channels
        if self.location_latents:
            self.fc.build((None, height * width, channels))
        else:
            self.fc.build((None, self.features))
        if self.label_fc is not None:
            self.label_fc.build((None, self.features))
            self.offsets = self.add_weight(
                name="offsets",
                shape=(sum(self.classes), self.latent_size),
                initializer="zeros",
                trainable=False,
            )
        self.built = True

    def call(self, images: Tensor) -> Tensor:
        """Images in [-1, 1] -> latents `(batch, latent_size)`, in (-1, 1).

        Behind each stand the labels that it reads, one-hot, if it reads any.
        """
        latents, scores = self.read(images)
        if not self.classes:
            return ops.tanh(latents)
        labels = ops.concatenate([_largest(one) for one in scores], axis=-1)
        latents = ops.tanh(self.centred(latents, labels))
        return ops.concatenate([latents, labels], axis=-1)

    def centred(self, latents: Tensor, labels: Tensor) -> Tensor:
        """Latents before tanh without what their classes have in common.

        Args:
            latents: of `read`.
            labels: one-hot, `(batch, classes of all labels)`.
        """
        return latents - ops.matmul(labels, ops.convert_to_tensor(self.offsets))

    def read(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Latents before tanh, not centred, and for each label its classes' scores.

        Args:
            images: `(batch, size, size, channels)`, in [-1, 1].

        Returns:
            `(batch, latent_size)`; logits, each `(batch, classes)`.
        """
        x = self.trunk(ops.cast(images, self.compute_dtype))
        features = ops.reshape(x, (-1, self.features))
        if self.location_latents:
            x = ops.reshape(x, (-1, GRID**2, self.features // GRID**2))
            latents = ops.reshape(self.fc(x), (-1, self.latent_size))
        else:
            latents = self.fc(features)
        latents = ops.cast(latents, self.variable_dtype)
        if not self.classes:
            return latents, []
        scores = ops.cast(self.label_fc(features), self.variable_dtype)
        ends = itertools.accumulate(self.classes)
        return latents, [
            scores[:, end - count : end]
            for count, end in zip(self.classes, ends, strict=True)
        ]

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "latent_size": self.latent_size,
            "location_latents": self.location_latents,
            "widths": self.trunk.widths,
            "residual_block": self.trunk.residual_block,
            "classes": self.classes,
        }


def _largest(scores: Tensor) -> Tensor:
    """A 1 for the first of the largest, 0 for the others."""
    # Keras's argmax looks at the bits of zeros, which TFLite has no builtins for.
    first = ops.top_k(scores, 1)[1][..., 0]
    return ops.one_hot(first, scores.shape[-1], dtype=scores.dtype)
