"""Draws a grid of samples: python sample.py --model=generator_int8.tflite

Needs ai-edge-litert, numpy and pillow only (requirements-device.txt), and no file of
this project but the model.
"""

import argparse
import json
import os
import pathlib
import struct
import sys
import time
from typing import NoReturn

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from PIL import Image

METADATA = "hcm_tf"
# What reading a flatbuffer that was cut short or altered can raise.
DAMAGES = (struct.error, IndexError, TypeError, AttributeError, ValueError)


class Parser(argparse.ArgumentParser):
    """Says one line about a mistake, as all commands here do."""

    def error(self, message: str) -> NoReturn:
        raise ValueError(f"{message}; --help lists the flags")


def read_metadata(path: str) -> dict:
    """The metadata that the exporter wrote into the file.

    Raises:
        ValueError: not a TFLite file, a damaged one, or one without it.
    """
    with open(path, "rb") as file:
        contents = file.read()
    if contents[4:8] != b"TFL3":
        raise ValueError(f"{path} is not a TFLite model")
    try:
        found = _metadata(schema.Model.GetRootAs(contents, 0))
    except DAMAGES as error:
        raise ValueError(
            f"{path} is damaged or incomplete: copy or export it again"
        ) from error
    if found is None:
        raise ValueError(f"{path} has no metadata named {METADATA}")
    return found


def _metadata(model: schema.Model) -> dict | None:
    for index in range(model.MetadataLength()):
        entry = model.Metadata(index)
        if entry.Name().decode() == METADATA:
            data = model.Buffers(entry.Buffer()).DataAsNumpy()
            return json.loads(data.tobytes())
    return None


def picture_format(path: str) -> str:
    """The format that a picture's name asks for.

    Raises:
        ValueError: none that Pillow writes.
    """
    extension = pathlib.Path(path).suffix.lower()
    name = Image.registered_extensions().get(extension)
    if name not in Image.SAVE:
        raise ValueError(f"--out={path}: no picture format; end it in .png or .jpg")
    return name


def write_picture(picture: np.ndarray, path: str) -> None:
    """Writes uint8 `(height, width, 1 or 3)`, whole or not at all."""
    picture = picture[..., 0] if picture.shape[-1] == 1 else picture
    partial = f"{path}.partial"
    try:
        # Of the formats that lose something, as little as can be.
        Image.fromarray(picture).save(
            partial, picture_format(path), quality=95, subsampling=0
        )
        os.replace(partial, path)
    finally:
        pathlib.Path(partial).unlink(missing_ok=True)


def grid(images: np.ndarray) -> np.ndarray:
    """float `(count, n, n, channels)` in [-1, 1] -> one uint8 picture, near square."""
    count, height, width, channels = images.shape
    columns = int(np.ceil(np.sqrt(count)))
    rows = -(-count // columns)
    cells = np.full((rows * columns, height, width, channels), 255, "uint8")
    cells[:count] = np.clip(np.rint((images + 1) * 127.5), 0, 255)
    cells = cells.reshape(rows, columns, height, width, channels)
    return cells.swapaxes(1, 2).reshape(rows * height, columns * width, channels)


def classes(labels: list[dict], texts: list[str]) -> np.ndarray | None:
    """The classes that texts name: int32 `(labels,)`, -1 for what is not named.

    Args:
        labels: of the metadata, each with its `name` and `classes`.
        texts: each a class, or label=class.

    Returns:
        None without texts: each seed decides all of its classes.

    Raises:
        ValueError: there is no such class, several labels have it, or a label is named
            twice.
    """
    if not texts:
        return None
    numbers = np.full(len(labels), -1, "int32")
    for text in texts:
        places = [
            (index, label["classes"].index(one))
            for index, label in enumerate(labels)
            for one in label["classes"]
            if text in (one, f"{label['name']}={one}")
        ]
        if len(places) != 1:
            known = "; ".join(
                f"{label['name']}: {', '.join(label['classes'])}" for label in labels
            )
            raise ValueError(
                f"--label={text}: "
                + (
                    "several labels have it; write label=class. "
                    if places
                    else "no such class. "
                )
                + f"This model has {known or 'no labels'}."
            )
        ((label, number),) = places
        if numbers[label] >= 0:
            raise ValueError(
                f"--label={','.join(texts)}: {labels[label]['name']} is named twice. "
                "Name one class of a label."
            )
        numbers[label] = number
    return numbers


def sample(
    path: str,
    seeds: np.ndarray,
    *,
    numbers: np.ndarray | None = None,
    batch: int = 1,
    threads: int = 2,
) -> tuple[np.ndarray, float]:
    """Draws one image a seed.

    Args:
        path: a generator model.
        seeds: int32 `(count,)`.
        numbers: the images' classes, of `classes`.
        batch: images drawn at a time.
        threads: of the runtime.

    Returns:
        The images, float32 `(count, n, n, channels)`, and the milliseconds an image,
        without the first call, which also prepares the memory.

    Raises:
        ValueError: the runtime cannot load the model.
    """
    try:
        interpreter = Interpreter(model_path=path, num_threads=threads)
    except ValueError as error:
        raise ValueError(
            f"{path} cannot be loaded ({error}): if it is damaged or incomplete, copy "
            "or export it again"
        ) from error
    signature = "sample" if numbers is None else "sample_label"
    run = interpreter.get_signature_runner(signature)

    def drawn(some: np.ndarray) -> np.ndarray:
        named = {} if numbers is None else {"label": np.tile(numbers, (len(some), 1))}
        return run(seed=some, **named)["images"]

    images = [drawn(seeds[:batch])]
    began = time.perf_counter()
    for start in range(batch, len(seeds), batch):
        images.append(drawn(seeds[start : start + batch]))
    seconds = time.perf_counter() - began
    return np.concatenate(images), 1e3 * seconds / max(1, len(seeds) - batch)


def main(argv: list[str] | None = None) -> int:
    parser = Parser(description="Draws a grid of samples.", allow_abbrev=False)
    parser.add_argument("--model", required=True, help="generator_*.tflite")
    parser.add_argument("--count", type=int, default=16, help="images to draw")
    parser.add_argument("--seed", type=int, default=0, help="seed of the first image")
    parser.add_argument("--batch", type=int, default=1, help="images at a time")
    parser.add_argument(
        "--label",
        default="",
        help="classes, such as Dress or hair_color=teal, separated by commas",
    )
    parser.add_argument("--threads", type=int, default=2, help="of the runtime")
    parser.add_argument(
        "--out", default="samples.png", help="picture to write, in the name's format"
    )
    try:
        options = parser.parse_args(argv)
        print(draw(options))
    # RuntimeError: the runtime's, about operations that it does not know.
    except (OSError, RuntimeError, ValueError) as error:
        print(f"sample: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    return 0


def draw(options: argparse.Namespace) -> str:
    """Draws and writes the grid; what to say of it.

    Raises:
        ValueError: an option does not fit, or the model.
    """
    if min(options.count, options.batch, options.threads) < 1:
        raise ValueError("--count, --batch and --threads must be at least 1")
    seeds = np.arange(options.seed, options.seed + options.count)
    if seeds[0] < -(2**31) or seeds[-1] >= 2**31:
        raise ValueError("seeds must fit 32 bits")
    picture_format(options.out)  # Before the work.
    directory = pathlib.Path(options.out).parent
    if not directory.is_dir():
        raise ValueError(f"--out={options.out}: no directory {directory}")
    about = read_metadata(options.model)
    network = about.get("network")
    if network != "generator":
        raise ValueError(f"{options.model} is the {network}'s model")
    texts = [text for text in options.label.split(",") if text]
    numbers = classes(about.get("labels", []), texts)
    images, milliseconds = sample(
        options.model,
        seeds.astype("int32"),
        numbers=numbers,
        batch=options.batch,
        threads=options.threads,
    )
    write_picture(grid(images), options.out)
    shown = f"{milliseconds:.1f} ms an image" if len(images) > options.batch else ""
    return f"{options.out}: {len(images)} images {shown}".rstrip()


if __name__ == "__main__":
    sys.exit(main())
