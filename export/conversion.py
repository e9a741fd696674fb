"""Networks as TFLite models, in several precisions and of builtin operations only."""

import pathlib
import tempfile

from hcm_tf.errors import UserError

# What the converter makes of each precision; `export.flatbuffer` does the rest.
CONVERTED = {
    "float32": "float32",
    "float16": "float16",
    "int8": "float16",
    "int8_dynamic": "float32",
}
PRECISIONS = tuple(CONVERTED)


def fidelities(precision: str, selections: int) -> tuple[float, ...]:
    """What becomes int8, to be tried in turn until the images are near enough.

    Of "int8", tensors with at least this fraction of the weights: all, then the
    locations' dictionary alone. Of "int8_dynamic", layers above this many of the
    network's top-k selections: all, then ever less.
    """
    if precision == "int8":
        return (0.0, 0.1)
    return tuple(range(selections + 1)) if precision == "int8_dynamic" else (0,)


class Conversions:
    """Signatures of one network, each set converted once to float32 and to float16.

    Args:
        network: whose variables they use.
        sets: by a name of the caller's, `export.signatures.Signature` by name.
        directory: an empty one, for SavedModels.
    """

    def __init__(
        self, network, sets: dict[str, dict], directory: str | pathlib.Path
    ) -> None:
        import keras

        self._sets = sets
        self._paths = {}
        self._contents: dict[tuple[str, str], bytes] = {}
        for key, signatures in sets.items():
            archive = keras.export.ExportArchive()
            archive.track(network)
            for name, signature in signatures.items():
                archive.add_endpoint(
                    name, signature.function, input_signature=signature.inputs
                )
            self._paths[key] = str(pathlib.Path(directory) / key)
            archive.write_out(self._paths[key], verbose=False)

    def has(self, precision: str) -> bool:
        """Whether what a precision is made of is converted already."""
        return (next(iter(self._sets)), CONVERTED[precision]) in self._contents

    def model(self, key: str, precision: str, fidelity: float = 0) -> bytes:
        """The TFLite model of one set.

        Args:
            key: of the set.
            precision: one of PRECISIONS. "int8" has int8 weights and computes in
                float32, "int8_dynamic" rounds activations to int8 as well, as it goes.
            fidelity: one of `fidelities`.

        Raises:
            UserError: an operation is not a TFLite builtin.
        """
        from export import flatbuffer

        converted = CONVERTED[precision]
        if (key, converted) not in self._contents:
            self._contents[key, converted] = convert_once(
                self._paths[key], list(self._sets[key]), converted
            )
        contents = self._contents[key, converted]
        if precision == "int8":
            contents, _ = flatbuffer.with_int8_weights(contents, fidelity)
        if precision == "int8_dynamic":
            contents = flatbuffer.with_dynamic_int8(contents, fidelity)
        return contents


def convert(network, signatures: dict, precision: str, fidelity: float = 0) -> bytes:
    """Converts one set of signatures; see `Conversions`."""
    with tempfile.TemporaryDirectory() as directory:
        conversions = Conversions(network, {"model": signatures}, directory)
        return conversions.model("model", precision, fidelity)


def convert_once(saved_model: str, names: list[str], precision: str) -> bytes:
    """Converts some signatures of a SavedModel; see `Conversions`."""
    import tensorflow as tf

    from export import flatbuffer

    converter = tf.lite.TFLiteConverter.from_saved_model(
        saved_model, signature_keys=names
    )
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    if precision == "float16":
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
    return contents
