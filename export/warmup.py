"""Warm-up requests: one for each signature, replayed by the server as it loads."""

import io
import pathlib

import numpy as np
import tensorflow as tf
from PIL import Image
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

from export.signatures import Signature

DIRECTORY = "assets.extra"
FILE = "tf_serving_warmup_requests"


def write(
    directory: pathlib.Path, model_name: str, signatures: dict[str, Signature]
) -> None:
    """Writes the records into `assets.extra/` of a SavedModel."""
    path = directory / DIRECTORY / FILE
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for name, signature in signatures.items():
            request = predict_pb2.PredictRequest()
            request.model_spec.name = model_name
            request.model_spec.signature_name = name
            for spec in signature.inputs:
                request.inputs[spec.name].CopyFrom(
                    tf.make_tensor_proto(example(spec, rows=1))
                )
            log = prediction_log_pb2.PredictionLog(
                predict_log=prediction_log_pb2.PredictLog(request=request)
            )
            writer.write(log.SerializeToString())


def example(spec: tf.TensorSpec, rows: int) -> np.ndarray:
    """An input that a signature accepts, always the same."""
    random = np.random.default_rng(0)
    if spec.name == "label":
        # No class: each seed decides.
        value = "" if spec.dtype == tf.string else -1
        return np.full((rows, spec.shape[1]), value, spec.dtype.as_numpy_dtype)
    if spec.dtype == tf.string:
        return np.array([_png(random) for _ in range(rows)], object)
    if spec.dtype == tf.int32:
        return random.integers(-(2**31), 2**31, rows, "int32")
    return random.uniform(-1, 1, (rows, *spec.shape[1:])).astype("float32")


def _png(random: np.random.Generator) -> bytes:
    height, width = random.integers(20, 60, 2)
    pixels = random.integers(0, 256, (height, width, 3), "uint8")
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()
