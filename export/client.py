"""Draws a grid of images from a server: python -m export.client --url=localhost:8500

Speaks TensorFlow Serving's protocol, over gRPC or REST.
"""

import concurrent.futures
import io
import itertools
import pathlib
import random
import sys
import time

import numpy as np
from absl import flags
from PIL import Image

from export.grpc_client import grpc_predict
from export.prediction import Predict, Unavailable, maximum_batch, shown
from export.rest_client import rest_predict
from hcm_tf import command, images
from hcm_tf.errors import UserError

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 2.0
LARGEST_SIDE = 4096  # Of an image that is taken from a server.

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
    0,
    "Seed of the first image; the next has the next.",
    lower_bound=-(2**31),
    upper_bound=2**31 - 1,
    flag_values=FLAGS,
)
LABEL = flags.DEFINE_list(
    "label",
    [],
    "Of a model with labels: classes, such as Dress or hair_color=teal, separated by "
    "commas.",
    flag_values=FLAGS,
)
OUT = flags.DEFINE_string("out", "grid.png", "PNG file to write.", flag_values=FLAGS)
BATCH = flags.DEFINE_integer(
    "batch",
    4,
    "Images in a request; more than the server draws at once are split.",
    lower_bound=1,
    flag_values=FLAGS,
)
CONCURRENCY = flags.DEFINE_integer(
    "concurrency", 4, "Requests at once.", lower_bound=1, flag_values=FLAGS
)
DEADLINE = flags.DEFINE_float(
    "deadline",
    30.0,
    "Seconds for one request, with all its retries, however slowly it is answered.",
    lower_bound=0.1,
    flag_values=FLAGS,
)


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
        predict: `(seeds, seconds)` -> PNG files; raises Unavailable to be tried again,
            TimeoutError when the seconds are over.
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
    images = [_decode(file) for file in files]
    shapes = sorted({image.shape for image in images})
    if len(shapes) > 1:
        raise UserError(f"the server sent images of different shapes: {shapes}")
    return np.stack(images)


def _until_available(
    predict: Predict, seeds: np.ndarray, deadline: float
) -> list[bytes]:
    end = time.monotonic() + deadline
    reason = "it has not ended"  # Why there is none yet: what the last attempt said.
    for attempt in itertools.count():
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2**attempt) * random.uniform(0.5, 1)
        try:
            files = predict(seeds, max(0.001, end - time.monotonic()))
        except (Unavailable, TimeoutError) as error:
            # A last attempt that the deadline cut says nothing; the one before did.
            reason = str(error) or reason
            if time.monotonic() + pause >= end:
                raise UserError(
                    f"no answer within {deadline:g} s ({reason}). Is the server "
                    "running, and is --url right?"
                ) from error
            time.sleep(pause)
            continue
        if len(files) != len(seeds):
            raise UserError(
                f"asked for {len(seeds)} images, the server sent {len(files)}"
            )
        return files


def _decode(file: bytes) -> np.ndarray:
    """uint8 `(height, width, 1 or 3)` of a PNG file."""
    try:
        with Image.open(io.BytesIO(file), formats=["PNG"]) as image:
            if image.mode not in ("L", "RGB"):
                raise ValueError(f"a PNG of mode {image.mode}")
            if max(image.size) > LARGEST_SIDE:
                raise ValueError(f"a PNG of {image.width} x {image.height} pixels")
            pixels = np.asarray(image)
    # What Pillow raises of a damaged file, and the warning of a huge one.
    except (
        *(OSError, SyntaxError, ValueError, EOFError),
        *(Image.DecompressionBombError, Image.DecompressionBombWarning),
    ) as error:
        raise UserError(
            f"the server sent what is no image to show: {shown(error)}"
        ) from error
    return pixels if pixels.ndim == 3 else pixels[..., np.newaxis]


def _predict() -> Predict:
    """The protocol that the flags ask for."""
    url = URL.value
    if not url:
        raise UserError("--url is required: localhost:8500, or http://localhost:8501")
    over_http = url.startswith(("http://", "https://"))
    if GRPC.value and (REST.value or over_http):
        raise UserError("--grpc takes host:port in --url, and no --rest")
    if REST.value or over_http:
        address = url if over_http else f"http://{url}"
        return rest_predict(address, MODEL.value, LABEL.value)
    address = url.removeprefix("grpc://")
    if "://" in address:
        raise UserError(f"--url={url}: expected host:port, or http://host:port")
    return grpc_predict(address, MODEL.value, LABEL.value)


def _batch() -> int:
    """Images in a request: `--batch`, or as many as the server draws at once."""
    most = maximum_batch()
    if min(BATCH.value, COUNT.value) > most:
        print(
            f"--batch={BATCH.value} is above the server's limit of {most} images a "
            f"request (export/serving/batching.config): {COUNT.value} images are asked "
            f"for in {-(-COUNT.value // most)} requests."
        )
    return min(BATCH.value, most)


def main() -> None:
    if SEED.value + COUNT.value > 2**31:
        raise UserError("the last seed, --seed + --count - 1, must be below 2**31")
    out = pathlib.Path(OUT.value)
    if out.suffix.lower() != ".png":
        raise UserError(f"--out={out}: a PNG file is written; let it end with .png")
    predict = _predict()
    began = time.perf_counter()
    pixels = draw(
        predict,
        np.arange(SEED.value, SEED.value + COUNT.value, dtype="int64").astype("int32"),
        batch=_batch(),
        concurrency=CONCURRENCY.value,
        deadline=DEADLINE.value,
    )
    seconds = time.perf_counter() - began
    images.write_png(out, images.grid(pixels))
    print(f"{out}: {len(pixels)} images in {seconds:.2f} s")


if __name__ == "__main__":
    sys.exit(command.run("export.client", FLAGS, main, about=__doc__))
