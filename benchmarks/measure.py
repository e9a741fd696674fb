"""Interleaved timing, the machine's own rate, and how a benchmark reports."""

import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

import keras
from keras import ops

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
    x = keras.random.normal((size, size))
    return compiled(lambda x: ops.sum(ops.matmul(x, x)), x), 2.0 * size**3


def compiled(function: Callable[..., Any], *arguments: Any) -> Callable[[], Any]:
    """A function that runs the compiled one on the arguments, and waits for it."""
    arguments = [ops.convert_to_tensor(argument) for argument in arguments]
    if keras.backend.backend() == "jax":
        import jax

        run = jax.jit(function)
    else:
        import tensorflow as tf

        run = tf.function(function, autograph=False)
    return lambda: ops.convert_to_numpy(run(*arguments))


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
    gpus, version = _backend()
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
        "gpus": gpus,
        "backend": version,
    }


def _backend() -> tuple[list[str], str]:
    """Names of the GPUs that it sees; its name and version."""
    if keras.backend.backend() == "jax":
        import jax

        gpus = [d.device_kind for d in jax.devices() if d.platform != "cpu"]
        return gpus, f"JAX {jax.__version__}"
    import tensorflow as tf

    details = map(
        tf.config.experimental.get_device_details,
        tf.config.list_physical_devices("GPU"),
    )
    names = [about.get("device_name", "GPU") for about in details]
    return names, f"TensorFlow {tf.__version__}"


def report(
    name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], **more: Any
) -> None:
    """Prints a table, then everything as one line of JSON."""
    about = machine()
    print(
        f"\n{name}: {about['cores']} cores of {about['cpu']}, "
        f"{len(about['gpus'])} GPUs, load {about['load']:.1f}, {about['date']}, "
        f"{about['backend']}\n"
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
