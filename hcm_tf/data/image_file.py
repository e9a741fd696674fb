"""One image file, decoded upright and within bounds; training and explain share it."""

import os

from PIL import Image, ImageOps

MAXIMUM_PIXELS = 100_000_000


class TooLargeError(ValueError):
    """An image of more than MAXIMUM_PIXELS."""


def decode(path: str | os.PathLike, *, at_least: int | None = None) -> Image.Image:
    """Decodes an image file, turned and mirrored as its EXIF data says.

    Args:
        path: file in any format that Pillow reads; an animation gives its first frame.
        at_least: height and width that will do. A large JPEG file is then decoded at a
            fraction of its size, which is faster; None decodes it in full.

    Raises:
        TooLargeError: seen before anything is decoded.
        OSError: no such file, no image, or a damaged one. Pillow's plugins raise errors
            of other kinds on damaged files too.
    """
    too_large = f"more than {MAXIMUM_PIXELS:,} pixels"
    try:
        with Image.open(path) as image:
            if image.width * image.height > MAXIMUM_PIXELS:
                raise TooLargeError(f"{image.width} x {image.height}, {too_large}")
            if at_least is not None:
                image.draft(None, (at_least, at_least))
            return ImageOps.exif_transpose(image)
    except Image.DecompressionBombError as error:
        raise TooLargeError(too_large) from error
