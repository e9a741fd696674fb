"""Answers `serving_default` by onnxruntime: python onnx_reader.py MODEL OUT IN...

Runs in an environment of its own with requirements-onnx.txt. Converts as
docs/exports.md says and writes the answer to each IN, in turn, to OUT, an .npz file.
"""

import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime

with tempfile.TemporaryDirectory() as directory:
    path = str(pathlib.Path(directory) / "model.onnx")
    command = f"-m tf2onnx.convert --saved-model={sys.argv[1]} --output={path}"
    command += " --tag=serve --signature_def=serving_default --opset=18"
    subprocess.run([sys.executable, "-I", *command.split()], check=True)
    # It says "Successfully converted" of a graph with unknown operations too.
    onnx.checker.check_model(path, full_check=True)
    session = onnxruntime.InferenceSession(path)
(name,) = (value.name for value in session.get_inputs())
answers = [session.run(None, {name: np.load(x)})[0] for x in sys.argv[3:]]
np.savez(sys.argv[2], *answers)
