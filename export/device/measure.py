"""Speed and memory of one TFLite model: python measure.py MODEL THREADS

Needs ai-edge-litert and numpy only. Takes models whose shapes are fixed, and prints
JSON: the median of the milliseconds, and how much the peak memory of the process grew.
"""

import json
import pathlib
import re
import resource
import sys
import time

import numpy as np
from ai_edge_litert.interpreter import Interpreter

WARM_UP, RUNS = 3, 15


def peak_megabytes() -> float:
    """The largest resident size of this process so far."""
    status = pathlib.Path("/proc/self/status")
    if status.exists():
        # On Linux getrusage also counts the process that started this one.
        return int(re.search(r"VmHWM:\s+(\d+)", status.read_text())[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main(path: str, threads: int) -> None:
    before = peak_megabytes()
    interpreter = Interpreter(model_path=path, num_threads=threads)
    interpreter.allocate_tensors()
    (entry,) = interpreter.get_input_details()
    values = np.random.default_rng(0).uniform(-1, 1, entry["shape"])
    interpreter.set_tensor(entry["index"], values.astype(entry["dtype"]))
    milliseconds = []
    for _ in range(WARM_UP + RUNS):
        began = time.perf_counter()
        interpreter.invoke()
        milliseconds.append(1e3 * (time.perf_counter() - began))
    result = {
        "milliseconds": float(np.median(milliseconds[WARM_UP:])),
        "peak_megabytes": peak_megabytes() - before,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
