"""The encoder: image -> latent, trained with the generator to reconstruct."""

from typing import Any

import keras
from keras import ops

from hcm_tf.layers import EqualizedDense
from hcm_tf.networks.blocks import Trunk
from hcm_tf.sparsity import Tensor


@keras.saving.register_keras_serializable("hcm_tf")
class Encoder(keras.Model):
    """Maps an image to the latent that draws it (Xing et al. 2020).

    Args:
        latent_size: length of the latent.
        widths: feature maps of each block, from the image down.
        residual_block: index of the block with a shortcut.
    """

    def __init__(
        self,
        *,
        latent_size: int = 200,
        widths: tuple[int, ...] = (64, 128, 256, 512),
        residual_block: int = 1,
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
        self.fc = EqualizedDense(latent_size, gain=1.0, dtype=dtype, name="fc")

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Builds every layer for images of shape `(batch, size, size, channels)`."""
        self.trunk.build(input_shape)
        _, height, width, channels = self.trunk.compute_output_shape(input_shape)
        self.features = height * width * channels
        self.fc.build((None, self.features))
        self.built = True

    def call(self, images: Tensor) -> Tensor:
        """Images in [-1, 1] -> latents `(batch, latent_size)`, in (-1, 1)."""
        return ops.tanh(self.unbounded(images))

    def unbounded(self, images: Tensor) -> Tensor:
        """The latents before tanh: images -> atanh(latent), `(batch, latent_size)`."""
        x = self.trunk(ops.cast(images, self.compute_dtype))
        latent = self.fc(ops.reshape(x, (-1, self.features)))
        return ops.cast(latent, self.variable_dtype)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "latent_size": self.fc.units,
            "widths": self.trunk.widths,
            "residual_block": self.trunk.residual_block,
        }
