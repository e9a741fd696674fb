"""Any image made square, of one size and number of channels."""

import dataclasses

import numpy as np
from PIL import Image

from hcm_tf.config import DataConfig

_FILTERS = {"lanczos": Image.Resampling.LANCZOS, "area": Image.Resampling.BOX}
_MODES = {1: "L", 3: "RGB"}
# Pillow reads a 16-bit grey file as one of these.
_DEEP_MODES = ("I", "I;16", "I;16L", "I;16B", "I;16N")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageFormat:
    """What every image becomes, and how.

    Attributes:
        size: height and width, in pixels.
        channels: 1 for grey, 3 for RGB.
        resize: `crop` cuts the centre square, `stretch` resizes both sides.
        resize_filter: `lanczos` or `area`, both antialiased.
    """

    size: int
    channels: int
    resize: str
    resize_filter: str

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of every image: (size, size, channels)."""
        return self.size, self.size, self.channels

    @classmethod
    def of(cls, config: DataConfig, size: int, channels: int) -> "ImageFormat":
        """The format that a configuration asks for."""
        return cls(
            size=size,
            channels=channels,
            resize=config.resize,
            resize_filter=config.resize_filter,
        )

    def apply(self, image: Image.Image) -> np.ndarray:
        """Converts one image; transparent pixels are put on white.

        Returns:
            uint8 `(size, size, channels)`.

        Raises:
            ValueError: the image has floating-point or 32-bit pixels.
        """
        image = _opaque_8_bit(image)
        if image.mode != "L":  # Grey is resized as one channel: the same, but faster.
            image = image.convert(_MODES[self.channels])
        if image.size != (self.size, self.size):
            image = image.resize(
                (self.size, self.size),
                _FILTERS[self.resize_filter],
                box=self._box(*image.size),
            )
        pixels = np.array(image.convert(_MODES[self.channels]), np.uint8)
        return pixels.reshape(self.shape)

    def apply_to_array(self, pixels: np.ndarray) -> np.ndarray:
        """Converts one image, uint8 or uint16 `(height, width[, channels])`."""
        if pixels.ndim == 3 and pixels.shape[-1] == 1:
            pixels = pixels[..., 0]
        if pixels.dtype == np.uint16:
            pixels = _to_8_bit(pixels)
        if pixels.dtype != np.uint8:
            raise ValueError(f"pixels must be 8 or 16 bit. Received: {pixels.dtype}")
        return self.apply(Image.fromarray(pixels))

    def _box(self, width: int, height: int) -> tuple[float, float, float, float]:
        if self.resize == "stretch":
            return 0, 0, width, height
        side = min(width, height)
        left, top = (width - side) // 2, (height - side) // 2
        return left, top, left + side, top + side


def _opaque_8_bit(image: Image.Image) -> Image.Image:
    if image.mode in _DEEP_MODES:
        pixels = np.asarray(image)
        if pixels.min() < 0 or pixels.max() > 65535:
            raise ValueError("32-bit pixels")
        return Image.fromarray(_to_8_bit(pixels))
    if image.mode == "F":
        raise ValueError("floating-point pixels")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image


def _to_8_bit(pixels: np.ndarray) -> np.ndarray:
    return np.rint(pixels / 257).astype(np.uint8)  # 65535 is 257 * 255.
