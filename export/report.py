"""The page docs/exports.md: python -m export.report --models=NAME=DIRECTORY,...

Reads what `export.saved_model` and `export.tflite` wrote into each directory.
"""

import datetime
import json
import os
import pathlib
import sys

from absl import flags

from export import command, publish
from export.tflite import PRECISIONS
from hcm_tf.errors import UserError

FLAGS = flags.FlagValues()  # Its own: tests import several commands.
MODELS = flags.DEFINE_list(
    "models",
    ["run=models"],
    "NAME=DIRECTORY of each set of exports.",
    flag_values=FLAGS,
)
OUT = flags.DEFINE_string("out", "docs/exports.md", "Page to write.", flag_values=FLAGS)

HEAD = """# Exports: signatures, sizes, errors, latencies

Made, for each run directory RUN and a directory of its own, by

    python -m export.saved_model --run_dir=RUN --out=DIRECTORY
    python -m export.tflite --run_dir=RUN --out=DIRECTORY --precision={precisions}

and then

    {command}

on {date}, on {machine}. Latencies are medians of 15 runs of one image, in a process of
its own for each model; other work on the machine lengthens them.

Errors are those of the pixels against Keras, in grey levels of 255. For the encoder
they are those of the images that the Keras generator draws from its latents. Flipped
units are those active in Keras, over all sparse levels, that are not active in the
exported model. Peak memory is how much the process grew by loading and running a model.
"""


def signatures(directory: pathlib.Path) -> list[str]:
    """Rows of a Markdown table: the signatures of one SavedModel."""
    import tensorflow as tf
    from tensorflow.core.protobuf import saved_model_pb2

    def shown(tensors) -> str:
        texts = []
        for name, info in sorted(tensors.items()):
            sizes = [
                "n" if dim.size < 0 else str(dim.size) for dim in info.tensor_shape.dim
            ]
            dtype = tf.as_dtype(info.dtype).name
            texts.append(f"`{name}` {dtype} ({', '.join(sizes)})")
        return "; ".join(texts)

    saved = saved_model_pb2.SavedModel.FromString(
        (directory / "saved_model.pb").read_bytes()
    )
    found = saved.meta_graphs[0].signature_def
    return [
        f"| `{name}` | {shown(found[name].inputs)} | {shown(found[name].outputs)} |"
        for name in sorted(found)
        if not name.startswith("__")
    ]


def section(name: str, directory: pathlib.Path) -> str:
    """One set of exports: SavedModels, then TFLite models.

    Raises:
        UserError: the directory holds no exports.
    """
    from export import quality

    parts = [f"## {name}\n"]
    for network in ("generator", "encoder"):
        base = directory / network
        version = publish.next_version(base) - 1
        if not version:
            continue
        files = [path for path in (base / str(version)).rglob("*") if path.is_file()]
        size = sum(path.stat().st_size for path in files) / 1e6
        parts.append(
            f"SavedModel `{network}`, {size:.1f} MB; n is the batch:\n\n"
            "| signature | input | outputs |\n| --- | --- | --- |\n"
            + "\n".join(signatures(base / str(version)))
            + "\n"
        )
    measured = directory / "tflite.json"
    if measured.exists():
        table = quality.table(json.loads(measured.read_text()))
        parts.append(f"TFLite:\n\n{table}\n")
    if len(parts) == 1:
        raise UserError(f"{directory}: no exports here")
    return "\n".join(parts)


def machine() -> str:
    """Processor and number of cores."""
    names = [
        line.partition(":")[2].strip()
        for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return f"{os.cpu_count()} cores of {names[0] if names else 'an unknown processor'}"


def main() -> None:
    sections = []
    for entry in MODELS.value:
        name, separator, directory = entry.partition("=")
        if not separator:
            raise UserError(f"--models takes NAME=DIRECTORY, not {entry!r}")
        sections.append(section(name, pathlib.Path(directory)))
    head = HEAD.format(
        precisions=",".join(PRECISIONS),
        command=f"python -m export.report --models={','.join(MODELS.value)}",
        date=datetime.date.today().isoformat(),
        machine=machine(),
    )
    page = "\n".join([head, *sections])
    publish.write_file(pathlib.Path(OUT.value), page.encode())
    print(OUT.value)


if __name__ == "__main__":
    sys.exit(command.run("export.report", FLAGS, main))
