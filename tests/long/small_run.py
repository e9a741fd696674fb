"""A small run, as a command, on pictures that are drawn for it."""

import os
import pathlib
import subprocess
import sys

import numpy as np
import tensorflow as tf
from PIL import Image

from hcm_tf.runs import checkpoint

ROOT = pathlib.Path(__file__).parents[2]
FLAGS = (
    *("--image_size=32", "--base_channels=2", "--attributes=12", "--latent_size=6"),
    *("--attribute_keep=0.25", "--stddev_group_size=4", "--batch_size=8"),
    *("--held_out=8", "--ema_decay=0.9", "--objective=relativistic", "--r1_weight=0.3"),
    *("--r2_weight=0.3", "--latents=posterior", "--leak_steps=100"),
    *("--revival_weight=0.1", "--checkpoint_every=20", "--image_every=200"),
)


def draw_pictures(folder):
    """Forty pictures of a bright square on a dark ground."""
    folder.mkdir()
    random = np.random.default_rng(0)
    for number in range(40):
        pixels = np.full((40, 40, 3), 30, "uint8")
        top, left = random.integers(0, 24, 2)
        pixels[top : top + 16, left : left + 16] = random.integers(128, 255, 3)
        Image.fromarray(pixels).save(folder / f"{number}.png")


def start(folder, workdir, steps):
    """Begins the run, or goes on with it; standard output goes to `workdir`.log."""
    with pathlib.Path(f"{workdir}.log").open("a") as log:
        return subprocess.Popen(
            [
                *(sys.executable, str(ROOT / "train_main.py"), *FLAGS),
                *(f"--dataset=folder:{folder}", f"--data_dir={folder.parent}"),
                *(f"--workdir={workdir}", f"--steps={steps}"),
            ],
            stdout=log,
            stderr=log,
            env={**os.environ, "TF_NUM_INTRAOP_THREADS": "1"},
        )


def weights(workdir):
    """Every value of the newest checkpoint, by name."""
    reader = tf.train.load_checkpoint(checkpoint.latest(workdir)[0])
    return {
        name: reader.get_tensor(name)
        for name in reader.get_variable_to_shape_map()
        if "save_counter" not in name and "OBJECT_GRAPH" not in name
    }
