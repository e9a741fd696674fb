"""Draws a grid of samples: python sample.py --model=generator_float32.tflite

Needs ai-edge-litert, numpy and pillow only (requirements-device.txt), and no file of
this project but the model.
"""

import argparse
import json
import os
import sys
import time

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from PIL import Image

METADATA = "hcm_tf"


def read_metadata(path: str) -> dict:
    """The metadata that the exporter wrote into the file.

    Raises:
        ValueError: not a TFLite file, or one without it.
    """
    with open(path, "rb") as file:
        contents = file.read()
    if contents[4:8] != b"TFL3":
        raise ValueError(f"{path} is not a TFLite model")
    model = schema.Model.GetRootAs(contents, 0)
    for index in range(model.MetadataLength()):
        entry = model.Metadata(index)
        if entry.Name().decode() == METADATA:
            data = model.Buffers(entry.Buffer()).DataAsNumpy()
            return json.loads(data.tobytes())
    raise ValueError(f"{path} has no metadata named {METADATA}")


def grid(images: np.ndarray) -> np.ndarray:
    """float `(count, n, n, channels)` in [-1, 1] -> one uint8 picture, near square."""
    count, height, width, channels = images.shape
    columns = int(np.ceil(np.sqrt(count)))
    rows = -(-count // columns)
    cells = np.full((rows * columns, height, width, channels), 255, "uint8")
    cells[:count] = np.clip(np.rint((images + 1) * 127.5), 0, 255)
    cells = cells.reshape(rows, columns, height, width, channels)
    return cells.swapaxes(1, 2).reshape(rows * height, columns * width, channels)


def sample(
    path: str, seeds: np.ndarray, *, batch: int = 1, threads: int = 2
) -> tuple[np.ndarray, float]:
    """Draws one image a seed.

    Args:
        path: a generator model.
        seeds: int32 `(count,)`.
        batch: images drawn at a time.
        threads: of the runtime.

    Returns:
        The images, float32 `(count, n, n, channels)`, and the milliseconds an image,
        without the first call, which also prepares the memory.
    """
    interpreter = Interpreter(model_path=path, num_threads=threads)
    run = interpreter.get_signature_runner("sample")
    images = [run(seed=seeds[:batch])["images"]]
    began = time.perf_counter()
    for start in range(batch, len(seeds), batch):
        images.append(run(seed=seeds[start : start + batch])["images"])
    seconds = time.perf_counter() - began
    return np.concatenate(images), 1e3 * seconds / max(1, len(seeds) - batch)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Draws a grid of samples.")
    parser.add_argument("--model", required=True, help="generator_*.tflite")
    parser.add_argument("--count", type=int, default=16, help="images to draw")
    parser.add_argument("--seed", type=int, default=0, help="seed of the first image")
    parser.add_argument("--batch", type=int, default=1, help="images at a time")
    parser.add_argument("--threads", type=int, default=2, help="of the runtime")
    parser.add_argument("--out", default="samples.png", help="picture to write")
    options = parser.parse_args(argv)
    try:
        if min(options.count, options.batch, options.threads) < 1:
            raise ValueError("--count, --batch and --threads must be at least 1")
        if not options.out.lower().endswith(".png"):
            raise ValueError(
                f"--out={options.out}: a PNG file is written; let it end with .png"
            )
        seeds = np.arange(options.seed, options.seed + options.count)
        if seeds[0] < -(2**31) or seeds[-1] >= 2**31:
            raise ValueError("seeds must fit 32 bits")
        about = read_metadata(options.model)
        if about["network"] != "generator":
            raise ValueError(f"{options.model} is the {about['network']}'s model")
        images, milliseconds = sample(
            options.model,
            seeds.astype("int32"),
            batch=options.batch,
            threads=options.threads,
        )
        picture = grid(images)
        picture = picture[..., 0] if picture.shape[-1] == 1 else picture
        partial = f"{options.out}.partial"
        Image.fromarray(picture).save(partial, "PNG")
        os.replace(partial, options.out)
    except (OSError, ValueError) as error:
        print(f"sample: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    shown = f"{milliseconds:.1f} ms an image" if len(images) > options.batch else ""
    print(f"{options.out}: {len(images)} images {shown}".rstrip())
    return 0


if __name__ == "__main__":
    sys.exit(main())
