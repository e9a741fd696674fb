"""Draws a grid of images from a server: python -m export.client --url=localhost:8500

Speaks TensorFlow Serving's protocol, over gRPC or REST.
"""

import base64
import concurrent.futures
import http.client
import io
import itertools
import json
import pathlib
import random
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable

import numpy as np
from absl import flags
from PIL import Image

from export import command
from hcm_tf import pictures
from hcm_tf.errors import UserError

SIGNATURE = "sample_png"
# A float image of 64x64x3 is 49 KB; gRPC's own limit of 4 MB ends at 85 of them.
MAXIMUM_MESSAGE = 256 * 2**20
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 2.0

FLAGS = flags.FlagValues()  # Its own: tests import several commands.
URL = flags.DEFINE_string(
    "url",
    None,
    "Server: host:port for gRPC, http://host:port for REST.",
    flag_values=FLAGS,
)
REST = flags.DEFINE_boolean(
    "rest", False, "Use REST; implied by http:// in --url.", flag_values=FLAGS
)
GRPC = flags.DEFINE_boolean("grpc", False, "Use gRPC; the default.", flag_values=FLAGS)
MODEL = flags.DEFINE_string(
    "model", "generator", "Name of the model at the server.", flag_values=FLAGS
)
COUNT = flags.DEFINE_integer(
    "count", 16, "Images to draw.", lower_bound=1, flag_values=FLAGS
)
SEED = flags.DEFINE_integer(
    "seed",
    1,
    "Seed of the first image; the next has the next.",
    lower_bound=-(2**31),
    upper_bound=2**31 - 1,
    flag_values=FLAGS,
)
OUT = flags.DEFINE_string("out", "grid.png", "Picture to write.", flag_values=FLAGS)
BATCH = flags.DEFINE_integer(
    "batch", 4, "Images in a request.", lower_bound=1, flag_values=FLAGS
)
CONCURRENCY = flags.DEFINE_integer(
    "concurrency", 4, "Requests at once.", lower_bound=1, flag_values=FLAGS
)
DEADLINE = flags.DEFINE_float(
    "deadline",
    30.0,
    "Seconds for one request, with all its retries.",
    lower_bound=0.1,
    flag_values=FLAGS,
)

Predict = Callable[[np.ndarray, float], list[bytes]]


class Unavailable(Exception):
    """The server cannot answer now; it may a little later."""


def draw(
    predict: Predict,
    seeds: np.ndarray,
    *,
    batch: int,
    concurrency: int,
    deadline: float,
) -> np.ndarray:
    """Draws one image a seed, in several concurrent requests.

    Args:
        predict: `(seeds, seconds)` -> PNG files; raises Unavailable to be tried again.
        seeds: int32 `(count,)`.
        batch: images in a request.
        concurrency: requests at once.
        deadline: seconds for one request, with all its retries.

    Returns:
        uint8 `(count, height, width, channels)`.

    Raises:
        UserError: no answer in time, or an error that trying again does not mend.
    """
    parts = [seeds[start : start + batch] for start in range(0, len(seeds), batch)]
    with concurrent.futures.ThreadPoolExecutor(concurrency) as pool:
        answers = [
            pool.submit(_until_available, predict, part, deadline) for part in parts
        ]
        try:
            files = [file for answer in answers for file in answer.result()]
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    if len(files) != len(seeds):
        raise UserError(f"asked for {len(seeds)} images, the server sent {len(files)}")
    return np.stack([_decode(file) for file in files])


def _until_available(
    predict: Predict, seeds: np.ndarray, deadline: float
) -> list[bytes]:
    end = time.monotonic() + deadline
    for attempt in itertools.count():
        try:
            return predict(seeds, max(0.001, end - time.monotonic()))
        except Unavailable as error:
            pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2**attempt) * random.uniform(
                0.5, 1
            )
            if time.monotonic() + pause >= end:
                raise UserError(
                    f"no answer within {deadline:g} s ({error}). Is the server "
                    "running, and is --url right?"
                ) from error
            time.sleep(pause)


def _decode(file: bytes) -> np.ndarray:
    try:
        pixels = np.asarray(Image.open(io.BytesIO(file)))
    except OSError as error:
        raise UserError(f"the server sent what is no image: {error}") from error
    return pixels if pixels.ndim == 3 else pixels[..., np.newaxis]


def grpc_predict(address: str, model: str) -> Predict:
    """Requests over gRPC to host:port."""
    import grpc
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

    channel = grpc.insecure_channel(
        address,
        options=[
            ("grpc.max_receive_message_length", MAXIMUM_MESSAGE),
            ("grpc.max_send_message_length", MAXIMUM_MESSAGE),
            # The pauses are `draw`'s: the channel must not wait longer than they do.
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.max_reconnect_backoff_ms", 1000),
        ],
    )
    stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)

    def predict(seeds: np.ndarray, seconds: float) -> list[bytes]:
        request = predict_pb2.PredictRequest()
        request.model_spec.name = model
        request.model_spec.signature_name = SIGNATURE
        request.inputs["seed"].CopyFrom(tf.make_tensor_proto(seeds, tf.int32))
        request.output_filter.append("image_bytes")
        try:
            response = stub.Predict(request, timeout=seconds)
        except grpc.RpcError as error:
            if error.code() == grpc.StatusCode.UNAVAILABLE:
                raise Unavailable(error.details()) from error
            raise UserError(
                f"{address} answered {error.code().name}: {error.details()}"
            ) from error
        return list(response.outputs["image_bytes"].string_val)

    return predict


def rest_predict(url: str, model: str) -> Predict:
    """Requests over REST to http://host:port."""
    target = f"{url.rstrip('/')}/v1/models/{model}:predict"

    def predict(seeds: np.ndarray, seconds: float) -> list[bytes]:
        # One instance a row: of a signature with one input, the bare value.
        body = {"signature_name": SIGNATURE, "instances": seeds.tolist()}
        request = urllib.request.Request(
            target, json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=seconds) as response:
                answer = json.load(response)
        except urllib.error.HTTPError as error:
            reason = _reason(error)
            if error.code == 503:
                raise Unavailable(reason) from error
            raise UserError(f"{target} answered {error.code}: {reason}") from error
        except TimeoutError as error:
            raise UserError(f"{target}: no answer within {seconds:.1f} s") from error
        except (OSError, http.client.HTTPException) as error:
            raise Unavailable(str(error)) from error
        except ValueError as error:
            raise UserError(f"{target} sent no JSON: {error}") from error
        return [_bytes_of(row) for row in answer["predictions"]]

    return predict


def _bytes_of(row: dict) -> bytes:
    # With several outputs a row holds them by name.
    return base64.b64decode(row.get("image_bytes", row)["b64"])


def _reason(error: urllib.error.HTTPError) -> str:
    body = error.read()
    try:
        return json.loads(body)["error"]
    except (ValueError, KeyError, TypeError):
        return error.reason


def main() -> None:
    if URL.value is None:
        raise UserError("--url is needed: localhost:8500, or http://localhost:8501")
    over_http = URL.value.startswith(("http://", "https://"))
    if GRPC.value and (REST.value or over_http):
        raise UserError("--grpc takes host:port in --url, and no --rest")
    if SEED.value + COUNT.value > 2**31:
        raise UserError("the last seed, --seed + --count - 1, must be below 2**31")
    if REST.value or over_http:
        url = URL.value if over_http else f"http://{URL.value}"
        predict = rest_predict(url, MODEL.value)
    else:
        predict = grpc_predict(URL.value.removeprefix("grpc://"), MODEL.value)
    began = time.perf_counter()
    pixels = draw(
        predict,
        np.arange(SEED.value, SEED.value + COUNT.value, dtype="int64").astype("int32"),
        batch=BATCH.value,
        concurrency=CONCURRENCY.value,
        deadline=DEADLINE.value,
    )
    seconds = time.perf_counter() - began
    out = pathlib.Path(OUT.value)
    pictures.write_png(out, pictures.grid(pixels / 127.5 - 1.0))
    print(f"{out}: {len(pixels)} images in {seconds:.2f} s")


if __name__ == "__main__":
    sys.exit(command.run("export.client", FLAGS, main))
