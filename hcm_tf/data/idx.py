"""MNIST's file format, IDX: Fashion-MNIST and MNIST from local files."""

import gzip
import pathlib
import zlib

import numpy as np
import tqdm

from hcm_tf.config import DataConfig
from hcm_tf.data.image_set import ImageSet, fill
from hcm_tf.data.resizing import ImageFormat
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
    train = _read_split(config, directory, "train", config.max_images, image_format)
    held_out = _read_split(config, directory, "test", config.held_out, image_format)
    return train, held_out


def _read_split(
    config: DataConfig,
    directory: pathlib.Path,
    split: str,
    limit: int,
    image_format: ImageFormat,
) -> ImageSet:
    images, labels = (read_idx(_file(directory, name)) for name in _FILES[split])
    names = _NAMES[config.dataset]
    if images.ndim != 3 or labels.shape != images.shape[:1] or not images.size:
        raise UserError(
            f"The {split} files in {directory} do not fit each other: images "
            f"{images.shape}, labels {labels.shape}. Fetch them again."
        )
    if labels.max() >= len(names):
        raise UserError(
            f"The {split} labels in {directory} go up to {labels.max()}, and "
            f"{config.dataset} has {len(names)} classes. Fetch the files again."
        )
    images, labels = images[: limit or None], labels[: limit or None]
    progress = tqdm.tqdm(images, desc=f"Resizing {split}", disable=None)
    return ImageSet(
        images=fill(
            map(image_format.apply_to_array, progress),
            (len(images), *image_format.shape),
        ),
        labels={"label": labels.astype(np.int64)},
        label_names={"label": list(names)},
        name=config.dataset,
    )


def read_idx(path: pathlib.Path) -> np.ndarray:
    """The array of an IDX file of unsigned bytes, plain or gzip.

    The format: two zero bytes, the type (8), the rank; each dimension as a big-endian
    32-bit integer; the values.

    Raises:
        UserError: the file is damaged, or is no such file.
    """
    try:
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path} cannot be read: {error}. Fetch it again.") from error
    if len(content) < 4 or content[:3] != b"\x00\x00\x08":
        raise UserError(f"{path} is not an IDX file of bytes. Fetch it again.")
    start = 4 + 4 * content[3]
    shape = tuple(int(size) for size in np.frombuffer(content[4:start], ">u4"))
    if len(shape) != content[3] or len(content) - start != np.prod(shape, dtype=int):
        raise UserError(f"{path} is cut short. Fetch it again.")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def _file(directory: pathlib.Path, name: str) -> pathlib.Path | None:
    for path in (directory / name, directory / f"{name}.gz"):
        if path.is_file():
            return path
    return None
