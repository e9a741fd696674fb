"""Scenes as a data set: those to train on, and those held out with all that is known.

The held-out images are the first of the test scenes, which come behind the training
scenes; so what is measured on them was never trained on.
"""

import dataclasses
from collections.abc import Iterator

import tqdm

from hcm_tf.config import DataConfig
from hcm_tf.data import idx, scenes
from hcm_tf.data.cache import cached
from hcm_tf.data.image_set import ImageSet
from hcm_tf.data.resizing import ImageFormat
from hcm_tf.data.scene import Items, Scene
from hcm_tf.data.source import Example, Source
from hcm_tf.errors import UserError

# As in the published comparisons.
TRAIN_SCENES = 60_000
TEST_SCENES = 320

_PREFIX = "scenes"
_VERSION = 1  # To be raised when a scene of the same number becomes another.


def is_scenes(dataset: str) -> bool:
    """Whether a data set's name is one of scenes, known or not."""
    return dataset.partition("/")[0] == _PREFIX


def read(config: DataConfig, image_format: ImageFormat) -> tuple[ImageSet, ImageSet]:
    """The training scenes, and held-out test scenes, with their counts as labels.

    Raises:
        UserError: no scenes have that name, or what they are made of is not there.
    """
    name = _name(config)
    recipe = scenes.RECIPES[name]
    held_out = min(config.held_out, TEST_SCENES)
    train = min(config.max_images or TRAIN_SCENES, TRAIN_SCENES)
    counts = range(recipe.fewest_seen, recipe.most + 1)
    key = {
        "scenes": [name, _VERSION, *_stamps(config)],
        "format": vars(image_format),
        "limits": [config.max_images, config.held_out],
    }

    def examples() -> Iterator[Example]:
        with tqdm.tqdm(
            desc="Drawing scenes", total=held_out + train, disable=None
        ) as bar:
            for start, number in ((TRAIN_SCENES, held_out), (0, train)):
                for scene in scenes_of(config, range(start, start + number)):
                    bar.update()
                    yield (
                        image_format.apply_to_array(scene.image),
                        {"count": counts.index(scene.count)},
                    )

    source = Source(
        name=config.dataset,
        shape=image_format.shape,
        label_names={"count": list(map(str, counts))},
        most=held_out + train,
        examples=examples,
        divide=lambda count: held_out,
    )
    return cached(config, key, source)


def load_scenes(config: DataConfig, count: int = TEST_SCENES) -> list[Scene]:
    """Test scenes with all that is known of them; see `hcm_tf.data.load_scenes`."""
    if not 0 < count <= TEST_SCENES:
        raise ValueError(
            f"`count` must be between 1 and {TEST_SCENES}. Received: {count}"
        )
    return list(scenes_of(config, range(TRAIN_SCENES, TRAIN_SCENES + count)))


def recipe_of(config: DataConfig) -> scenes.Recipe:
    """How the scenes that a configuration names are made.

    Raises:
        UserError: no scenes have that name.
    """
    return scenes.RECIPES[_name(config)]


def scenes_of(config: DataConfig, numbers: range) -> Iterator[Scene]:
    """Scenes by number: those to train on from 0, test scenes from TRAIN_SCENES.

    Behind the test scenes are as many again as are wanted, which nothing trains on
    either; they show items as test scenes do.

    Args:
        config: names the scenes, and where their items are.
        numbers: 0 and more, all below TRAIN_SCENES or none.

    Raises:
        UserError: no scenes have that name, or what they are made of is not there.
    """
    name, items = _name(config), None
    if name == "fashion_items":
        items = _items(config, "test" if numbers.start >= TRAIN_SCENES else "train")
    for number in numbers:
        yield scenes.draw(name, number, items=items)


def _name(config: DataConfig) -> str:
    name = config.dataset.partition("/")[2]
    if name not in scenes.RECIPES:
        raise UserError(
            f"Unknown scenes {config.dataset}: use {_PREFIX}/ and one of "
            f"{', '.join(scenes.RECIPES)}."
        )
    return name


def _stamps(config: DataConfig) -> list[tuple[str, int, int]]:
    """For a key: the files that scenes are made of, where there are any."""
    if _name(config) != "fashion_items":
        return []
    own = _fashion(config)
    directory = idx.find(own)
    return idx.stamps(directory) if directory else []


def _items(config: DataConfig, split: str) -> Items:
    """Pictures of the same split, so that test scenes show items of their own."""
    own = _fashion(config)
    directory = idx.find(own)
    if directory is not None:
        return Items(*idx.pictures(own, directory, split))
    # Imported where needed: other scenes are drawn without TensorFlow.
    from hcm_tf.data import tfds_source

    return Items(*tfds_source.pictures(tfds_source.prepared(own), split))


def _fashion(config: DataConfig) -> DataConfig:
    return dataclasses.replace(config, dataset="fashion_mnist")
