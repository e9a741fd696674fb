"""Interleaved timing, the machine's own rate, and how a benchmark reports."""

import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

import tensorflow as tf

from hcm_tf.config import GRID, ModelConfig

FULL_SIZE = ModelConfig()
QUICKSTART = ModelConfig(base_channels=8, attributes=100, latent_size=64)
MODELS = {"full": FULL_SIZE, "quickstart": QUICKSTART}


def interleave(
    runs: dict[str, Callable[[], Any]], *, rounds: int, warm: int = 2
) -> dict[str, dict[str, float]]:
    """Times each function in turn, so that a busy machine slows all of them alike.

    Args:
        runs: name -> function that has finished its work when it returns.
        rounds: timings of each.
        warm: calls of each before that.

    Returns:
        name -> median, quartiles and CPU time (of all cores), in milliseconds.
    """
    wall = {name: [] for name in runs}
    cpu = {name: [] for name in runs}
    for run in runs.values():
        for _ in range(warm):
            run()
    for _ in range(rounds):
        for name, run in runs.items():
            time.sleep(0.05)
            wall_began, cpu_began = time.perf_counter(), time.process_time()
            run()
            wall[name].append(1e3 * (time.perf_counter() - wall_began))
            cpu[name].append(1e3 * (time.process_time() - cpu_began))
    return {
        name: {
            "ms": statistics.median(wall[name]),
            "quartiles": _quartiles(wall[name]),
            "cpu_ms": statistics.median(cpu[name]),
        }
        for name in runs
    }


def _quartiles(values: Sequence[float]) -> list[float]:
    if len(values) < 2:
        return [values[0], values[0]]
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return [low, high]


def matrix_product(size: int = 4096) -> tuple[Callable[[], Any], float]:
    """A float32 matrix product to time, and its floating point operations."""
    x = tf.random.normal((size, size))
    product = tf.function(lambda: tf.reduce_sum(x @ x))
    return lambda: product().numpy(), 2.0 * size**3


def useful_macs(config: ModelConfig) -> int:
    """Multiply-adds that the fast form of the generator needs for one image."""
    bottom, pixels = config.widths[0], GRID * GRID
    macs = config.latent_size * pixels * bottom
    macs += pixels * 9 * bottom * config.attributes
    macs += pixels * config.attributes * 9 * bottom
    previous = None
    for resolution, width in zip(config.resolutions, config.widths, strict=True):
        if previous is not None:
            macs += (resolution // 2) ** 2 * 9 * previous * width
            if resolution == config.resolutions[-1 - config.trunk_residual_block]:
                macs += (resolution // 2) ** 2 * previous * width
        macs += resolution**2 * 9 * width * width
        previous = width
    return macs + config.image_size**2 * 25 * previous * config.image_channels


def machine() -> dict[str, Any]:
    """What the figures depend on, and how busy it is."""
    gpus = tf.config.list_physical_devices("GPU")
    model = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo") as lines:
            names = [line.split(":", 1)[1] for line in lines if "model name" in line]
        model = names[0].strip() if names else model
    except OSError:
        pass
    return {
        "date": date.today().isoformat(),
        "cpu": model,
        "cores": len(os.sched_getaffinity(0)),
        "load": os.getloadavg()[0],
        "gpus": [tf.config.experimental.get_device_details(g) for g in gpus],
        "tensorflow": tf.__version__,
    }


def report(
    name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], **more: Any
) -> None:
    """Prints a table, then everything as one line of JSON."""
    about = machine()
    print(
        f"\n{name}: {about['cores']} cores of {about['cpu']}, "
        f"{len(about['gpus'])} GPUs, load {about['load']:.1f}, {about['date']}, "
        f"TensorFlow {about['tensorflow']}\n"
    )
    print("| " + " | ".join(columns) + " |")
    print("|" + "---|" * len(columns))
    for row in rows:
        print("| " + " | ".join(_text(value) for value in row) + " |")
    print()
    table = [dict(zip(columns, row, strict=True)) for row in rows]
    print(json.dumps({"benchmark": name, "machine": about, "rows": table, **more}))


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"
    return "-" if value is None else str(value)
