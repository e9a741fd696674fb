"""A small run through the real entry point, on pictures that are drawn for it."""

import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import tensorflow as tf
from PIL import Image

from hcm_tf.runs import checkpoint

ROOT = pathlib.Path(__file__).parents[1]
FLAGS = {
    "image_size": 32,
    "base_channels": 2,
    "attributes": 12,
    "latent_size": 6,
    "attribute_keep": 0.25,
    "stddev_group_size": 4,
    "batch_size": 8,
    "held_out": 8,
    "ema_decay": 0.9,
    "log_every": 2,
    "image_every": 4,
    "checkpoint_every": 3,
    "horizontal_flip": True,
    "steps": 7,
}
# Bit for bit the same is promised for one thread: more may split sums otherwise.
ENVIRONMENT = {
    **os.environ,
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "TF_NUM_INTRAOP_THREADS": "1",
}


def draw_pictures(folder):
    """Forty pictures of a bright square on a dark ground."""
    folder.mkdir(exist_ok=True)
    random = np.random.default_rng(0)
    for number in range(40):
        pixels = np.full((40, 40, 3), 30, "uint8")
        top, left = random.integers(0, 24, 2)
        pixels[top : top + 16, left : left + 16] = random.integers(128, 255, 3)
        Image.fromarray(pixels).save(folder / f"{number}.png")


def arguments(folder, workdir, **values):
    flags = {**FLAGS, "dataset": f"folder:{folder}", "data_dir": folder.parent}
    flags |= {"workdir": workdir, **values}
    return [f"--{name}={value}" for name, value in flags.items()]


def command(folder, workdir, **values):
    return [
        sys.executable,
        str(ROOT / "train_main.py"),
        *arguments(folder, workdir, **values),
    ]


def train(folder, workdir, **values):
    return subprocess.run(
        command(folder, workdir, **values),
        capture_output=True,
        text=True,
        timeout=600,
        env=ENVIRONMENT,
    )


def weights(workdir):
    reader = tf.train.load_checkpoint(checkpoint.latest(workdir)[0])
    names = reader.get_variable_to_shape_map()
    return {
        name: reader.get_tensor(name)
        for name in names
        if "save_counter" not in name and "OBJECT_GRAPH" not in name
    }


def assert_same_weights(one, other):
    one, other = weights(one), weights(other)
    assert one.keys() == other.keys()
    assert len(one) > 50
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)


def assert_near(one, other, atol=1e-5):
    """All that two runs saved last is the same but for rounding.

    After a few steps, that is: rounding grows with every unit that it moves across a
    threshold, to 2e-3 in the 24th step.
    """
    one, other = weights(one), weights(other)
    assert one.keys() == other.keys()
    assert len(one) > 50
    for name in one:
        np.testing.assert_allclose(
            other[name], one[name], rtol=0, atol=atol, err_msg=name
        )


def lines(workdir):
    text = (workdir / "metrics.jsonl").read_text()
    values = [json.loads(line) for line in text.splitlines()]
    for value in values:
        value.pop("images_per_second", None)
    return values
