"""Goes through an epoch of the large set; prints what it saw and what it took."""

import json
import pathlib
import sys

import numpy as np

from hcm_tf.startup import load_tensorflow

load_tensorflow()

from hcm_tf.config import DataConfig  # noqa: E402
from hcm_tf.data import load, make_batches  # noqa: E402

BATCH = 64


def private_memory():
    """Bytes that the kernel could not take back."""
    status = pathlib.Path("/proc/self/status").read_text()
    return int(status.split("RssAnon:")[1].split()[0]) * 1024


directory, data_dir = sys.argv[1:]
train, _ = load(
    DataConfig(
        dataset="mnist",
        manual_dir=directory,
        data_dir=data_dir,
        max_images=0,
        held_out=8,
    ),
    64,
    3,
)
batches = iter(make_batches(train.images, BATCH, seed=0))
seen, used = [], []
for step in range(len(train) // BATCH):
    images = next(batches)["image"].numpy()
    # Enough of an image of random pixels to know it by.
    seen.append(images[:, 24:40:4, 24:40:4, 0].reshape(BATCH, -1))
    if step % 100 == 99:
        used.append(private_memory())
distinct = len(np.unique(np.concatenate(seen), axis=0))
print(json.dumps({"images": len(train), "seen": distinct, "used": used}))
