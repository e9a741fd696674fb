"""TFLite models for the device: python -m export.tflite --run_dir=RUN

Writes generator and encoder in several precisions, of builtin operations only, after
measuring how far the images of every signature are from Keras's; a model of which one
is too far is not written.
"""

import contextlib
import hashlib
import json
import pathlib
import sys
import tempfile
import time
from collections.abc import Callable, Iterator

from absl import flags

from export.conversion import PRECISIONS, Conversions, fidelities
from hcm_tf import command, files
from hcm_tf.errors import UserError
from hcm_tf.startup import load_tensorflow

TABLE_FILE = "tflite.json"
NETWORKS = ("generator", "encoder")

FLAGS = flags.FlagValues()  # Its own: tests import several commands.
RUN_DIR = flags.DEFINE_string(
    "run_dir", None, "Run directory to export.", flag_values=FLAGS
)
OUT = flags.DEFINE_string(
    "out", "models", "Directory of all exported models.", flag_values=FLAGS
)
PRECISION = flags.DEFINE_list(
    "precision",
    list(PRECISIONS),
    f"Any of {', '.join(PRECISIONS)}.",
    flag_values=FLAGS,
)
LATENTS = flags.DEFINE_integer(
    "latents",
    256,
    "Latents that the error is measured on.",
    lower_bound=1,
    flag_values=FLAGS,
)
MAX_MEAN_ERROR = flags.DEFINE_float(
    "max_mean_error",
    1.0,
    "Largest mean error of any signature's images, in grey levels of 255.",
    lower_bound=0.0,
    flag_values=FLAGS,
)
FORCE = flags.DEFINE_boolean(
    "force", False, "Write what is above --max_mean_error.", flag_values=FLAGS
)


def export(
    run_dir: str | pathlib.Path,
    out: str | pathlib.Path,
    *,
    precisions: tuple[str, ...] = PRECISIONS,
    latents: int = 256,
    max_mean_error: float = 1.0,
    force: bool = False,
    progress: Callable[[str], None] = lambda text: None,
) -> list[dict]:
    """Exports generator and encoder of a run to `<network>_<precision>.tflite`.

    Beside each, `benchmark/` gets the same model for a batch of 1, which tools that
    cannot choose a batch need. A precision is judged by the mean error of its images,
    in whichever signature that is largest (the encoder's: of the images drawn from its
    latents). All files are put in place at the end, together with `tflite.json`, which
    names every model of the directory: models of an earlier export stay if they have
    the same weights and no new one replaces them, and are removed otherwise.

    Args:
        run_dir: what `train_main.py --workdir` wrote.
        out: directory of the files.
        precisions: of PRECISIONS.
        latents: how many images are compared, from latents and from their seeds.
        max_mean_error: in grey levels of 255; above it, nothing is written.
        force: write it anyway.
        progress: is told what is being done, and how long it took.

    Returns:
        What was measured, a row for each network and precision (`quality.measure`).

    Raises:
        UserError: no such run or precision, or an operation is no builtin.
    """
    unknown = sorted(set(precisions) - set(PRECISIONS))
    if unknown:
        raise UserError(f"unknown precision {unknown[0]}: {', '.join(PRECISIONS)}")
    # TensorFlow takes seconds to load: only once the flags are known to be right.
    load_tensorflow()
    from export import model_card, quality
    from export.signatures import metadata
    from hcm_tf.runs import checkpoint

    run = checkpoint.load(run_dir, execution="device")
    with _timed(progress, f"Keras: drawing {latents} pictures to compare with"):
        judge = quality.Judge(run, latents)
    # Removed again if something fails on the way.
    with files.staging(pathlib.Path(out)) as staged:
        about = {
            "weights": _digest(run),
            **model_card.provenance(run_dir, run.config.data.dataset),
        }
        rows = []
        for name in NETWORKS:
            for row, contents in _models(
                run, name, dict.fromkeys(precisions), judge, max_mean_error, progress
            ):
                row["written"] = force or row["mean_error"] <= max_mean_error
                row |= {key: about[key] for key in ("weights", "exported")}
                rows.append(row)
                if row["written"]:
                    said = {**metadata(name, run), **about}
                    said["precision"] = row["precision"]
                    row["bytes"] = _stage(staged, row, contents, said)
        _put_in_place(staged, pathlib.Path(out), rows, progress)
    return rows


def _models(
    run, name: str, precisions, judge, max_mean_error: float, progress
) -> Iterator[tuple[dict, dict[str, bytes]]]:
    """What was measured of each precision, and its models by kind of batch."""
    from export import quality
    from export.signatures import device_signatures

    sets = {
        "any": device_signatures(run, name, None),
        "one": device_signatures(run, name, 1),
        **judge.twin_signatures(name),
    }
    selections = len(run.generator.level_names) if name == "generator" else 0
    with tempfile.TemporaryDirectory() as directory:
        with _timed(progress, f"{name}: tracing"):
            conversions = Conversions(
                run.generator if selections else run.encoder, sets, directory
            )
        for precision in precisions:
            label = f"{name}, {precision}"
            if not conversions.has(precision):
                with _timed(progress, f"{label}: converting"):
                    for key in sets:
                        conversions.model(key, precision)
            for fidelity in fidelities(precision, selections):
                contents = conversions.model("any", precision, fidelity)
                with _timed(progress, f"{label}: comparing pictures") as said:
                    row = {"network": name, "precision": precision}
                    row |= {"bytes": len(contents), **judge.measure(name, contents)}
                    said.append(f"{row['mean_error']:.4f} grey levels")
                if row["mean_error"] <= max_mean_error:
                    break
            with _timed(progress, f"{label}: timing"):
                row["flipped"] = None
                if selections:
                    row["flipped"] = judge.flipped(
                        conversions.model("twin", precision, fidelity)
                    )
                fixed = conversions.model("one", precision, fidelity)
                row |= quality.speed(fixed)
            yield row, {"any": contents, "one": fixed}


@contextlib.contextmanager
def _timed(progress: Callable[[str], None], what: str) -> Iterator[list[str]]:
    """Says what begins, and when it has ended how long it took and what came out."""
    progress(f"{what} ... ")
    began = time.perf_counter()
    said: list[str] = []
    try:
        yield said
    except BaseException:
        progress("\n")
        raise
    progress(", ".join([f"{time.perf_counter() - began:.1f} s", *said]) + "\n")


def _digest(run) -> str:
    """What tells the weights of one run and step from all others."""
    digest = hashlib.sha256()
    for network in (run.generator, run.encoder):
        for weight in network.weights:
            digest.update(weight.numpy().tobytes())
    return digest.hexdigest()[:16]


def paths_of(directory: pathlib.Path, network: str, precision: str) -> dict:
    """The files of a model, by kind of batch."""
    return {
        "any": directory / f"{network}_{precision}.tflite",
        "one": directory / "benchmark" / f"{network}_{precision}_batch1.tflite",
    }


def _stage(
    staged: pathlib.Path, row: dict, contents: dict[str, bytes], metadata: dict
) -> int:
    """Writes the models of a row with their metadata; the size of the first."""
    from export import flatbuffer

    paths = paths_of(staged, row["network"], row["precision"])
    for kind, path in paths.items():
        files.write(path, flatbuffer.with_metadata(contents[kind], metadata))
    return paths["any"].stat().st_size


def _put_in_place(
    staged: pathlib.Path, out: pathlib.Path, rows: list[dict], progress
) -> None:
    """Moves new models to `out`, removes what they make obsolete, writes the table."""
    new = {(row["network"], row["precision"]) for row in rows}
    kept = [
        row
        for row in _earlier_rows(out)
        if (row["network"], row["precision"]) not in new
        and row["weights"] == rows[0]["weights"]
    ]
    written = {
        (row["network"], row["precision"]) for row in rows + kept if row["written"]
    }
    for network in NETWORKS:
        for precision in PRECISIONS:
            targets = paths_of(out, network, precision)
            for kind, path in paths_of(staged, network, precision).items():
                if path.exists():
                    targets[kind].parent.mkdir(exist_ok=True)
                    path.replace(targets[kind])
                elif (network, precision) not in written and targets[kind].exists():
                    targets[kind].unlink()
                    progress(f"removed {targets[kind]}, of an earlier export\n")
    table = json.dumps(rows + kept, indent=1) + "\n"
    files.write(out / TABLE_FILE, table.encode())


def _earlier_rows(out: pathlib.Path) -> list[dict]:
    """Rows of the table of an earlier export; none if it has none or is older."""
    try:
        rows = json.loads((out / TABLE_FILE).read_text())
    except (FileNotFoundError, ValueError):
        return []
    needed = {"network", "precision", "written", "weights"}
    if not isinstance(rows, list):
        return []
    return [row for row in rows if isinstance(row, dict) and needed <= set(row)]


def _to_terminal(text: str) -> None:
    print(text, end="", file=sys.stderr, flush=True)


def main() -> None:
    from export import quality

    rows = export(
        RUN_DIR.value,
        OUT.value,
        precisions=tuple(PRECISION.value),
        latents=LATENTS.value,
        max_mean_error=MAX_MEAN_ERROR.value,
        force=FORCE.value,
        progress=_to_terminal,
    )
    print(quality.table(rows))
    refused = [row for row in rows if not row["written"]]
    for row in refused:
        errors = row["mean_errors"]
        print(
            f"{row['network']}_{row['precision']} is not written: the mean error of "
            f"its signature `{max(errors, key=errors.get)}`, {row['mean_error']:.2f} "
            f"grey levels, is above --max_mean_error={MAX_MEAN_ERROR.value:g}."
        )


if __name__ == "__main__":
    sys.exit(command.run("export.tflite", FLAGS, main))
