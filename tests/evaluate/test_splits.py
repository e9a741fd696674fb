"""A run is tested on images that it never learnt from."""

import dataclasses
import json

import numpy as np
import PIL.Image
import pytest
import tensorflow_datasets as tfds

from hcm_tf import data
from hcm_tf.config import DataConfig, Label
from hcm_tf.evaluate.__main__ import main
from hcm_tf.evaluate.splits import real_images
from hcm_tf.runs import checkpoint

KNOWN = (Label("folder", ("bright", "dark"), (0.5, 0.5)),)


@pytest.fixture(scope="module")
def run_dir(make_run, tiny_config, tmp_path_factory):
    """A run on a folder of 300 images, of which it held out 10."""
    root = tmp_path_factory.mktemp("images")
    random = np.random.default_rng(0)
    for name, least in (("bright", 100), ("dark", 0)):
        (root / name).mkdir()
        for index in range(150):
            pixels = random.integers(least, least + 100, (32, 32, 3)).astype("uint8")
            PIL.Image.fromarray(pixels).save(root / name / f"{index}.png")
    cache = str(tmp_path_factory.mktemp("cache"))
    return make_run(
        data=DataConfig(dataset=f"folder:{root}", data_dir=cache, held_out=10),
        model=dataclasses.replace(tiny_config.model, labels=KNOWN),
    )


def pictures(images):
    return {picture.tobytes() for picture in images.images}


def test_a_folder_is_divided_as_in_training(run_dir, capsys, caplog):
    run = checkpoint.load(run_dir)
    trained, held_out = data.load(run.config.data, 32, 3)
    train, test = real_images(run, "")
    assert pictures(train) == pictures(trained)
    assert pictures(test) == pictures(held_out)
    assert not pictures(test) & pictures(trained)
    arguments = f"--run_dir={run_dir}", "--count=100", "--epochs=1"
    assert main(["evaluate", "classes", *arguments]) == 0
    assert "; 10 other real images to test on" in capsys.readouterr().out
    assert json.loads((run_dir / "classes.json").read_text())["images"] == 10
    assert "held out, not" not in caplog.text  # Nobody asked for more.


class Counted(tfds.core.GeneratorBasedBuilder):
    """Images that are their number, 60 in each split."""

    VERSION = tfds.core.Version("1.0.0")
    SPLITS = ("train",)

    def _info(self):
        features = {"image": tfds.features.Image(shape=(8, 8, 3))}
        return tfds.core.DatasetInfo(
            builder=self, features=tfds.features.FeaturesDict(features)
        )

    def _split_generators(self, dl_manager):
        return {
            split: self._generate_examples(60 * place)
            for place, split in enumerate(self.SPLITS)
        }

    def _generate_examples(self, first):
        for number in range(first, first + 60):
            yield number, {"image": np.full((8, 8, 3), number, np.uint8)}


class CountedWithTest(Counted):
    SPLITS = ("train", "test")


@pytest.mark.parametrize(
    ("dataset", "tested"), [("counted", 5), ("counted_with_test", 60)]
)
def test_a_split_for_tests_is_taken_whole(tiny_config, tmp_path, dataset, tested):
    own = DataConfig(dataset=dataset, data_dir=str(tmp_path), held_out=5)
    config = dataclasses.replace(tiny_config, data=own)
    train, test = real_images(checkpoint.untrained(config, seed=0), "")
    trained, _ = data.load(own, 32, 3)
    assert pictures(train) == pictures(trained)
    assert len(pictures(test)) == tested
    assert not pictures(test) & pictures(trained)
