"""A data set four times as large as the memory it may take is read and trained on.

The limit is the kernel's, on private memory (RLIMIT_DATA: what is allocated, whether
used or not): 1 GB more than the same run takes for a set of a thirtieth. Pages of the
mapped file are not counted: the kernel takes them back whenever it needs the room.
"""

import json
import pathlib
import resource
import shutil
import struct
import subprocess
import sys
import time

import numpy as np
import pytest
from small_run import ENVIRONMENT, ROOT, command

pytestmark = [pytest.mark.long, pytest.mark.timeout(3600)]
LARGE, SMALL = 350_000, 12_000
BYTES = LARGE * 64 * 64 * 3
LIMIT = 10**9
RUN = {"image_size": 64, "batch_size": 64, "max_images": 0, "horizontal_flip": False}
LOADED = """
import sys, numpy
print(len(numpy.array(numpy.load(sys.argv[1], mmap_mode="r"))))
"""


def write_set(directory, count):
    """The four files of MNIST, of random pixels, none of which is read whole."""
    directory.mkdir()
    random = np.random.default_rng(0)
    for split, images in (("train", count), ("t10k", 64)):
        with (directory / f"{split}-images-idx3-ubyte").open("wb") as file:
            file.write(struct.pack(">HBB3I", 0, 8, 3, images, 28, 28))
            for first in range(0, images, 1000):
                some = min(1000, images - first)
                file.write(random.integers(0, 256, (some, 784), np.uint8).tobytes())
        with (directory / f"{split}-labels-idx1-ubyte").open("wb") as file:
            file.write(struct.pack(">HBBI", 0, 8, 1, images))
            file.write(bytes(number % 10 for number in range(images)))


def start(arguments, limit):
    process = subprocess.Popen(
        arguments,
        env={**ENVIRONMENT, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if limit:
        resource.prlimit(process.pid, resource.RLIMIT_DATA, (limit, limit))
    return process


def peaks(process):
    """The most that a process has of each kind of memory, in bytes, until it ends."""
    most = dict.fromkeys(("VmData", "RssAnon", "RssFile"), 0)
    status = pathlib.Path(f"/proc/{process.pid}/status")
    while process.poll() is None:
        for line in status.read_text().splitlines():
            kind, _, value = line.partition(":")
            if kind in most:
                most[kind] = max(most[kind], int(value.split()[0]) * 1024)
        time.sleep(0.05)
    return most


def told(arguments, limit):
    """The exit status of a process, and what it said."""
    with start(arguments, limit) as process:
        said = process.communicate()[0]
    return process.returncode, said


def trained(directory, workdir, steps, limit=None):
    began = time.time()
    run = command(
        directory,
        workdir,
        **RUN,
        dataset="mnist",
        manual_dir=directory,
        data_dir=directory / "data",
        steps=steps,
        log_every=50,
        image_every=steps,
        checkpoint_every=steps,
    )
    with start(run, limit) as process:
        most = peaks(process)
        said = process.stdout.read()
    assert process.returncode == 0, said
    assert f"after step {steps} of {steps}" in said
    megabytes = {kind: round(value / 1e6) for kind, value in most.items()}
    print(f"{workdir.name}: {megabytes} MB, {time.time() - began:.0f} s")
    return most


def test_a_set_four_times_the_limit_trains_in_flat_memory(tmp_path):
    if shutil.disk_usage(tmp_path).free < 3 * BYTES:
        pytest.skip(f"needs {3 * BYTES / 1e9:.0f} GB of disk")
    assert BYTES > 4 * LIMIT
    small, large = tmp_path / "small", tmp_path / "large"
    write_set(small, SMALL)
    write_set(large, LARGE)

    before = trained(small, tmp_path / "run_small", steps=100)
    limit = before["VmData"] + LIMIT
    after = trained(large, tmp_path / "run_large", steps=300, limit=limit)
    assert after["RssAnon"] < 1.25 * before["RssAnon"]

    (images,) = (large / "data").rglob("images.npy")
    assert images.stat().st_size > BYTES
    # The limit bites: the set does not fit into memory.
    code, said = told([sys.executable, "-c", LOADED, str(images)], limit)
    assert "MemoryError" in said
    assert code

    script = pathlib.Path(__file__).with_name("whole_epoch.py")
    arguments = [sys.executable, str(script), str(large), str(large / "data")]
    code, said = told(arguments, limit)
    assert code == 0, said
    found = json.loads(said.splitlines()[-1])
    assert found["images"] == LARGE
    assert found["seen"] == LARGE // 64 * 64
    used = np.array(found["used"]) / 1e6
    print(f"an epoch of batches: {used[0]:.0f} MB at first, {used.max():.0f} at most")
    # What it remembers of the images takes 22 MB; the set has 4,300.
    assert used.max() < used[0] + 100
