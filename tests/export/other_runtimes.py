"""Portable SavedModels read by other runtimes, in environments of their own.

HCM_ONNX_PYTHON and HCM_OPENVINO_PYTHON name interpreters of environments with
requirements-onnx.txt and requirements-openvino.txt.
"""

import os
import pathlib
import subprocess

import numpy as np
import pytest

HERE = pathlib.Path(__file__).parent
READERS = {"onnx": "onnx_reader.py", "openvino": "portable_openvino_reader.py"}


def interpreter(runtime: str) -> pathlib.Path:
    """Of the environment that has the runtime; skips the test where there is none."""
    default = HERE.parents[1] / f".venv-{runtime}" / "bin" / "python"
    variable = f"HCM_{runtime.upper()}_PYTHON"
    python = pathlib.Path(os.environ.get(variable, default))
    if not python.exists():
        pytest.skip(
            f"no {python}: make an environment with requirements-{runtime}.txt, or "
            f"name one in {variable}"
        )
    return python


def read(runtime, model, directory, inputs):
    """Runs a reader in its own environment."""
    python = interpreter(runtime)
    paths = [directory / f"in{number}.npy" for number in range(len(inputs))]
    for path, x in zip(paths, inputs, strict=True):
        np.save(path, x)
    out = directory / "out.npz"
    return out, subprocess.run(
        [str(python), "-I", *map(str, (HERE / READERS[runtime], model, out, *paths))],
        capture_output=True,
        text=True,
    )
