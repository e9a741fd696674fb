"""Images from a folder: any common format and size, flat or nested."""

import hashlib
import os
import pathlib
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import tqdm
from PIL import Image

from hcm_tf.config import DataConfig
from hcm_tf.data import image_file
from hcm_tf.data.cache import cached, stamp
from hcm_tf.data.held_out import held_out_count
from hcm_tf.data.image_set import ImageSet
from hcm_tf.data.resizing import ImageFormat
from hcm_tf.data.source import Example, Source
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
    folders = {name: number for number, name in enumerate(_folders(paths))}
    nested = len(folders) > 1
    most = len(paths)
    if config.max_images:
        most = min(most, config.max_images + config.held_out)
    notes: list[str] = []

    def divide(count: int) -> int:
        # Of all files, where a limit left some of them unread.
        available = len(paths) if count == most else count
        return held_out_count(available, config.held_out, str(root))

    def examples() -> Iterator[Example]:
        for path, image in _readable(root, paths, most, image_format, notes):
            yield image, {"folder": folders[_folder(path)]} if nested else {}

    source = Source(
        name=config.dataset,
        shape=image_format.shape,
        label_names={"folder": list(folders)} if nested else {},
        most=most,
        examples=examples,
        divide=divide,
        limit=config.max_images,
        notes=notes,
    )
    key = {
        "folder": str(root.resolve()),
        "files": _digest(root, paths),
        "format": vars(image_format),
        "limits": [config.max_images, config.held_out],
    }
    return cached(config, key, source)


def _find(root: pathlib.Path) -> list[str]:
    """Relative paths of the image files, in order; hidden files are left out."""
    if not root.is_dir():
        problem = "is a file" if root.exists() else "does not exist"
        raise UserError(f"{root} {problem}: give a directory of images.")

    def refuse(error: OSError) -> None:
        raise UserError(
            f"{error.filename} cannot be read: {error.strerror}. Change its "
            "permissions, or choose another directory."
        ) from error

    # Not `pathlib.Path`: a million of those take three times the memory.
    paths = []
    for parent, children, names in os.walk(root, onerror=refuse):
        children[:] = [child for child in children if not child.startswith(".")]
        relative = os.path.relpath(parent, root)
        paths += [
            os.path.normpath(os.path.join(relative, name))
            for name in names
            if name.lower().endswith(EXTENSIONS) and not name.startswith(".")
        ]
    if not paths:
        raise UserError(
            f"{root} has no images: none of its files ends in {', '.join(EXTENSIONS)}."
        )
    # By directory and then by name, whatever character comes before a separator.
    return sorted(paths, key=lambda path: path.replace(os.sep, "\0"))


def _folder(path: str) -> str:
    return pathlib.PurePath(path).parent.as_posix()


def _folders(paths: list[str]) -> list[str]:
    return sorted({_folder(path) for path in paths})


def _digest(root: pathlib.Path, paths: list[str]) -> str:
    """SHA-256 of the names, sizes and times of all files."""
    found = hashlib.sha256()
    for path in paths:
        found.update(os.fsencode(path))
        found.update("\0{}\0{}\n".format(*stamp(root / path)).encode())
    return found.hexdigest()


def _readable(
    root: pathlib.Path,
    paths: list[str],
    wanted: int,
    image_format: ImageFormat,
    notes: list[str],
) -> Iterator[tuple[str, np.ndarray]]:
    """The first `wanted` readable images, in random order; notes what is left out."""
    order = np.random.default_rng(_ORDER_SEED).permutation(len(paths))
    found, failures, named = 0, 0, []
    with tqdm.tqdm(total=wanted, desc="Reading", disable=None) as progress:
        for path, result in _decode_in_threads(root, paths, order, image_format):
            if isinstance(result, str):
                failures += 1
                if failures <= _NAMED_FAILURES:
                    named.append(f"{path} ({result})")
                continue
            found += 1
            progress.update()
            yield path, result
            if found == wanted:
                break
    if found == wanted < len(paths) - failures:
        notes.append(
            f"{root} has {len(paths)} image files, and {wanted} of them are used, at "
            "random: --max_images=0 takes all"
        )
    if failures:
        more = ", ..." if failures > _NAMED_FAILURES else ""
        notes.append(
            f"{failures} file(s) in {root} cannot be read and are left out: "
            f"{', '.join(named)}{more}"
        )


def _decode_in_threads(
    root: pathlib.Path, paths: list[str], order: np.ndarray, image_format: ImageFormat
) -> Iterator[tuple[str, np.ndarray | str]]:
    """Each path with its image, or why there is none; Pillow frees the GIL."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(order), _READ_AT_ONCE):
            some = [paths[place] for place in order[start : start + _READ_AT_ONCE]]
            # Pillow warns about oddities that do not keep an image from being read.
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                results = list(
                    pool.map(lambda path: _decode_one(root / path, image_format), some)
                )
            yield from zip(some, results, strict=True)


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
