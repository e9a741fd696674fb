"""Peak memory of a training step, each form in a process of its own.

    python -m benchmarks.memory [--models=full] [--batch=32]

On the CPU: the most memory the process held during three steps, less what it held
before the first one. On a GPU: the allocator's peak.
"""

import argparse
import json
import os
import subprocess
import sys
import threading
import time

import numpy as np

from benchmarks import measure

FORMS = {
    "plain": {"execution": "reference"},
    "ours": {},
    "ours, recomputing": {"recompute": True},
    "ours, bfloat16": {"precision": "bfloat16"},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", default="full")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--form", choices=FORMS, help="measure this one, in here")
    options = parser.parse_args()
    if options.form:
        print(json.dumps(peak(options)))
        return
    rows = []
    for model in options.models.split(","):
        plain = None
        for form in FORMS:
            # A thread's own arena would keep what another thread could use.
            environment = {**os.environ, "MALLOC_ARENA_MAX": "1"}
            command = [sys.executable, "-m", "benchmarks.memory", f"--form={form}"]
            command += [f"--models={model}", f"--batch={options.batch}"]
            command += [f"--steps={options.steps}"]
            done = subprocess.run(
                command, env=environment, check=True, capture_output=True, text=True
            )
            megabytes, seconds = json.loads(done.stdout.splitlines()[-1])
            plain = plain or megabytes
            rows.append(
                (model, options.batch, form, megabytes, megabytes / plain, seconds)
            )
    columns = ("model", "batch", "form", "peak MB", "of plain", "s/step")
    measure.report("memory", columns, rows)


def peak(options: argparse.Namespace) -> tuple[float, float]:
    """Megabytes and seconds of the steps of one form."""
    import tensorflow as tf

    from benchmarks import train

    model = measure.MODELS[options.models]
    config = train.configuration(model, options.batch, **FORMS[options.form])
    shape = (options.batch, model.image_size, model.image_size, model.image_channels)
    images = np.random.default_rng(0).uniform(-1, 1, shape).astype("float32")
    step = train.stepper(config, images)
    gpu = bool(tf.config.list_logical_devices("GPU"))
    before = _gpu_bytes("current") if gpu else _resident_bytes()
    highest, running = [before], True

    def watch() -> None:
        while running:
            highest[0] = max(highest[0], _resident_bytes())
            time.sleep(0.002)

    watcher = threading.Thread(target=watch)
    watcher.start()
    seconds = []
    for _ in range(options.steps):
        began = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - began)
    running = False
    watcher.join()
    most = _gpu_bytes("peak") if gpu else highest[0]
    return (most - before) / 1e6, min(seconds)


def _resident_bytes() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _gpu_bytes(which: str) -> int:
    import tensorflow as tf

    return tf.config.experimental.get_memory_info("GPU:0")[which]


if __name__ == "__main__":
    main()
