"""Tables of the exports, for docs/exports.md: python -m export.report --models=NAME=DIR

Reads what `export.saved_model` and `export.tflite` wrote into each directory. Prints a
section for each, or with --out puts them into a page: into an existing one only between
the section's markers, so that what stands around them stays.
"""

import datetime
import json
import os
import pathlib
import sys

from absl import flags

from export import publish
from hcm_tf import command, files
from hcm_tf.errors import UserError

FLAGS = flags.FlagValues()  # Its own: tests import several commands.
MODELS = flags.DEFINE_list(
    "models",
    ["run=models"],
    "NAME=DIRECTORY of each set of exports.",
    flag_values=FLAGS,
)
OUT = flags.DEFINE_string(
    "out", None, "Page to put the sections into; printed without.", flag_values=FLAGS
)

BEGIN, END = "<!-- export.report: {} -->", "<!-- end of {} -->"
MADE = """Made on {date}, on {machine}, by

    {command}
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
    """One set of exports: SavedModels, then TFLite models, between their markers.

    Raises:
        UserError: the directory holds no exports.
    """
    from export import quality

    parts = []
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
        # Speeds have another home, docs/performance.md.
        table = quality.table(json.loads(measured.read_text()), speeds=False)
        parts.append(f"TFLite:\n\n{table}\n")
    if not parts:
        raise UserError(f"{directory}: no exports here")
    made = MADE.format(
        date=datetime.date.today().isoformat(),
        machine=machine(),
        command=f"python -m export.report --models={name}={directory}",
    )
    return "\n".join([BEGIN.format(name), "", made, *parts, END.format(name)])


def placed(page: str, name: str, text: str) -> str:
    """A page with a section in the place of the one of that name, or at its end.

    Raises:
        UserError: the markers are not one pair, in order.
    """
    begin, end = BEGIN.format(name), END.format(name)
    if begin not in page and end not in page:
        head = f"{page.rstrip()}\n\n" if page.strip() else ""
        return f"{head}## {name}\n\n{text}\n"
    before, _, rest = page.partition(begin)
    _, _, after = rest.partition(end)
    if (page.count(begin), page.count(end), rest.count(end)) != (1, 1, 1):
        raise UserError(f"expected one {begin!r} and, below it, one {end!r}")
    return f"{before}{text}{after}"


def machine() -> str:
    """Processor and number of cores."""
    names = [
        line.partition(":")[2].strip()
        for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return f"{os.cpu_count()} cores of {names[0] if names else 'an unknown processor'}"


def main() -> None:
    sections = {}
    for entry in MODELS.value:
        name, separator, directory = entry.partition("=")
        if not separator:
            raise UserError(f"--models takes NAME=DIRECTORY, not {entry!r}")
        sections[name] = section(name, pathlib.Path(directory))
    if OUT.value is None:
        print("\n\n".join(sections.values()))
        return
    path = pathlib.Path(OUT.value)
    page = path.read_text() if path.exists() else ""
    for name, text in sections.items():
        try:
            page = placed(page, name, text)
        except UserError as error:
            raise UserError(f"{path}: {error}; nothing was changed") from error
    files.write(path, page.encode())
    print(path)


if __name__ == "__main__":
    sys.exit(command.run("export.report", FLAGS, main))
