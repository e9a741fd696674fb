"""Images of any data set that TensorFlow Datasets knows."""

import contextlib
import difflib
import importlib.util
import itertools
import os
import pathlib
import re
import socket
import sys
import urllib.parse
from collections.abc import Iterator

import numpy as np
import tensorflow_datasets as tfds
import tqdm

from hcm_tf.config import DataConfig
from hcm_tf.data.cache import cached, data_directory
from hcm_tf.data.held_out import held_out_count
from hcm_tf.data.image_set import ImageSet
from hcm_tf.data.resizing import ImageFormat
from hcm_tf.data.source import Example, Source
from hcm_tf.errors import UserError

_CONNECT_SECONDS = 4.0
_PROXIES = ("http_proxy", "https_proxy", "all_proxy")
_PORTS = {"http": 80, "ftp": 21}
_NAMED_FILES = 6
# What TensorFlow Datasets prepares by a package that no current TensorFlow can load.
_NEEDS = {"lsun": "tensorflow_io"}

# A split, the first of its examples, and the one after the last.
Part = tuple[str, int, int]


def prepared(config: DataConfig) -> tfds.core.DatasetBuilder:
    """The builder of `config.dataset`, prepared first where that can be done.

    Raises:
        UserError: the name is unknown, or the data set must be prepared and files, the
            network or a package are missing.
    """
    name = config.dataset
    builder = _builder(name, str(data_directory(config)))
    if builder.is_prepared():
        return builder
    # Before anything is downloaded in vain.
    _image_key(builder)
    needed = _NEEDS.get(builder.name)
    if needed and importlib.util.find_spec(needed) is None:
        raise UserError(
            f"TensorFlow Datasets prepares {builder.name} by the package {needed}, "
            "which is not here. Export its images to a directory and give "
            f"--dataset=folder:PATH, or copy {builder.name}/ from a machine where it "
            f"is prepared into {builder.data_dir_root}."
        )
    manual_dir = pathlib.Path(
        config.manual_dir or builder.data_dir_root / "downloads" / "manual"
    ).expanduser()
    if builder.MANUAL_DOWNLOAD_INSTRUCTIONS and not _has_files(manual_dir):
        raise UserError(
            f"{name} must be downloaded by hand{_remedy(builder, manual_dir)}"
        )
    _check_before_downloads(builder, manual_dir)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            builder.download_and_prepare(
                download_config=tfds.download.DownloadConfig(
                    manual_dir=str(manual_dir), try_download_gcs=False
                )
            )
    except UserError:
        raise
    except Exception as error:  # Each builder fails in its own way.
        raise UserError(
            f"TensorFlow Datasets cannot prepare {name} in {builder.data_dir_root}: "
            f"{_reason(error)}{_remedy(builder, manual_dir)}"
        ) from error
    return builder


def read(
    config: DataConfig, builder: tfds.core.DatasetBuilder, image_format: ImageFormat
) -> tuple[ImageSet, ImageSet]:
    """Streams the images of a prepared data set; only resized ones are kept.

    Training images come from `train`, held-out ones from `test` or `validation`; where
    neither exists, the first images are held out and the following ones train.

    Raises:
        UserError: the data set has no images, or too few.
    """
    image_key = _image_key(builder)
    about = builder.data_path / "dataset_info.json"
    key = {
        "tfds": [builder.info.full_name, about.stat().mtime if about.exists() else 0],
        "format": vars(image_format),
        "limits": [config.max_images, config.held_out],
    }
    names = _label_names(builder)
    parts = _parts(config, builder.info.splits)
    held_out, train = (stop - start for _, start, stop in parts)

    def examples() -> Iterator[Example]:
        for part in parts:
            for example in _split(config, builder, [image_key, *names], *part):
                yield (
                    _converted(config, image_format, example[image_key]),
                    {name: int(example[name]) for name in names},
                )

    source = Source(
        name=config.dataset,
        shape=image_format.shape,
        label_names=names,
        most=held_out + train,
        examples=examples,
        divide=lambda count: held_out,
    )
    return cached(config, key, source)


def pictures(
    builder: tfds.core.DatasetBuilder, split: str
) -> tuple[np.ndarray, list[str]]:
    """All images of a grey data set as they are: uint8 `(n, height, width)`; classes.

    Args:
        builder: of a prepared data set with images of one size and a `label`.
        split: such as `train`.
    """
    names = builder.info.features["label"].names
    dataset = builder.as_dataset(split=split, shuffle_files=False)
    every = list(tfds.as_numpy(dataset))
    images = np.stack([example[_image_key(builder)][..., 0] for example in every])
    return images, [names[int(example["label"])] for example in every]


def split_names(splits: tfds.core.SplitDict) -> tuple[str, str]:
    """What trains, and what is tested on: the same split where there is no other."""
    train = "train" if "train" in splits else next(iter(splits))
    return train, next(
        (name for name in ("test", "validation") if name in splits), train
    )


def _parts(config: DataConfig, splits: tfds.core.SplitDict) -> list[Part]:
    """What is held out, and what trains."""
    train, other = split_names(splits)
    for split in (other, train):
        if not splits[split].num_examples:
            raise UserError(f"The split {split} of {config.dataset} has no images.")
    available = splits[train].num_examples
    if other == train:
        held_out = start = held_out_count(available, config.held_out, config.dataset)
    else:
        held_out, start = min(config.held_out, splits[other].num_examples), 0
    stop = start + (config.max_images or available)
    return [(other, 0, held_out), (train, start, min(stop, available))]


def _label_names(builder: tfds.core.DatasetBuilder) -> dict[str, list[str]]:
    return {
        key: list(feature.names or map(str, range(feature.num_classes or 0)))
        for key, feature in builder.info.features.items()
        if isinstance(feature, tfds.features.ClassLabel)
    }


def _builder(name: str, data_dir: str) -> tfds.core.DatasetBuilder:
    if re.match(r"\w+:[A-Za-z]", name):
        raise UserError(
            f"{name} is a community data set, and these are not supported: name one of "
            "TensorFlow Datasets' own, or use folder:PATH."
        )
    try:
        return tfds.builder(name, data_dir=data_dir)
    except Exception as error:  # ValueError, KeyError, AssertionError, ...
        base, _, variant = name.partition("/")
        known = sorted(set(tfds.list_builders(with_community_datasets=False)))
        if base not in known:
            hint = _closest(base, known)
            raise UserError(
                f"Unknown data set {name}: use avatars, scenes/NAME, folder:PATH or a "
                "name that TensorFlow Datasets knows"
                f"{f'. Did you mean {hint}?' if hint else '.'}"
            ) from error
        variants = sorted(tfds.builder_cls(base).builder_configs)
        if variant and variant not in variants:
            hint = _closest(variant, variants) or ", ".join(variants[:10])
            raise UserError(
                f"{base} has no variant {variant}: it has {hint or 'none at all'}."
            ) from error
        raise UserError(
            f"TensorFlow Datasets cannot open {name}: {_reason(error)}."
        ) from error


def _closest(word: str, words: list[str]) -> str:
    return " or ".join(difflib.get_close_matches(word, words, n=3))


def _image_key(builder: tfds.core.DatasetBuilder) -> str:
    for key, feature in builder.info.features.items():
        if isinstance(feature, tfds.features.Image) and not isinstance(
            feature, tfds.features.LabeledImage
        ):
            return key
    raise UserError(
        f"{builder.info.full_name} has no image feature: its features are "
        f"{', '.join(builder.info.features)}. Choose a data set of images."
    )


def _converted(
    config: DataConfig, image_format: ImageFormat, pixels: np.ndarray
) -> np.ndarray:
    try:
        return image_format.apply_to_array(pixels)
    except ValueError as error:
        raise UserError(f"{config.dataset} cannot be used: {error}.") from error


def _split(
    config: DataConfig,
    builder: tfds.core.DatasetBuilder,
    keys: list[str],
    split: str,
    start: int,
    stop: int,
) -> Iterator[dict]:
    """The examples of a split from `start` to `stop`."""
    came = 0
    for example in tqdm.tqdm(
        _stream(builder, split, keys, start, stop),
        desc=f"Reading {config.dataset} {split}",
        total=stop - start,
        disable=None,  # Only on a terminal.
    ):
        came += 1
        yield example
    if came != stop - start:
        raise UserError(
            f"The split {split} of {config.dataset} ends after {start + came} of "
            f"{stop} examples: remove {builder.data_path}, and it is prepared again."
        )


def _stream(
    builder: tfds.core.DatasetBuilder,
    split: str,
    keys: list[str],
    start: int,
    stop: int,
) -> Iterator[dict]:
    dataset = builder.as_dataset(
        split=split,
        shuffle_files=False,
        read_config=tfds.ReadConfig(try_autocache=False),  # It is read once.
        decoders=tfds.decode.PartialDecoding(dict.fromkeys(keys, True)),
    )
    return itertools.islice(tfds.as_numpy(dataset.skip(start)), stop - start)


def _check_before_downloads(builder: tfds.core.DatasetBuilder, manual_dir: str) -> None:
    """Makes the builder try to reach a host before it downloads from there.

    TensorFlow Datasets itself retries for minutes. Files that are in `manual_dir`, or
    were downloaded before, need no network, so the check must come this late.
    """
    make_manager = builder._make_download_manager

    def make_checked_manager(**arguments):
        manager = make_manager(**arguments)
        download = manager._download

        def checked_download(resource):
            host = unreachable_host(resource.url)
            if host is None:
                return download(resource)
            raise UserError(
                f"{builder.name} is not in {builder.data_dir_root}, and {host} cannot "
                f"be reached to download it{_remedy(builder, manual_dir)}"
            )

        manager._download = checked_download
        return manager

    builder._make_download_manager = make_checked_manager


def unreachable_host(url: str) -> str | None:
    """The host of a URL, if it does not answer; None if it does."""
    parsed = urllib.parse.urlparse(url)
    host = "storage.googleapis.com" if parsed.scheme == "gs" else parsed.hostname
    variables = {name.lower() for name, value in os.environ.items() if value}
    if host is None or variables.intersection(_PROXIES):
        return None  # A local file, or the proxy's business.
    port = parsed.port or _PORTS.get(parsed.scheme, 443)
    try:
        socket.create_connection((host, port), timeout=_CONNECT_SECONDS).close()
    except OSError:
        return host
    return None


def _remedy(builder: tfds.core.DatasetBuilder, manual_dir: pathlib.Path) -> str:
    """What to put where, to end an error message."""
    needed = " ".join((builder.MANUAL_DOWNLOAD_INSTRUCTIONS or "").split()).rstrip(".")
    return (
        f". Put its files into {manual_dir} (--manual_dir): "
        f"{needed or _files(builder) or f'see {builder.info.homepage}'}; or copy "
        f"{builder.name}/ from a machine where it is prepared into "
        f"{builder.data_dir_root}."
    )


def _files(builder: tfds.core.DatasetBuilder) -> str:
    urls = [url for url, info in builder.url_infos.items() if info.filename]
    if builder.builder_config:  # The files of all variants are registered together.
        variant = builder.builder_config.name
        urls = [url for url in urls if variant in url] or urls
    files = [f"{builder.url_infos[url].filename} from {url}" for url in sorted(urls)]
    more = f" and {len(files) - _NAMED_FILES} more" if len(files) > _NAMED_FILES else ""
    return "; ".join(files[:_NAMED_FILES]) + more


def _has_files(directory: pathlib.Path) -> bool:
    return directory.is_dir() and any(directory.iterdir())


def _reason(error: Exception) -> str:
    """The error as one line, without a full stop."""
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__
