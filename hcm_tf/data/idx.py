"""MNIST's file format, IDX: Fashion-MNIST and MNIST from local files."""

import contextlib
import gzip
import math
import pathlib
import zlib
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
import tqdm

from hcm_tf.config import DataConfig
from hcm_tf.data import image_file
from hcm_tf.data.cache import cached, stamp
from hcm_tf.data.image_set import ImageSet
from hcm_tf.data.resizing import ImageFormat
from hcm_tf.data.source import Example, Source
from hcm_tf.errors import UserError

# Debian's package dataset-fashion-mnist installs the files here.
_SYSTEM = {"fashion_mnist": pathlib.Path("/usr/share/datasets/fashion-mnist")}
_FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
_NAMES = {
    "mnist": [str(digit) for digit in range(10)],
    "fashion_mnist": [
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ],
}


def find(config: DataConfig) -> pathlib.Path | None:
    """The directory with the four files: `manual_dir`, or the system's; else None.

    Raises:
        UserError: `manual_dir` has some of the files, but not all.
    """
    names = [name for pair in _FILES.values() for name in pair]
    if config.manual_dir:
        directory = pathlib.Path(config.manual_dir).expanduser()
        missing = [name for name in names if _file(directory, name) is None]
        if not missing:
            return directory
        if len(missing) < len(names):
            raise UserError(
                f"{directory} lacks {', '.join(missing)} (plain or .gz): put the four "
                f"files of {config.dataset} there."
            )
    system = _SYSTEM.get(config.dataset)
    if system and all(_file(system, name) for name in names):
        return system
    return None


def read(
    config: DataConfig, directory: pathlib.Path, image_format: ImageFormat
) -> tuple[ImageSet, ImageSet]:
    """Reads the train files, and holds out images of the t10k files.

    Raises:
        UserError: a file is damaged, or is no IDX file.
    """
    key = {
        "idx": stamps(directory),
        "format": vars(image_format),
        "limits": [config.max_images, config.held_out],
    }
    counts = {split: _count(directory, split) for split in _FILES}
    held_out = min(config.held_out, counts["test"])
    train = min(config.max_images or counts["train"], counts["train"])

    def examples() -> Iterator[Example]:
        with tqdm.tqdm(desc="Resizing", total=held_out + train, disable=None) as bar:
            for split, count in (("test", held_out), ("train", train)):
                for example in _split(config, directory, split, image_format, count):
                    bar.update()
                    yield example

    source = Source(
        name=config.dataset,
        shape=image_format.shape,
        label_names={"label": list(_NAMES[config.dataset])},
        most=held_out + train,
        examples=examples,
        divide=lambda count: held_out,
    )
    return cached(config, key, source)


def stamps(directory: pathlib.Path) -> list[tuple[str, int, int]]:
    """For a key: the four files, their sizes, and when they were changed."""
    paths = [_file(directory, name) for pair in _FILES.values() for name in pair]
    return [(str(path.resolve()), *stamp(path)) for path in paths]


def pictures(
    config: DataConfig, directory: pathlib.Path, split: str
) -> tuple[np.ndarray, list[str]]:
    """All images of a split as they are: uint8 `(n, height, width)`; their classes.

    Args:
        config: names the data set.
        directory: of the four files.
        split: `train` or `test`.

    Raises:
        UserError: a file is damaged, or is no IDX file.
    """
    every = list(_pairs(config, directory, split, _count(directory, split)))
    names = _NAMES[config.dataset]
    return np.stack([image for image, _ in every]), [names[one] for _, one in every]


def _count(directory: pathlib.Path, split: str) -> int:
    """How many images a split has, and labels of the right kind."""
    images, labels = (shape_of(_file(directory, name)) for name in _FILES[split])
    if (
        len(images) != 3
        or labels != images[:1]
        or not 0 < math.prod(images[1:]) <= image_file.MAXIMUM_PIXELS
    ):
        raise UserError(
            f"The {split} files in {directory} do not fit each other: images "
            f"{images}, labels {labels}. Fetch them again."
        )
    return images[0]


def _split(
    config: DataConfig,
    directory: pathlib.Path,
    split: str,
    image_format: ImageFormat,
    count: int,
) -> Iterator[Example]:
    """The first images of a split, converted, with their labels."""
    for pixels, label in _pairs(config, directory, split, count):
        yield image_format.apply_to_array(pixels), {"label": label}


def _pairs(
    config: DataConfig, directory: pathlib.Path, split: str, count: int
) -> Iterator[tuple[np.ndarray, int]]:
    """The first images of a split as they are, and the numbers of their classes."""
    classes = len(_NAMES[config.dataset])
    images, labels = (items(_file(directory, name)) for name in _FILES[split])
    for number, (pixels, label) in enumerate(zip(images, labels, strict=True)):
        if number == count:  # Not before, or the end of a file would go unchecked.
            break
        if label >= classes:
            raise UserError(
                f"The {split} labels in {directory} go up to {label} or more, and "
                f"{config.dataset} has {classes} classes. Fetch the files again."
            )
        yield pixels, int(label)


def shape_of(path: pathlib.Path) -> tuple[int, ...]:
    """The shape of the array in an IDX file of unsigned bytes, plain or gzip.

    The format: two zero bytes, the type (8), the rank; each dimension as a big-endian
    32-bit integer; the values.

    Raises:
        UserError: the file is damaged, or is no such file.
    """
    with _opened(path) as file:
        return _header(path, file)


def items(path: pathlib.Path) -> Iterator[np.ndarray]:
    """The items of the array in an IDX file, one after the other; see `shape_of`.

    Raises:
        UserError: the file is damaged, or is no such file.
    """
    with _opened(path) as file:
        count, *shape = _header(path, file)
        length = math.prod(shape)
        for _ in range(count):
            content = file.read(length)
            if len(content) != length:
                raise _cut_short(path)
            yield np.frombuffer(content, np.uint8).reshape(shape)
        if file.read(1):
            raise _cut_short(path)


@contextlib.contextmanager
def _opened(path: pathlib.Path) -> Iterator[BinaryIO]:
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as file:
            yield file
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path} cannot be read: {error}. Fetch it again.") from error


def _header(path: pathlib.Path, file: BinaryIO) -> tuple[int, ...]:
    start = file.read(4)
    if len(start) < 4 or start[:3] != b"\x00\x00\x08" or not start[3]:
        raise UserError(f"{path} is not an IDX file of bytes. Fetch it again.")
    sizes = file.read(4 * start[3])
    if len(sizes) != 4 * start[3]:
        raise _cut_short(path)
    shape = tuple(int(size) for size in np.frombuffer(sizes, ">u4"))
    length = len(start) + len(sizes) + math.prod(shape)
    if path.suffix != ".gz" and path.stat().st_size != length:
        raise _cut_short(path)
    return shape


def _cut_short(path: pathlib.Path) -> UserError:
    return UserError(f"{path} is cut short, or too long. Fetch it again.")


def _file(directory: pathlib.Path, name: str) -> pathlib.Path | None:
    for path in (directory / name, directory / f"{name}.gz"):
        if path.is_file():
            return path
    return None
