"""Pictures from a trained run: python -m hcm_tf.sample --run_dir=RUN --out=samples/

Writes a grid and every picture by itself, named by its seed; with --interpolate also a
looping animation that wanders from each picture to the next. A seed is the same picture
here, on a server and on a device.
"""

import io
import pathlib
import sys
from typing import TYPE_CHECKING

import numpy as np
from absl import flags
from PIL import Image

from hcm_tf import command, files, images
from hcm_tf.errors import UserError
from hcm_tf.startup import load_tensorflow

if TYPE_CHECKING:
    from hcm_tf.runs.checkpoint import Run

MILLISECONDS = 60  # That a frame of the animation stays.
LARGEST_SEED = 2**31 - 1
COMPARED = 8  # Latents that are drawn as every class.


def define() -> flags.FlagValues:
    """The flags of this command, fresh."""
    own = flags.FlagValues()
    flags.DEFINE_string("run_dir", None, "What train_main.py --workdir wrote.", own)
    flags.DEFINE_string("out", "samples", "Directory to write.", own)
    flags.DEFINE_integer("count", 64, "Pictures.", 1, 100_000, flag_values=own)
    flags.DEFINE_integer(
        "seed", 0, "Seed of the first; the next has the next.", 0, LARGEST_SEED, own
    )
    flags.DEFINE_float(
        "truncation",
        1.0,
        "From 0 to 1: less is nearer to the mean latent, and less varied.",
        0.0,
        1.0,
        own,
    )
    flags.DEFINE_list(
        "label",
        [],
        "Of a run with labels: classes, such as Dress or hair_color=teal, separated by "
        "commas; what is not named, each seed decides.",
        own,
    )
    flags.DEFINE_string(
        "each",
        None,
        "Of a run with labels: one of them, of which classes.png shows every class.",
        own,
    )
    flags.DEFINE_integer(
        "interpolate",
        0,
        "Frames from each of the first pictures to the next; 0: no animation.",
        0,
        240,
        own,
    )
    flags.DEFINE_integer(
        "stops", 8, "Pictures that the animation visits.", 2, 100, flag_values=own
    )
    flags.DEFINE_integer("scale", 1, "Pixels for each pixel.", 1, 16, flag_values=own)
    return own


def write(
    run: "Run",
    directory: pathlib.Path,
    *,
    count: int,
    seed: int = 0,
    truncation: float = 1.0,
    scale: int = 1,
) -> None:
    """Writes `samples.png`, the grid, and `seed-<number>.png` for each picture.

    Args:
        run: a trained run.
        directory: an existing one.
        count: pictures, at least 1.
        seed: of the first.
        truncation: see `Run.sample`.
        scale: each pixel becomes a square of this many.
    """
    pixels = images.to_uint8(run.sample(count, seed=seed, truncation=truncation))
    images.write_png(directory / "samples.png", images.grid(pixels), scale)
    for number, picture in enumerate(pixels, seed):
        images.write_png(directory / f"seed-{number}.png", picture, scale)


def compare(
    run: "Run", name: str, *, seed: int, count: int = COMPARED, truncation: float = 1.0
) -> np.ndarray:
    """Pictures of the same latents as every class of a label.

    Args:
        run: a run that was trained with labels.
        name: of the label.
        seed: of the first latent.
        count: latents.
        truncation: see `Run.sample`.

    Returns:
        uint8 `(classes, count, size, size, channels)`.

    Raises:
        UserError: the run has no such label.
    """
    classes = run.label(name).classes
    return np.stack(
        [
            images.to_uint8(
                run.choose([f"{name}={one}"]).sample(
                    count, seed=seed, truncation=truncation
                )
            )
            for one in classes
        ]
    )


def wander(
    run: "Run", *, seed: int, stops: int, frames: int, truncation: float = 1.0
) -> np.ndarray:
    """Pictures on a closed way through the latents of several seeds.

    Between two seeds the noise that their latents are made of is turned from the one
    to the other, so that what lies between is as likely as its ends.

    Args:
        run: a trained run.
        seed: the first of the seeds.
        stops: seeds visited, at least 2.
        frames: pictures from each to the next, which is not counted.
        truncation: see `Run.sample`.

    Returns:
        uint8 `(stops * frames, size, size, channels)`; the last is followed by the
        first.
    """
    from hcm_tf.prior import between, numbers

    seeds = numbers(seed, stops)
    latents = between(run.prior, seeds, frames, truncation)
    return images.to_uint8(run.draw(latents))


def animation(pixels: np.ndarray, scale: int = 1) -> bytes:
    """A looping animated PNG.

    Args:
        pixels: uint8 `(frames, height, width, 1 or 3)`.
        scale: each pixel becomes a square of this many.
    """
    frames = [
        Image.open(io.BytesIO(images.encode_png(picture, scale))) for picture in pixels
    ]
    contents = io.BytesIO()
    frames[0].save(
        contents,
        format="PNG",
        save_all=True,
        append_images=frames[1:],
        duration=MILLISECONDS,
        loop=0,
    )
    return contents.getvalue()


def main(argv: list[str]) -> int:
    """Flags -> pictures; returns the exit status."""
    own = define()

    def act() -> None:
        stops = own.stops if own.interpolate else 1
        seeds = max(own.count, stops, COMPARED if own.each else 1)
        if own.seed + seeds - 1 > LARGEST_SEED:
            raise UserError(f"the last seed must not be above {LARGEST_SEED}")
        # TensorFlow takes seconds to load: only once the flags are known to be right.
        load_tensorflow()
        from hcm_tf.runs import checkpoint

        run = checkpoint.load(own.run_dir).choose(own.label)
        shared = {"seed": own.seed, "truncation": own.truncation}
        with files.whole_directory(own.out) as directory:
            write(run, directory, count=own.count, scale=own.scale, **shared)
            if own.each:
                rows = compare(run, own.each, **shared)
                sheet = images.grid(np.concatenate(rows), columns=rows.shape[1])
                images.write_png(directory / "classes.png", sheet, own.scale)
            if own.interpolate:
                pixels = wander(run, stops=own.stops, frames=own.interpolate, **shared)
                looped = animation(pixels, own.scale)
                files.write(directory / "interpolation.png", looped)
        out = pathlib.Path(own.out)
        print(f"{out / 'samples.png'}: seeds {own.seed} to {own.seed + own.count - 1}")
        if own.each:
            names = ", ".join(run.label(own.each).classes)
            print(f"{out / 'classes.png'}: a row each of {names}")
        if own.interpolate:
            print(f"{out / 'interpolation.png'}: an animation, for a browser")

    return command.run("hcm_tf.sample", own, act, argv, about=__doc__)


if __name__ == "__main__":
    sys.exit(main(sys.argv))
