"""SavedModels for TensorFlow Serving: python -m export.saved_model --run_dir=RUN

Writes `<out>/generator/<version>/` and `<out>/encoder/<version>/` from a run directory,
with the averaged weights if the run keeps any. `--portable` writes forms that other
runtimes read too (docs/exports.md says which, and how).
"""

import contextlib
import pathlib
import sys

from absl import flags

from export import publish
from hcm_tf import command, files
from hcm_tf.errors import UserError
from hcm_tf.startup import load_tensorflow

FLAGS = flags.FlagValues()  # Its own: tests import several commands.
RUN_DIR = flags.DEFINE_string(
    "run_dir", None, "Run directory to export.", flag_values=FLAGS
)
OUT = flags.DEFINE_string(
    "out", "models", "Directory of all exported models.", flag_values=FLAGS
)
VERSION = flags.DEFINE_integer(
    "version",
    None,
    "Version to write; the next one by default.",
    lower_bound=1,
    flag_values=FLAGS,
)
UNITS = flags.DEFINE_integer(
    "units",
    16,
    "Units a row that the signature `explain` shows.",
    lower_bound=1,
    flag_values=FLAGS,
)
PORTABLE = flags.DEFINE_boolean(
    "portable",
    False,
    "Write operations that ONNX, OpenVINO and TensorFlow.js have too; on a server, "
    "images in large batches take longer.",
    flag_values=FLAGS,
)


def export(
    run_dir: str | pathlib.Path,
    out: str | pathlib.Path,
    *,
    version: int | None = None,
    units: int = 16,
    portable: bool = False,
) -> list[pathlib.Path]:
    """Exports generator and encoder of a run under one new version.

    Args:
        run_dir: what `train_main.py --workdir` wrote.
        out: the directory that gets `generator/` and `encoder/`.
        version: its number; None takes the next.
        units: contribution pictures a row of the signature `explain`.
        portable: of operations that other runtimes have too (the execution "device"),
            where the fast ones' NthElement and sparse product are TensorFlow's alone.

    Returns:
        The two directories written.

    Raises:
        UserError: no such run, or the version exists.
    """
    # TensorFlow takes seconds to load: only once the flags are known to be right.
    load_tensorflow()
    from export.signatures import EncoderSignatures, GeneratorSignatures
    from hcm_tf.runs import checkpoint

    bases = {name: pathlib.Path(out) / name for name in ("generator", "encoder")}
    version = version or publish.next_version(*bases.values())
    for base in bases.values():
        if (base / str(version)).exists():
            raise publish.exists(base / str(version))
    run = checkpoint.load(run_dir, execution="device" if portable else "fast")
    signatures = {
        "generator": GeneratorSignatures(
            *(run.generator, run.prior, units), labels=run.config.model.labels
        ).signatures,
        "encoder": EncoderSignatures(
            run.encoder, run.generator, run.config.data
        ).signatures,
    }
    networks = {"generator": [run.generator], "encoder": [run.encoder, run.generator]}
    with contextlib.ExitStack() as stack:
        partial = {}
        for name, base in bases.items():
            partial[name] = stack.enter_context(files.staging(base))
            write(partial[name], name, networks[name], signatures[name])
            _write_card(partial[name], name, run, run_dir, signatures[name])
        return [
            publish.publish(partial[name], base, version)
            for name, base in bases.items()
        ]


def write(directory: pathlib.Path, name: str, networks: list, signatures: dict) -> None:
    """Writes one SavedModel with its warm-up requests.

    Args:
        directory: an empty one.
        name: under which a server offers the model.
        networks: whose variables the signatures use.
        signatures: `export.signatures.Signature` by name.
    """
    import keras

    from export import warmup
    from hcm_tf.operations import gradients

    # Not tf.saved_model.save: of a Keras 3 model it writes what loads in Python but
    # not in C++ ("Could not find variable", TensorFlow Serving's issue 2226).
    archive = keras.export.ExportArchive()
    for network in networks:
        archive.track(network)
    with gradients.automatic():  # Or loading it prints a warning for each of ours.
        for signature_name, signature in signatures.items():
            archive.add_endpoint(
                signature_name, signature.function, input_signature=signature.inputs
            )
        archive.write_out(str(directory), verbose=False)
    warmup.write(directory, name, signatures)


def _write_card(directory, name, run, run_dir, signatures) -> None:
    from export import model_card, warmup

    card = model_card.text(name, run, run_dir, list(signatures))
    (directory / warmup.DIRECTORY / "model_card.md").write_text(card)


def main() -> None:
    if not pathlib.Path(RUN_DIR.value).is_dir():
        raise UserError(f"{RUN_DIR.value}: no such directory.")
    written = export(
        RUN_DIR.value,
        OUT.value,
        version=VERSION.value,
        units=UNITS.value,
        portable=PORTABLE.value,
    )
    for directory in written:
        print(directory)


if __name__ == "__main__":
    sys.exit(command.run("export.saved_model", FLAGS, main))
