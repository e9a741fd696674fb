"""Peak memory of a training step, each form in a process of its own.

    python -m benchmarks.memory [--models=full] [--batch=32]

What TensorFlow's allocator had handed out at the most during three steps: above the
weights and the optimizers' moments, which every form needs alike, and with them.
"""

import argparse
import json
import subprocess
import sys
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
        plain = plain_total = None
        for form in FORMS:
            command = [sys.executable, "-m", "benchmarks.memory", f"--form={form}"]
            command += [f"--models={model}", f"--batch={options.batch}"]
            command += [f"--steps={options.steps}"]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            above, weights, seconds = json.loads(done.stdout.splitlines()[-1])
            total = above + weights
            plain, plain_total = plain or above, plain_total or total
            ratios = (above / plain, total, total / plain_total)
            rows.append((model, options.batch, form, above, *ratios, seconds))
    columns = ("model", "batch", "form", "peak MB above the weights", "of plain")
    columns += ("peak MB in all", "of plain in all", "s/step")
    measure.report("memory", columns, rows)


def peak(options: argparse.Namespace) -> tuple[float, float, float]:
    """Megabytes above the weights, megabytes of the weights, seconds a step."""
    import tensorflow as tf

    from benchmarks import train

    model = measure.MODELS[options.models]
    config = train.configuration(model, options.batch, **FORMS[options.form])
    shape = (options.batch, model.image_size, model.image_size, model.image_channels)
    images = np.random.default_rng(0).uniform(-1, 1, shape).astype("float32")
    step = train.stepper(config, images)
    device = "GPU:0" if tf.config.list_logical_devices("GPU") else "CPU:0"
    before = tf.config.experimental.get_memory_info(device)["current"]
    tf.config.experimental.reset_memory_stats(device)
    seconds = []
    for _ in range(options.steps):
        began = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - began)
    most = tf.config.experimental.get_memory_info(device)["peak"]
    return (most - before) / 1e6, before / 1e6, min(seconds)


if __name__ == "__main__":
    main()
