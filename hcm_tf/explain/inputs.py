"""What a command explains: image files, random latents, levels and units by name."""

import os
import pathlib
import warnings

import numpy as np

from hcm_tf.config import ExperimentConfig
from hcm_tf.data import image_file
from hcm_tf.data.resizing import ImageFormat
from hcm_tf.errors import UserError
from hcm_tf.explain.units import Units, active_units
from hcm_tf.images import to_float

MODES = {1: ("L",), 3: ("RGB",)}


def read_image(
    path: str | os.PathLike, config: ExperimentConfig, *, fit: bool = False
) -> np.ndarray:
    """Reads one image as the networks take it, upright by its EXIF data.

    Args:
        path: file in any format that Pillow reads.
        config: of the run.
        fit: convert, crop and resize as was done with the training images, instead of
            refusing what does not fit.

    Returns:
        float32 `(size, size, channels)` in [-1, 1].

    Raises:
        UserError: no such file, no image, one that does not fit, or one of more than
            `image_file.MAXIMUM_PIXELS`.
    """
    path = pathlib.Path(path)
    size, channels = config.model.image_size, config.model.image_channels
    try:
        with warnings.catch_warnings():
            # Pillow warns about oddities that do not keep an image from being read.
            warnings.simplefilter("ignore")
            image = image_file.decode(path)
    except image_file.TooLargeError as error:
        raise UserError(f"{path}: {error}. Give a smaller image.") from error
    except (OSError, ValueError, SyntaxError) as error:
        reason = (
            "no such file" if not path.exists() else "not an image that can be read"
        )
        raise UserError(f"{path}: {reason}.") from error
    if fit:
        try:
            return to_float(ImageFormat.of(config.data, size, channels).apply(image))
        except ValueError as error:
            raise UserError(f"{path}: {error} cannot be converted.") from error
    expected = f"{size}x{size} {'/'.join(MODES[channels])}"
    if image.size != (size, size) or image.mode not in MODES[channels]:
        width, height = image.size
        raise UserError(
            f"{path} is {width}x{height} {image.mode}, and this run takes {expected}. "
            "Add --fit to convert it as the training images were."
        )
    return to_float(np.asarray(image).reshape(size, size, channels))


def level_index(name: str, level_names: tuple[str, ...]) -> int:
    """The level of a name, or of a number.

    Raises:
        UserError: there is no such level.
    """
    if name in level_names:
        return level_names.index(name)
    if name.isdecimal() and int(name) < len(level_names):
        return int(name)
    raise UserError(
        f"There is no level {name!r}. This run has {', '.join(level_names)}."
    )


def find_units(
    text: str, level_names: tuple[str, ...], codes: tuple[np.ndarray, ...]
) -> tuple[int, Units]:
    """The active units that "level:row,column:basis" names.

    Row, column and basis are a number, a range such as 3-5, or * for all.

    Raises:
        UserError: it cannot be read, or nothing active is there.
    """
    parts = text.split(":")
    places = parts[1].split(",") if len(parts) == 3 else []
    if len(places) != 2:
        raise UserError(
            f"{text!r} names no unit. Write level:row,column:basis, such as "
            f"{level_names[0]}:1,2:17 or {level_names[0]}:1,0-3:*."
        )
    level = level_index(parts[0], level_names)
    code = codes[level]
    units = active_units(code)
    chosen = np.ones(units.count, bool)
    for what, field, size in zip(
        ("row", "column", "basis"), (*places, parts[2]), code.shape, strict=True
    ):
        low, high = _range(text, what, field, size)
        values = getattr(units, what)
        chosen &= (values >= low) & (values <= high)
    if not chosen.any():
        raise UserError(f"{text}: no unit is active there in this image.")
    return level, units.take(chosen)


def _range(text: str, what: str, field: str, size: int) -> tuple[int, int]:
    if field == "*":
        return 0, size - 1
    low, dash, high = field.partition("-")
    if not low.isdecimal() or (dash and not high.isdecimal()):
        raise UserError(
            f"{text}: {what} {field!r} is no number, range such as 3-5, or *."
        )
    bounds = int(low), int(high) if dash else int(low)
    if not bounds[0] <= bounds[1] < size:
        raise UserError(
            f"{text}: there is no {what} {field}; this level has 0 to {size - 1}."
        )
    return bounds
