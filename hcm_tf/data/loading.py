"""From a configuration to training and held-out images."""

import numpy as np

from hcm_tf.config import DataConfig
from hcm_tf.data import scene_source
from hcm_tf.data.cache import data_directory
from hcm_tf.data.image_set import ImageSet
from hcm_tf.data.resizing import ImageFormat
from hcm_tf.data.scene import Scene

FOLDER_PREFIX = "folder:"


def load(
    config: DataConfig, image_size: int, channels: int
) -> tuple[ImageSet, ImageSet]:
    """Reads the images that a configuration names.

    Args:
        config: source, limits and resizing.
        image_size: height and width to resize to.
        channels: 1 for grey, 3 for RGB.

    Returns:
        The training images, at most `config.max_images`, and the held-out images, at
        most `config.held_out`. They are disjoint, and the same on every call.

    Raises:
        UserError: the source does not exist, needs files that are not there, or has
            too few images.
    """
    image_format = ImageFormat.of(config, image_size, channels)
    # Imported where needed: a folder is read without TensorFlow.
    if config.dataset.startswith(FOLDER_PREFIX):
        from hcm_tf.data import folder

        return folder.read(
            config, config.dataset.removeprefix(FOLDER_PREFIX), image_format
        )
    if scene_source.is_scenes(config.dataset):
        return scene_source.read(config, image_format)
    if config.dataset in ("mnist", "fashion_mnist"):
        from hcm_tf.data import idx

        directory = idx.find(config)
        if directory is not None:
            return idx.read(config, directory, image_format)
    from hcm_tf.data import tfds_source

    if config.dataset == "avatars":
        from hcm_tf.data import avatars

        builder = avatars.prepared("faces", str(data_directory(config)))
    else:
        builder = tfds_source.prepared(config)
    return tfds_source.read(config, builder, image_format)


def has_test_split(config: DataConfig) -> bool:
    """Whether `load` gives the same training images however many are held out.

    Elsewhere those that are held out are taken from them.

    Args:
        config: names the data set.

    Raises:
        UserError: the data set is not there.
    """
    name = config.dataset
    if name.startswith(FOLDER_PREFIX):
        return False
    if name in ("avatars", "mnist", "fashion_mnist") or scene_source.is_scenes(name):
        return True
    from hcm_tf.data import tfds_source

    train, other = tfds_source.split_names(tfds_source.prepared(config).info.splits)
    return other != train


def load_parts(config: DataConfig) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The avatars' test faces, with the visible pixels of each part.

    Args:
        config: gives the directory of prepared data sets.

    Returns:
        The images, uint8 `(n, 64, 64, 3)`, in the order in which `load` holds them out,
        and for each part's name its mask, bool `(n, 64, 64)`.
    """
    from hcm_tf.data import avatars

    return avatars.load_parts(str(data_directory(config)))


def load_scenes(
    config: DataConfig, count: int = scene_source.TEST_SCENES
) -> list[Scene]:
    """Test scenes, with their masks and all else that is known of them.

    Args:
        config: names the scenes, and where the items of `scenes/fashion_items` are.
        count: the first ones, at most 320.

    Returns:
        Scenes of 64x64 pixels, in the order in which `load` holds them out.

    Raises:
        UserError: no scenes have that name, or what they are made of is not there.
        ValueError: `count` is out of range.
    """
    return scene_source.load_scenes(config, count)
