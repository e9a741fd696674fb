"""SavedModels, answered by TensorFlow's own C++ loader and compared with Keras."""

import io
import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from cpp_loader import INVALID_ARGUMENT, CppError, CppModel
from PIL import Image
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import prediction_log_pb2

from export import saved_model, warmup
from export.images import decode
from hcm_tf.errors import UserError
from hcm_tf.images import to_uint8

BATCHES = (1, 3, 17)
TOLERANCE = 1e-5
GENERATOR = ("serving_default", "sample", "png", "sample_png", "codes", "explain")
ENCODER = ("serving_default", "from_bytes", "reconstruct")
SIGNATURES = [("generator", name) for name in GENERATOR] + [
    ("encoder", name) for name in ENCODER
]


@pytest.fixture(scope="module")
def cpp(exported):
    models = {name: CppModel(directory) for name, directory in exported.items()}
    yield models
    for model in models.values():
        model.close()


@pytest.fixture(scope="module")
def keras_answers(loaded):
    """What the networks say in Keras, by model and signature."""
    generator, encoder = loaded.generator, loaded.encoder
    size, channels = generator.image_size, generator.image_channels

    def draw(latent):
        return {"images": generator(latent).numpy()}

    def sample(seed):
        latent = loaded.prior.from_seeds(seed)
        return {**draw(latent), "latent": latent.numpy()}

    def png(latent):
        return {"pixels": to_uint8(generator(latent))}

    def sample_png(seed):
        latent = sample(seed)["latent"]
        return {**png(latent), "latent": latent}

    def codes(latent):
        return {
            name: code.numpy()
            for name, code in zip(
                generator.level_names, generator.trace(latent).codes, strict=True
            )
        }

    def explain(latent):
        trace = generator.trace(latent)
        return {"images": trace.image.numpy(), "logits": trace.logits.numpy()}

    def from_bytes(image_bytes):
        images = decode(
            image_bytes, size, channels, resize="crop", resize_filter="lanczos"
        )
        return {"latent": encoder(images).numpy()}

    def reconstruct(images):
        drawn = generator(encoder(images)).numpy()
        error = np.square(drawn - images).mean((1, 2, 3))
        return {"images": drawn, "error": error}

    return {
        ("generator", "serving_default"): draw,
        ("generator", "sample"): sample,
        ("generator", "png"): png,
        ("generator", "sample_png"): sample_png,
        ("generator", "codes"): codes,
        ("generator", "explain"): explain,
        ("encoder", "serving_default"): lambda images: {
            "latent": encoder(images).numpy()
        },
        ("encoder", "from_bytes"): from_bytes,
        ("encoder", "reconstruct"): reconstruct,
    }


def comparable(signature, outputs, generator):
    """An answer in the terms of `keras_answers`."""
    outputs = dict(outputs)
    if "image_bytes" in outputs:
        outputs["pixels"] = np.stack(
            [decoded(file) for file in outputs.pop("image_bytes")]
        )
    if signature == "codes":
        return dense_codes(outputs, generator)
    if signature == "explain":
        logits = outputs["rest"] + outputs["contributions"].sum(1)
        return {"images": outputs["images"], "logits": logits}
    return outputs


def decoded(file: bytes) -> np.ndarray:
    pixels = np.asarray(Image.open(io.BytesIO(file)))
    return pixels if pixels.ndim == 3 else pixels[..., np.newaxis]


def dense_codes(outputs, generator):
    """The maps that the lists of `codes` describe."""
    batch = len(outputs["attributes_indices"])
    codes = {}
    attributes = np.zeros((batch, 16, generator.attribute_conv.filters), "float32")
    np.put_along_axis(
        attributes, outputs["attributes_indices"], outputs["attributes_values"], -1
    )
    codes["attributes"] = attributes.reshape(batch, 4, 4, -1)
    for name in generator.level_names[1:]:
        side = int(name.split("x")[0])
        positions, values = outputs[f"{name}_positions"], outputs[f"{name}_values"]
        maps = np.zeros((batch, positions.shape[1], side * side), "float32")
        np.put_along_axis(maps, positions, values, -1)
        codes[name] = maps.reshape(batch, -1, side, side).transpose(0, 2, 3, 1)
    return codes


def input_spec(model: CppModel, signature: str) -> tf.TensorSpec:
    ((name, info),) = model.signatures[signature].inputs.items()
    shape = [None if dim.size < 0 else dim.size for dim in info.tensor_shape.dim]
    return tf.TensorSpec(shape, tf.as_dtype(info.dtype), name)


def assert_same(actual, expected):
    assert actual.keys() == expected.keys()
    for name in expected:
        assert actual[name].shape == expected[name].shape, name
        assert actual[name].dtype == expected[name].dtype, name
        if expected[name].dtype == np.uint8:
            np.testing.assert_array_equal(actual[name], expected[name], name)
        else:
            np.testing.assert_allclose(
                actual[name], expected[name], rtol=0, atol=TOLERANCE, err_msg=name
            )


@pytest.mark.parametrize("rows", BATCHES)
@pytest.mark.parametrize(("name", "signature"), SIGNATURES)
def test_cpp_loader_equals_keras(cpp, keras_answers, loaded, name, signature, rows):
    spec = input_spec(cpp[name], signature)
    x = warmup.example(spec, rows)
    outputs = cpp[name].run(signature, **{spec.name: x})
    assert_same(
        comparable(signature, outputs, loaded.generator),
        keras_answers[name, signature](x),
    )


def test_saved_model_cli_equals_keras(exported, cpp, keras_answers, loaded, tmp_path):
    """Without code of the project: an isolated interpreter, in another directory."""
    jobs = []
    for name, signature in SIGNATURES:
        spec = input_spec(cpp[name], signature)
        for rows in BATCHES:
            directory = tmp_path / f"{name}-{signature}-{rows}"
            directory.mkdir()
            x = warmup.example(spec, rows)
            # Bytes of one length, as NumPy stores no others without pickling.
            x = x.astype("S") if x.dtype == object else x
            np.savez(directory / "inputs.npz", x=x)
            jobs.append(
                [
                    f"--dir={exported[name]}",
                    "--tag_set=serve",
                    f"--signature_def={signature}",
                    f"--inputs={spec.name}={directory}/inputs.npz[x]",
                    f"--outdir={directory}",
                ]
            )
    runner = pathlib.Path(__file__).with_name("saved_model_cli_runner.py")
    finished = subprocess.run(
        [sys.executable, "-I", str(runner)],
        input="\n".join(map(json.dumps, jobs)),
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert finished.returncode == 0, finished.stderr[-2000:]
    for name, signature in SIGNATURES:
        for rows in BATCHES:
            directory = tmp_path / f"{name}-{signature}-{rows}"
            outputs = {
                path.stem: np.load(path, allow_pickle=True)
                for path in directory.glob("*.npy")
            }
            x = warmup.example(input_spec(cpp[name], signature), rows)
            assert_same(
                comparable(signature, outputs, loaded.generator),
                keras_answers[name, signature](x),
            )


@pytest.mark.parametrize("name", ["generator", "encoder"])
def test_warmup_has_one_record_a_signature_and_each_is_answered(exported, cpp, name):
    path = exported[name] / "assets.extra" / "tf_serving_warmup_requests"
    replayed = []
    for record in tf.data.TFRecordDataset(str(path)):
        log = prediction_log_pb2.PredictionLog.FromString(record.numpy())
        request = log.predict_log.request
        assert request.model_spec.name == name
        signature = request.model_spec.signature_name
        inputs = {key: tf.make_ndarray(value) for key, value in request.inputs.items()}
        outputs = cpp[name].run(signature, **inputs)
        assert outputs.keys() == set(cpp[name].signatures[signature].outputs)
        replayed.append(signature)
    assert sorted(replayed) == sorted(cpp[name].signatures)


def wrong_inputs(spec: tf.TensorSpec):
    x = warmup.example(spec, 3)
    yield "rank too low", x[0]
    yield "rank too high", x[..., np.newaxis]
    yield "no rows", x[:0]
    if spec.shape.rank > 1:
        yield "last dimension", np.concatenate([x, x[..., :1]], -1)
    if spec.shape.rank == 4:
        yield "height", np.concatenate([x, x], 1)
        yield "width", np.concatenate([x, x], 2)
    if spec.dtype == tf.string:
        yield "no image", np.array([x[0], b"This is text."], object)
        yield (
            "too large",
            np.array([x[0], x[1][:16] + b"\x7f\xff" * 4 + x[1][24:]], object),
        )
        yield "empty", np.array([b"", x[0]], object)
        yield "truncated", np.array([x[0], x[1][:-40]], object)
        yield "type", np.zeros(3, "float32")
    else:
        yield "type", x.astype("float64" if spec.dtype == tf.float32 else "int64")


@pytest.mark.parametrize(("name", "signature"), SIGNATURES)
def test_wrong_requests_are_refused_and_the_next_is_answered(cpp, name, signature):
    spec = input_spec(cpp[name], signature)
    for what, x in wrong_inputs(spec):
        with pytest.raises(CppError) as caught:
            cpp[name].run(signature, **{spec.name: x})
        assert caught.value.code == INVALID_ARGUMENT, (what, caught.value)
    cpp[name].run(signature, **{spec.name: warmup.example(spec, 1)})


@pytest.mark.parametrize("name", ["generator", "encoder"])
def test_graph_needs_nothing_that_a_server_lacks(exported, name):
    saved = saved_model_pb2.SavedModel.FromString(
        (exported[name] / "saved_model.pb").read_bytes()
    )
    (meta_graph,) = saved.meta_graphs
    library = meta_graph.graph_def.library
    nodes = [
        *meta_graph.graph_def.node,
        *(node for function in library.function for node in function.node_def),
    ]
    assert not {node.op for node in nodes if "Py" in node.op}
    attributes = {key for node in nodes for key in node.attr}
    attributes |= {key for function in library.function for key in function.attr}
    assert "_XlaMustCompile" not in attributes
    # Placement is the server's; only what saves and restores is for the CPU.
    for function in library.function:
        if "save" not in function.signature.name and "restore" not in (
            function.signature.name
        ):
            assert {node.device for node in function.node_def} <= {""}, (
                function.signature.name
            )


@pytest.mark.parametrize("name", ["generator", "encoder"])
def test_every_input_and_output_begins_with_the_batch(cpp, name):
    for signature in cpp[name].signatures.values():
        for info in (*signature.inputs.values(), *signature.outputs.values()):
            assert info.tensor_shape.dim[0].size == -1
        for key, info in signature.outputs.items():
            # TensorFlow Serving's REST interface encodes only such strings.
            assert (info.dtype == tf.string.as_datatype_enum) == key.endswith("_bytes")


def test_plain_tf_saved_model_save_is_caught(loaded, tmp_path):
    """The mistake that loads in Python only must not pass what these tests check."""
    model = loaded.generator
    function = tf.function(
        model.call, input_signature=[tf.TensorSpec((None, model.latent_size))]
    )
    tf.saved_model.save(model, str(tmp_path), signatures=function)
    x = warmup.example(tf.TensorSpec((None, model.latent_size)), 3)
    again = tf.saved_model.load(str(tmp_path))
    again.signatures["serving_default"](tf.constant(x))
    with pytest.raises(CppError):
        CppModel(tmp_path).run("serving_default", latent=x)


@pytest.mark.parametrize("name", ["generator", "encoder"])
def test_loading_says_nothing_and_gradients_are_those_of_keras(
    exported, loaded, caplog, name
):
    model = tf.saved_model.load(str(exported[name]))
    assert not caplog.messages
    signature = model.signatures["serving_default"]
    ((key, spec),) = signature.structured_input_signature[1].items()
    network = getattr(loaded, name)
    for rows in (1, 3):
        x = tf.constant(warmup.example(spec, rows))

        def gradient(answer, x=x):
            with tf.GradientTape() as tape:
                tape.watch(x)
                loss = tf.reduce_sum(tf.sin(3.0 * answer(x)))
            return tape.gradient(loss, x).numpy()

        expected = gradient(network)
        scale = np.abs(expected).max()
        assert scale > 0
        actual = gradient(lambda x: next(iter(signature(**{key: x}).values())))
        np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-4 * scale)


def test_same_seed_is_the_same_picture_alone_or_in_any_batch(cpp):
    seeds = np.array([7, -1, 2**31 - 1, 7, -(2**31), 0], "int32")
    together = cpp["generator"].run("sample", seed=seeds)
    for row in range(len(seeds)):
        alone = cpp["generator"].run("sample", seed=seeds[row : row + 1])
        np.testing.assert_array_equal(alone["latent"][0], together["latent"][row])
        np.testing.assert_allclose(
            alone["images"][0], together["images"][row], rtol=0, atol=TOLERANCE
        )
    assert len(np.unique(together["latent"], axis=0)) == 5


def test_same_seed_is_the_same_file_to_one_grey_level(cpp):
    """Alone or in any batch; another seed's picture is far away."""
    seeds = np.arange(16, dtype="int32")

    def pictures(seeds):
        answer = cpp["generator"].run("sample_png", seed=seeds)
        return np.stack([decoded(file) for file in answer["image_bytes"]]).astype(int)

    alone = np.concatenate([pictures(seeds[row : row + 1]) for row in seeds])
    for batch in (2, 5, 16):
        together = np.concatenate(
            [pictures(seeds[row : row + batch]) for row in seeds[::batch]]
        )
        assert np.abs(together - alone).max() <= 1
    others = np.abs(alone - np.roll(alone, 1, axis=0))
    assert (others.max(axis=(1, 2, 3)) > 3).all()


def test_explain_names_the_strongest_attributes(cpp, loaded):
    generator = loaded.generator
    x = warmup.example(tf.TensorSpec((None, generator.latent_size)), 3)
    outputs = cpp["generator"].run("explain", latent=x)
    code = generator.trace(x).codes[0].numpy().reshape(3, 16, -1)
    units = outputs["activations"].shape[1]
    assert units == 16
    rows = np.arange(3)[:, np.newaxis]
    np.testing.assert_allclose(
        code[rows, outputs["locations"], outputs["attributes"]],
        outputs["activations"],
        atol=TOLERANCE,
    )
    strongest = -np.sort(-code.reshape(3, -1), -1)[:, :units]
    np.testing.assert_allclose(outputs["activations"], strongest, atol=TOLERANCE)


def test_versions_follow_each_other_and_are_never_overwritten(tiny_run, tmp_path):
    def versions(name):
        return sorted(path.name for path in (tmp_path / name).iterdir())

    saved_model.export(tiny_run, tmp_path)
    saved_model.export(tiny_run, tmp_path, version=9)
    assert versions("generator") == versions("encoder") == ["1", "9"]
    with pytest.raises(UserError, match="exists already"):
        saved_model.export(tiny_run, tmp_path, version=9)
    written = saved_model.export(tiny_run, tmp_path)
    assert [path.name for path in written] == ["10", "10"]
    assert written[0].stat().st_mode & 0o055 == 0o055


def test_a_failed_export_leaves_nothing(tiny_run, tmp_path, monkeypatch):
    def fail(*arguments):
        raise OSError("no space left on device")

    monkeypatch.setattr(warmup, "write", fail)
    with pytest.raises(OSError, match="no space"):
        saved_model.export(tiny_run, tmp_path)
    assert not list(tmp_path.glob("*/*"))


def test_model_card_says_what_the_run_says(exported):
    for name, directory in exported.items():
        card = (directory / "assets.extra" / "model_card.md").read_text()
        assert card.startswith(f"# {name.capitalize()}")
        for part in ("avatars", "CC0", "Apache-2.0", "Steps: 0 of", "## Limits"):
            assert part in card


def test_command_says_one_line_and_fails(tmp_path):
    finished = subprocess.run(
        [sys.executable, "-m", "export.saved_model", f"--run_dir={tmp_path}"],
        cwd=pathlib.Path(__file__).parents[2],
        capture_output=True,
        text=True,
    )
    assert finished.returncode == 1
    (line,) = [
        line
        for line in finished.stderr.splitlines()
        if line.startswith("export.saved_model:")
    ]
    assert "no config.json here" in line
    assert "Traceback" not in finished.stderr
