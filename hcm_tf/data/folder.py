"""Images from a folder: any common format and size, flat or nested."""

import itertools
import os
import pathlib
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import tqdm
from absl import logging
from PIL import Image

from hcm_tf.config import DataConfig
from hcm_tf.data import image_file
from hcm_tf.data.cache import cached
from hcm_tf.data.held_out import held_out_count
from hcm_tf.data.image_set import ImageSet, fill
from hcm_tf.data.resizing import ImageFormat
from hcm_tf.errors import UserError

EXTENSIONS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")
_ORDER_SEED = 0
_READ_AT_ONCE = 256
_NAMED_FAILURES = 5


def read(
    config: DataConfig, directory: str, image_format: ImageFormat
) -> tuple[ImageSet, ImageSet]:
    """Reads the images below a directory; a random part of them is held out.

    The order is random, but always the same, so that a limit takes images of every
    sub-folder. Files that cannot be read are named and left out. Sub-folders, if there
    are several, become the label `folder`.

    Raises:
        UserError: there is no such directory, or it has too few readable images.
    """
    root = pathlib.Path(directory).expanduser()
    paths = _find(root)
    folders = sorted({path.parent.as_posix() for path in paths})
    key = {
        "folder": str(root.resolve()),
        "files": [(str(path), *_stamp(root / path)) for path in paths],
        "format": vars(image_format),
        "limits": [config.max_images, config.held_out],
    }

    def make() -> tuple[ImageSet, ImageSet]:
        wanted = len(paths)
        if config.max_images:
            wanted = min(wanted, config.max_images + config.held_out)
        used = []
        images = fill(
            _readable(root, paths, wanted, image_format, used),
            (wanted, *image_format.shape),
        )
        held_out = held_out_count(len(images), config.held_out, str(root))
        labels = np.array([folders.index(path.parent.as_posix()) for path in used])
        nested = len(folders) > 1
        every = ImageSet(
            images=images,
            labels={"folder": labels} if nested else {},
            label_names={"folder": folders} if nested else {},
            name=config.dataset,
        )
        stop = held_out + (config.max_images or len(every))
        return every.part(held_out, stop), every.part(0, held_out)

    return cached(config, key, make)


def _find(root: pathlib.Path) -> list[pathlib.Path]:
    """Relative paths of the image files, sorted; hidden files are left out."""
    if not root.is_dir():
        problem = "is a file" if root.exists() else "does not exist"
        raise UserError(f"{root} {problem}: give a directory of images.")

    def refuse(error: OSError) -> None:
        raise UserError(
            f"{error.filename} cannot be read: {error.strerror}. Change its "
            "permissions, or choose another directory."
        ) from error

    paths = []
    for parent, children, files in os.walk(root, onerror=refuse):
        children[:] = [child for child in children if not child.startswith(".")]
        paths += [
            pathlib.Path(parent, file).relative_to(root)
            for file in files
            if file.lower().endswith(EXTENSIONS) and not file.startswith(".")
        ]
    if not paths:
        raise UserError(
            f"{root} has no images: none of its files ends in {', '.join(EXTENSIONS)}."
        )
    return sorted(paths)


def _stamp(path: pathlib.Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:  # A dangling link: reading it fails, and is reported then.
        return (0, 0)
    return status.st_size, status.st_mtime_ns


def _readable(
    root: pathlib.Path,
    paths: list[pathlib.Path],
    wanted: int,
    image_format: ImageFormat,
    used: list[pathlib.Path],
) -> Iterator[np.ndarray]:
    """The first `wanted` readable images, in random order; appends paths to `used`."""
    order = np.random.default_rng(_ORDER_SEED).permutation(len(paths))
    shuffled = [paths[position] for position in order]
    failures = []
    with tqdm.tqdm(total=wanted, desc="Reading", disable=None) as progress:
        for path, result in zip(
            shuffled, _decode_in_threads(root, shuffled, image_format), strict=True
        ):
            if isinstance(result, str):
                failures.append(f"{path} ({result})")
                continue
            used.append(path)
            progress.update()
            yield result
            if len(used) == wanted:
                break
    if failures:
        logging.warning(
            "%d file(s) in %s cannot be read and are left out: %s%s",
            *(len(failures), root, ", ".join(failures[:_NAMED_FAILURES])),
            ", ..." if len(failures) > _NAMED_FAILURES else "",
        )


def _decode_in_threads(
    root: pathlib.Path, paths: list[pathlib.Path], image_format: ImageFormat
) -> Iterator[np.ndarray | str]:
    """For each path the image, or why there is none; Pillow frees the GIL."""
    remaining = iter(paths)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        while some := list(itertools.islice(remaining, _READ_AT_ONCE)):
            # Pillow warns about oddities that do not keep an image from being read.
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                results = list(
                    pool.map(lambda path: _decode_one(root / path, image_format), some)
                )
            yield from results


def _decode_one(path: pathlib.Path, image_format: ImageFormat) -> np.ndarray | str:
    try:
        # Four times the size needed, so that the filter still does the work.
        image = image_file.decode(path, at_least=4 * image_format.size)
        return image_format.apply(image)
    except Image.UnidentifiedImageError:
        return "not an image" if path.stat().st_size else "empty"
    # Pillow's plugins raise errors of many kinds on damaged files.
    except Exception as error:
        return str(error) or type(error).__name__
