"""TFLite models, in the runtime that devices use, compared with Keras."""

import datetime
import json
import pathlib
import re
import shutil

import numpy as np
import pytest
import tensorflow as tf

import hcm_tf
from export import conversion, flatbuffer, quality, tflite
from export.signatures import Signature
from hcm_tf import command, files
from hcm_tf.config import TrainConfig
from hcm_tf.errors import UserError
from hcm_tf.images import to_uint8
from hcm_tf.prior import draw
from hcm_tf.runs import checkpoint

ROOT = pathlib.Path(__file__).parents[2]
# Measured on the tiny run: 0.02 and 0.4 grey levels; float32 is as exact as Keras.
MEAN_ERROR = {"float32": 1e-3, "float16": 0.2, "int8": 1.0}


@pytest.fixture(scope="module")
def converted():
    """The conversions that were made for `export`, as (signatures, precision)."""
    return []


@pytest.fixture(scope="module")
def progress():
    """What `export` said meanwhile."""
    return []


@pytest.fixture(scope="module")
def export(tiny_run, tmp_path_factory, converted, progress):
    convert = conversion.convert_once

    def counted(saved_model, names, precision):
        converted.append((*names, precision))
        return convert(saved_model, names, precision)

    out = tmp_path_factory.mktemp("tflite")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conversion, "convert_once", counted)
        rows = tflite.export(tiny_run, out, latents=32, progress=progress.append)
    return out, {(row["network"], row["precision"]): row for row in rows}


def contents(export, name, precision="float32"):
    return (export[0] / f"{name}_{precision}.tflite").read_bytes()


@pytest.mark.parametrize("rows", [1, 3, 17])
def test_float32_equals_keras_for_any_batch(export, loaded, rows):
    seeds = np.arange(rows, dtype="int32") * 1_000_003
    generator = loaded.generator
    latent = loaded.prior.from_seeds(seeds).numpy()
    images = generator(latent).numpy()
    model = contents(export, "generator")
    np.testing.assert_allclose(
        quality.runner(model, "generate")(latent=latent)["images"], images, atol=1e-5
    )
    sampled = quality.runner(model, "sample")(seed=seeds)
    np.testing.assert_array_equal(sampled["latent"], latent)
    np.testing.assert_allclose(sampled["images"], images, atol=1e-5)
    encoder = quality.runner(contents(export, "encoder"), "encode")
    np.testing.assert_allclose(
        encoder(image=images)["latent"], loaded.encoder(images), atol=1e-5
    )


@pytest.mark.parametrize("precision", ["float16", "int8"])
def test_latents_have_the_same_bits_in_every_precision(export, loaded, precision):
    seeds = np.array([0, -1, 2**31 - 1, -(2**31), 12345], "int32")
    run = quality.runner(contents(export, "generator", precision), "sample")
    np.testing.assert_array_equal(
        run(seed=seeds)["latent"],
        loaded.prior.from_seeds(seeds),
    )


@pytest.mark.parametrize("precision", ["float32", "float16", "int8"])
def test_pictures_from_seeds_are_those_of_keras(export, loaded, precision):
    seeds = np.arange(64, dtype="int32")
    latent = loaded.prior.from_seeds(seeds)
    expected = to_uint8(loaded.generator(latent).numpy()).astype(int)
    # Another seed's picture would be seen: the tolerance is well below.
    others = np.abs(expected - np.roll(expected, 1, axis=0)).mean()
    assert others > 2 * MEAN_ERROR[precision]
    for path in (
        f"generator_{precision}.tflite",
        f"benchmark/generator_{precision}_batch1.tflite",
    ):
        run = quality.runner((export[0] / path).read_bytes(), "sample")
        rows = 1 if "batch1" in path else len(seeds)
        drawn = [
            run(seed=seeds[start : start + rows])["images"]
            for start in range(0, len(seeds), rows)
        ]
        drawn = to_uint8(np.concatenate(drawn)).astype(int)
        assert np.abs(drawn - expected).mean() <= MEAN_ERROR[precision]


def test_the_gate_judges_every_signature_that_draws(tiny_run):
    """A fault in what a seed draws alone is seen, and named."""
    run = checkpoint.load(tiny_run, execution="device")
    generator, from_seeds = run.generator, run.prior.from_seeds
    judge = quality.Judge(run, 8)
    latent = tf.TensorSpec((None, 6), tf.float32, "latent")
    seed = tf.TensorSpec((None,), tf.int32, "seed")
    signatures = {
        "generate": Signature(lambda x: {"images": generator(x)}, latent),
        "other": Signature(lambda x: {"images": generator(from_seeds(x)) + 0.1}, seed),
        "latent": Signature(lambda x: {"latent": from_seeds(x)}, seed),
    }
    measured = judge.measure(
        "generator", conversion.convert(generator, signatures, "float32")
    )
    assert set(measured["mean_errors"]) == {"generate", "other"}
    assert measured["mean_errors"]["generate"] == pytest.approx(0, abs=1e-3)
    assert measured["mean_error"] == pytest.approx(12.75, abs=1e-3)
    assert measured["percentile_99_error"] == pytest.approx(12.75, abs=1e-3)


@pytest.mark.parametrize("precision", ["float32", "float16", "int8"])
@pytest.mark.parametrize("name", ["generator", "encoder"])
def test_errors_are_measured_and_small(export, name, precision):
    row = export[1][name, precision]
    assert row["written"]
    assert 0 <= row["mean_error"] <= MEAN_ERROR[precision]
    assert row["mean_error"] <= row["percentile_99_error"] <= row["worst_error"]
    if name == "generator":
        assert 0 <= row["flipped"] <= {"float32": 1e-3}.get(precision, 0.1)
    signatures = {"generator": {"generate", "sample"}, "encoder": {"encode"}}[name]
    assert set(row["mean_errors"]) == signatures
    assert row["mean_error"] == max(row["mean_errors"].values())
    assert row["bytes"] == len(contents(export, name, precision))


def test_lower_precisions_are_smaller(export):
    sizes = [export[1]["generator", p]["bytes"] for p in conversion.PRECISIONS[:3]]
    assert sizes == sorted(sizes, reverse=True)


def test_builtin_operations_only_and_metadata(export, loaded, tiny_run):
    for name in ("generator", "encoder"):
        for precision in conversion.PRECISIONS[:3]:
            assert flatbuffer.custom_operations(contents(export, name, precision)) == []
    from export.device.sample import read_metadata

    about = read_metadata(str(export[0] / "generator_int8.tflite"))
    assert about["latent_size"] == loaded.generator.latent_size
    assert about["latent_range"] == [-1.0, 1.0]
    assert about["precision"] == "int8"
    assert "Apache-2.0" in about["licence"]
    assert "CC0" in about["licence"]
    assert about["version"] == hcm_tf.__version__
    run = json.loads((tiny_run / "config.json").read_text())
    assert about["revision"] == run["provenance"]["git_revision"]
    row = export[1]["generator", "int8"]
    assert about["exported"] == row["exported"]
    assert datetime.date.fromisoformat(about["exported"]) <= datetime.date.today()
    assert about["weights"] == row["weights"]


def test_each_set_of_signatures_is_converted_once(export, converted):
    sets = [("encode",)] * 2 + [("active",)] + [("generate", "sample")] * 2
    expected = [
        (*names, precision) for names in sets for precision in ("float32", "float16")
    ]
    assert sorted(converted) == sorted(expected)


def test_progress_names_model_precision_and_seconds(export, progress):
    lines = "".join(progress).splitlines()
    for name in tflite.NETWORKS:
        for precision in conversion.PRECISIONS:
            (line, *_) = [x for x in lines if x.startswith(f"{name}, {precision}: com")]
            assert re.search(r" \.\.\. \d+\.\d s, \d+\.\d{4} grey levels$", line)
    assert any(re.match(r"generator, float16: converting .* s$", x) for x in lines)


def test_the_table_names_every_model_that_is_there(
    export, tiny_run, make_run, tmp_path, monkeypatch
):
    """One precision exported again: others of the same weights stay, of others go."""

    class Conversions:  # Those of `export` again: only the files matter here.
        def __init__(self, network, sets, directory):
            self.name = "encoder" if "encode" in sets["any"] else "generator"

        def has(self, precision):
            return True

        def model(self, key, precision, fidelity):
            kind = "one" if key == "twin" else key
            return tflite.paths_of(export[0], self.name, precision)[kind].read_bytes()

    monkeypatch.setattr(tflite, "Conversions", Conversions)
    monkeypatch.setattr(quality.Judge, "flipped", lambda judge, twin: 0.0)
    monkeypatch.setattr(quality, "speed", lambda contents: dict.fromkeys(SPEEDS, 0.0))
    out = tmp_path / "models"
    shutil.copytree(export[0], out)
    options = {"precisions": ("float32",), "latents": 2, "force": True}

    def models():
        return {path.name for path in out.rglob("*.tflite")}

    def named():
        rows = json.loads((out / "tflite.json").read_text())
        rows = [row for row in rows if row["written"]]
        names = [f"{row['network']}_{row['precision']}" for row in rows]
        assert len(set(names)) == len(names)
        return {f"{name}.tflite" for name in names} | {
            f"{name}_batch1.tflite" for name in names
        }

    before = models()
    assert named() == before
    assert len(before) > 12
    tflite.export(tiny_run, out, **options)
    assert models() == named() == before

    said = []
    other = make_run(train=TrainConfig(batch_size=4, ema_decay=0.9, seed=1))
    tflite.export(other, out, progress=said.append, **options)
    assert models() == named()
    assert models() == {
        f"{name}_float32{end}.tflite"
        for name in ("generator", "encoder")
        for end in ("", "_batch1")
    }
    assert any("removed" in x and "generator_int8.tflite" in x for x in said)
    assert not list(out.glob(".partial*"))


def test_fixed_batch_of_one_for_benchmarks(export):
    from ai_edge_litert.interpreter import Interpreter

    path = export[0] / "benchmark" / "generator_float32_batch1.tflite"
    (entry,) = Interpreter(str(path)).get_input_details()
    assert entry["shape_signature"].tolist() == [1, 6]


def test_an_operation_that_is_no_builtin_is_an_error(loaded):
    spec = tf.TensorSpec((None, 6), tf.float32, "latent")
    flex = Signature(
        lambda x: {"bytes": tf.io.encode_png(tf.cast(x[..., None, None], tf.uint8))},
        spec,
    )
    with pytest.raises(UserError, match="failed"):
        conversion.convert(loaded.generator, {"generate": flex}, "float32")


@pytest.mark.long
def test_the_gate_refuses_what_is_too_far(tiny_run, tmp_path, monkeypatch):
    monkeypatch.setattr(quality, "speed", lambda contents: dict.fromkeys(SPEEDS, 0.0))
    options = {"precisions": ("int8",), "latents": 16, "max_mean_error": 1e-4}
    rows = tflite.export(tiny_run, tmp_path, **options)
    assert not any(row["written"] for row in rows)
    assert not list(tmp_path.glob("**/*.tflite"))
    assert json.loads((tmp_path / "tflite.json").read_text()) == rows
    assert not list(tmp_path.glob(".partial*"))
    assert "| no |" in quality.table(rows)
    tflite.export(tiny_run, tmp_path, force=True, **options)
    assert (tmp_path / "generator_int8.tflite").exists()


SPEEDS = (
    "milliseconds_1",
    "milliseconds_2",
    "peak_megabytes_1",
    "peak_megabytes_2",
)


def test_int8_weights_round_to_half_a_step():
    weights = np.random.default_rng(0).normal(size=(8, 3, 3, 5)).astype("float32")
    values, scales, axis = flatbuffer.quantize(weights)
    assert axis == 0
    restored = values * scales.reshape(8, 1, 1, 1)
    error = np.abs(restored - weights).max((1, 2, 3))
    assert (error <= scales / 2 + 1e-7).all()
    np.testing.assert_allclose(
        np.abs(restored).max((1, 2, 3)), np.abs(weights).max((1, 2, 3)), rtol=1e-6
    )


def test_unknown_precision_is_one_line(tiny_run, tmp_path, capsys):
    tflite.FLAGS.unparse_flags()
    arguments = [f"--run_dir={tiny_run}", f"--out={tmp_path}", "--precision=int4"]
    assert command.run("tflite", tflite.FLAGS, tflite.main, ["tflite", *arguments]) == 1
    assert "tflite: unknown precision int4" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_files_are_whole_or_absent(tmp_path):
    files.write(tmp_path / "a" / "b", b"1")
    assert (tmp_path / "a" / "b").read_bytes() == b"1"
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b"]


def test_int8_stops_below_the_last_selection(loaded, export):
    model = contents(export, "generator")
    whole, part = (flatbuffer.with_dynamic_int8(model, count) for count in (0, 2))
    assert len(whole) < len(part) < len(model)
    latent = draw(loaded.prior, 0, 16)
    images = loaded.generator(latent).numpy()

    def active(model):
        return quality.runner(model, "generate")(latent=latent)["images"]

    errors = [np.abs(active(m) - images).mean() for m in (whole, part)]
    assert 0 < errors[1] < errors[0] < 0.1
