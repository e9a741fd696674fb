"""Sparse codes for TensorBoard's projector: python -m export.projector --run_dir=RUN

Writes the codes of encoded real images and of generated ones, for every level, and the
basis functions themselves, as points with labels and pictures. Then:
tensorboard --logdir=RUN/projector
"""

import json
import pathlib
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from absl import flags

from hcm_tf import command
from hcm_tf.startup import load_tensorflow

if TYPE_CHECKING:
    from hcm_tf.networks.levels import Level

BASIS_SIDE = 24
BATCH = 32
# Browsers draw no larger textures.
LARGEST_SPRITE = 8192


def export(
    run_dir: str | pathlib.Path,
    out: str | pathlib.Path | None = None,
    *,
    levels: Sequence[str] = (),
    count: int = 2000,
    bases: int = 500,
    seed: int = 0,
) -> pathlib.Path:
    """Writes a directory that `tensorboard --logdir` shows in its projector.

    Args:
        run_dir: what `train_main.py --workdir` wrote.
        out: directory to write; None: `projector` in the run directory.
        levels: names of the levels; all if none.
        count: images, one half real, one half generated.
        bases: basis functions of each level, the most used ones.
        seed: of the generated images.

    Returns:
        The directory.

    Raises:
        UserError: no such run, level or data, or the directory cannot be written.
    """
    load_tensorflow()
    from hcm_tf import data
    from hcm_tf.explain import atlas, inputs, names
    from hcm_tf.explain.decoder import Decoder
    from hcm_tf.explain.identity import model_hash
    from hcm_tf.explain.refine import encode
    from hcm_tf.files import whole_directory
    from hcm_tf.images import to_float, to_uint8
    from hcm_tf.prior import draw
    from hcm_tf.runs import checkpoint

    out = pathlib.Path(out or pathlib.Path(run_dir) / "projector")
    run = checkpoint.load(run_dir)
    called = names.read(run_dir, model_hash(run.generator))
    model = run.config.model
    decoder = Decoder(run.generator)
    chosen = sorted({inputs.level_index(name, decoder.level_names) for name in levels})
    chosen = chosen or list(range(len(decoder.level_names)))
    train, held_out = data.load(run.config.data, model.image_size, model.image_channels)
    real = count // 2
    kinds = sorted(held_out.label_names)
    images = np.concatenate([held_out.images[:real], train.images[:real]])[:real]
    labels = {
        kind: np.concatenate([held_out.labels[kind][:real], train.labels[kind][:real]])[
            :real
        ]
        for kind in kinds
    }
    latents = np.concatenate(
        [
            *(
                encode(run.encoder, to_float(images[start : start + BATCH]))
                for start in range(0, len(images), BATCH)
            ),
            draw(run.prior, seed, count - real),
        ]
    )
    vectors = {level: [] for level in chosen}
    drawn = []
    with decoder.bar(len(latents), "Encoding", "image") as bar:
        for start in range(0, len(latents), BATCH):
            for recording in decoder.record(latents[start : start + BATCH]):
                drawn.append(to_uint8(recording.image))
                for level in chosen:
                    vectors[level].append(
                        code_vector(recording.codes[level], decoder.levels[level])
                    )
                bar.update()
    # A real image is its own thumbnail.
    thumbnails = np.stack([*images, *drawn[len(images) :]])
    names_of = held_out.label_names
    rows = [
        [
            *("real", str(index)),
            *(_class(names_of[kind], labels[kind][index]) for kind in kinds),
        ]
        for index in range(len(images))
    ]
    rows += [
        ["generated", str(number), *[""] * len(kinds)]
        for number in range(seed, seed + len(latents) - len(images))
    ]
    samples = draw(run.prior, seed, min(count, 256))
    with whole_directory(out) as directory:
        embeddings = [
            write_points(
                directory,
                f"codes_{decoder.level_names[level]}",
                np.stack(vectors[level]),
                # The projector refuses names above a single column.
                ["source", "number", *kinds],
                rows,
                thumbnails,
            )
            for level in chosen
        ]
        for level in chosen:
            found = atlas.level_atlas(decoder, samples, level, bases)
            if len(found.shown):
                about = decoder.levels[level]
                embeddings.append(_write_bases(directory, found, about, called))
        _write_config(directory, embeddings, run.step)
    return out


def code_vector(code: np.ndarray, level: "Level") -> np.ndarray:
    """A code as one point: the mean activation of each of its basis functions.

    Args:
        code: `(height, width, channels)`.
        level: whose code it is.
    """
    return code.mean(axis=level.shared_axes).ravel()


def write_points(
    directory: pathlib.Path,
    name: str,
    vectors: np.ndarray,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    thumbnails: np.ndarray,
) -> dict:
    """Writes points, their labels and pictures; returns their projector entry.

    Args:
        directory: where to.
        name: of the embedding.
        vectors: float `(n, size)`.
        columns: names of the labels, at least two.
        rows: labels of each point.
        thumbnails: uint8 `(n, side, side, channels)`.
    """
    from hcm_tf.images import write_png

    if not len(vectors) == len(rows) == len(thumbnails):
        raise ValueError(
            "`vectors`, `rows` and `thumbnails` must be of equal length. Received: "
            f"{len(vectors)}, {len(rows)}, {len(thumbnails)}"
        )
    # As text: the projector guesses the format, and takes some binary files for text.
    with (directory / f"{name}.tsv").open("w") as file:
        for vector in vectors:
            file.write("\t".join(f"{value:.6g}" for value in vector) + "\n")
    labels = "\n".join("\t".join(map(_label, row)) for row in (columns, *rows))
    (directory / f"{name}_labels.tsv").write_text(labels + "\n", encoding="utf-8")
    thumbnails = thinned(thumbnails)
    write_png(directory / f"{name}.png", _sprite(thumbnails))
    return {
        "tensorName": name,
        "tensorShape": list(vectors.shape),
        "tensorPath": f"{name}.tsv",
        "metadataPath": f"{name}_labels.tsv",
        "sprite": {
            "imagePath": f"{name}.png",
            "singleImageDim": [thumbnails.shape[2], thumbnails.shape[1]],
        },
    }


def _write_bases(
    directory: pathlib.Path, found, level: "Level", called: dict[str, str]
) -> dict:
    from hcm_tf.explain import names, rendering

    tiles = np.stack([rendering.tile(one, BASIS_SIDE) for one in found.pictures])
    vectors = tiles.reshape(len(tiles), -1).astype("float32") / 127.5 - 1.0
    width = found.usage.shape[-1]
    rows = []
    for index in found.shown.tolist():
        location, basis = divmod(index, width)
        key = names.key(level, *divmod(location, level.shape[1]), basis)
        rows.append(
            [
                str(basis),
                str(location) if level.placed else "all",
                str(found.usage.ravel()[index]),
                called.get(key, ""),
            ]
        )
    return write_points(
        directory,
        f"bases_{found.name}",
        vectors,
        ["basis", "location", "usage", "name"],
        rows,
        tiles,
    )


def _write_config(directory: pathlib.Path, embeddings: list[dict], step: int) -> None:
    import tensorflow as tf
    from google.protobuf import json_format
    from tensorboard.plugins import projector

    config = json_format.ParseDict(
        {"embeddings": embeddings}, projector.ProjectorConfig()
    )
    projector.visualize_embeddings(str(directory), config)
    # TensorBoard takes a directory for a run once it holds events.
    writer = tf.summary.create_file_writer(str(directory))
    with writer.as_default(step=step):
        names = [entry["tensorName"] for entry in embeddings]
        tf.summary.text("projector", json.dumps(names))
    writer.close()


def _class(names: Sequence[str], number: int) -> str:
    """The name of a class; none of -1, by which some data sets keep it secret."""
    return names[number] if number >= 0 else ""


def _label(text: str) -> str:
    return " ".join(str(text).split())


def thinned(thumbnails: np.ndarray) -> np.ndarray:
    """Every so many pixels of each, so that all fit a browser's largest texture."""
    columns = int(np.ceil(np.sqrt(len(thumbnails))))
    step = -(-columns * thumbnails.shape[1] // LARGEST_SPRITE)
    return thumbnails[:, ::step, ::step]


def _sprite(thumbnails: np.ndarray) -> np.ndarray:
    """A square grid, row by row, as the projector cuts it; the rest is white."""
    count, height, width, channels = thumbnails.shape
    columns = int(np.ceil(np.sqrt(count)))
    cells = np.full((columns**2, height, width, channels), 255, "uint8")
    cells[:count] = thumbnails
    cells = cells.reshape(columns, columns, height, width, channels).swapaxes(1, 2)
    return cells.reshape(columns * height, columns * width, channels)


def define() -> flags.FlagValues:
    """The flags of this command, fresh."""
    own = flags.FlagValues()
    flags.DEFINE_string("run_dir", None, "What train_main.py --workdir wrote.", own)
    flags.DEFINE_string("out", None, "Directory to write; empty: RUN/projector.", own)
    flags.DEFINE_multi_string("level", [], "Levels, by name; all if none.", own)
    flags.DEFINE_integer(
        "count", 2000, "Images: one half real, one half generated.", 2, None, own
    )
    flags.DEFINE_integer(
        "bases", 500, "Basis functions of a level, the most used.", 1, None, own
    )
    flags.DEFINE_integer("seed", 0, "Of the generated images.", flag_values=own)
    return own


def main(argv: list[str]) -> int:
    """Flags -> files; returns the exit status."""
    own = define()

    def act() -> None:
        out = export(
            own.run_dir,
            own.out,
            levels=own.level,
            count=own.count,
            bases=own.bases,
            seed=own.seed,
        )
        print(f"In the browser: tensorboard --logdir={out}")

    return command.run("export.projector", own, act, argv, about=__doc__)


if __name__ == "__main__":
    sys.exit(main(sys.argv))
