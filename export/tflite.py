"""TFLite models for the device: python -m export.tflite --run_dir=RUN

Writes generator and encoder in several precisions, of builtin operations only, after
measuring how far their images are from Keras's; one that is too far is not written.
"""

import json
import pathlib
import sys
import tempfile

from absl import flags

from export import command, publish
from hcm_tf.errors import UserError

PRECISIONS = ("float32", "float16", "int8", "int8_dynamic")
TABLE_FILE = "tflite.json"

FLAGS = flags.FlagValues()  # Its own: tests import several commands.
RUN_DIR = flags.DEFINE_string(
    "run_dir", None, "Run directory to export.", flag_values=FLAGS
)
OUT = flags.DEFINE_string(
    "out", "models", "Directory of all exported models.", flag_values=FLAGS
)
PRECISION = flags.DEFINE_list(
    "precision",
    ["float32", "float16", "int8"],
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
    "Largest mean error of the images, in grey levels of 255.",
    lower_bound=0.0,
    flag_values=FLAGS,
)
FORCE = flags.DEFINE_boolean(
    "force", False, "Write what is above --max_mean_error.", flag_values=FLAGS
)


def fidelities(precision: str, selections: int) -> tuple[float, ...]:
    """What becomes int8, to be tried in turn until the images are near enough.

    Of "int8", tensors with at least this fraction of the weights: all, then the
    locations' dictionary alone. Of "int8_dynamic", layers above this many of the
    network's top-k selections: all, then ever less.
    """
    if precision == "int8":
        return (0.0, 0.1)
    return tuple(range(selections + 1)) if precision == "int8_dynamic" else (0,)


def convert(network, signatures: dict, precision: str, fidelity: float = 0) -> bytes:
    """Converts signatures of a network into one TFLite model.

    Args:
        network: whose variables they use.
        signatures: `export.signatures.Signature` by name.
        precision: one of PRECISIONS. "int8" has int8 weights and computes in float32,
            "int8_dynamic" rounds activations to int8 as well, as it goes.
        fidelity: one of `fidelities`.

    Raises:
        UserError: an operation is not a TFLite builtin.
    """
    import keras
    import tensorflow as tf

    from export import flatbuffer

    with tempfile.TemporaryDirectory() as directory:
        archive = keras.export.ExportArchive()
        archive.track(network)
        for name, signature in signatures.items():
            archive.add_endpoint(
                name, signature.function, input_signature=[signature.input]
            )
        archive.write_out(directory, verbose=False)
        converter = tf.lite.TFLiteConverter.from_saved_model(
            directory, signature_keys=list(signatures)
        )
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        if precision in ("float16", "int8"):
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.target_spec.supported_types = [tf.float16]
        try:
            contents = converter.convert()
        # The converter's error class is not public.
        except Exception as error:
            reason = str(error).strip().splitlines()[0]
            raise UserError(f"conversion to {precision} failed: {reason}") from error
    custom = flatbuffer.custom_operations(contents)
    if custom:
        raise UserError(f"not TFLite builtins: {', '.join(custom)}")
    if precision == "int8":
        contents, _ = flatbuffer.with_int8_weights(contents, fidelity)
    if precision == "int8_dynamic":
        contents = flatbuffer.with_dynamic_int8(contents, fidelity)
    return contents


def export(
    run_dir: str | pathlib.Path,
    out: str | pathlib.Path,
    *,
    precisions: tuple[str, ...] = ("float32", "float16", "int8"),
    latents: int = 256,
    max_mean_error: float = 1.0,
    force: bool = False,
) -> list[dict]:
    """Exports generator and encoder of a run to `<network>_<precision>.tflite`.

    Beside each, `benchmark/` gets the same model for a batch of 1, which tools that
    cannot choose a batch need. A precision is judged by the mean error of its images
    (the encoder's: of the images drawn from its latents).

    Args:
        run_dir: what `train_main.py --workdir` wrote.
        out: directory of the files.
        precisions: of PRECISIONS.
        latents: how many images are compared.
        max_mean_error: in grey levels of 255; above it, nothing is written.
        force: write it anyway.

    Returns:
        What was measured, a row for each network and precision (`quality.measure`).

    Raises:
        UserError: no such run or precision, or an operation is no builtin.
    """
    unknown = sorted(set(precisions) - set(PRECISIONS))
    if unknown:
        raise UserError(f"unknown precision {unknown[0]}: {', '.join(PRECISIONS)}")
    # TensorFlow takes seconds to load: only once the flags are known to be right.
    from export import flatbuffer, quality
    from export.signatures import device_signatures, metadata
    from hcm_tf import checkpoint

    run = checkpoint.load(run_dir, execution="device")
    judge = quality.Judge(run, latents)
    out = pathlib.Path(out)
    rows = []
    for name, network in (("generator", run.generator), ("encoder", run.encoder)):
        selections = len(run.generator.level_names) if name == "generator" else 0
        for precision in precisions:
            for fidelity in fidelities(precision, selections):
                dynamic, fixed = (
                    flatbuffer.with_metadata(
                        convert(
                            network,
                            device_signatures(run, name, batch),
                            precision,
                            fidelity,
                        ),
                        {**metadata(name, run), "precision": precision},
                    )
                    for batch in (None, 1)
                )
                twin = convert(
                    network, judge.twin_signatures(name), precision, fidelity
                )
                row = {"network": name, "precision": precision, "bytes": len(dynamic)}
                row |= judge.measure(name, dynamic, twin)
                if row["mean_error"] <= max_mean_error:
                    break
            row |= quality.speed(fixed)
            row["written"] = force or row["mean_error"] <= max_mean_error
            paths = (
                out / f"{name}_{precision}.tflite",
                out / "benchmark" / f"{name}_{precision}_batch1.tflite",
            )
            for path, contents in zip(paths, (dynamic, fixed), strict=True):
                if row["written"]:
                    publish.write_file(path, contents)
                else:
                    path.unlink(missing_ok=True)  # Of an earlier export.
            rows.append(row)
    publish.write_file(out / TABLE_FILE, (json.dumps(rows, indent=1) + "\n").encode())
    return rows


def main() -> None:
    from export import quality

    rows = export(
        RUN_DIR.value,
        OUT.value,
        precisions=tuple(PRECISION.value),
        latents=LATENTS.value,
        max_mean_error=MAX_MEAN_ERROR.value,
        force=FORCE.value,
    )
    print(quality.table(rows))
    refused = [row for row in rows if not row["written"]]
    for row in refused:
        print(
            f"{row['network']}_{row['precision']} is not written: its mean error of "
            f"{row['mean_error']:.2f} grey levels is above --max_mean_error="
            f"{MAX_MEAN_ERROR.value:g}."
        )


if __name__ == "__main__":
    sys.exit(command.run("export.tflite", FLAGS, main))
