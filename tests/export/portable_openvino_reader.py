"""As onnx_reader.py by OpenVINO, from the SavedModel: no extension, an open batch."""

import sys

import numpy as np
import openvino

model = openvino.Core().compile_model(
    sys.argv[1], "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
)
answers = [model(np.load(x))[model.output(0)] for x in sys.argv[3:]]
np.savez(sys.argv[2], *answers)
