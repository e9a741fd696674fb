"""Exports of a model with labels: drawn by class, by name, on a server and a device."""

import concurrent.futures
import dataclasses
import json
import pathlib
import subprocess

import numpy as np
import pytest
import stand_in
from cpp_loader import INVALID_ARGUMENT, CppError, CppModel
from PIL import Image
from test_device import PYTHON

from export import (
    client,
    conversion,
    flatbuffer,
    prediction,
    quality,
    saved_model,
    tflite,
)
from export.signatures import device_signatures, metadata
from hcm_tf import command as commands
from hcm_tf import images as pictures
from hcm_tf.config import Label
from hcm_tf.errors import UserError
from hcm_tf.runs import checkpoint

KNOWN = (
    Label("shape", ("round", "square", "none"), (0.5, 0.3, 0.2)),
    Label("hat", ("none", "red"), (0.9, 0.1)),
)
SEEDS = np.array([0, 1, -7, 2**31 - 1], "int32")


@pytest.fixture(scope="module")
def run_dir(make_run, tiny_config):
    return make_run(model=dataclasses.replace(tiny_config.model, labels=KNOWN))


@pytest.fixture(scope="module")
def run(run_dir):
    return checkpoint.load(run_dir)


@pytest.fixture(scope="module")
def exported(run_dir, tmp_path_factory):
    out = tmp_path_factory.mktemp("served")
    generator, encoder = saved_model.export(run_dir, out)
    return {"generator": generator, "encoder": encoder}


def drawn(run, classes, seeds=SEEDS):
    prior = run.choose(classes).prior
    return run.generator(prior.from_seeds(seeds)).numpy()


def texts(*rows):
    return np.array([[one.encode() for one in row] for row in rows], object)


FINE = [["round", "hat=none"]] * 3
REFUSED = [
    # Named are the wrong ones, wherever they stand.
    (texts(*FINE, ["", "blue"]), r"names a class that there is not:\] \[blue\]"),
    (texts(*FINE, ["none", ""]), r"names a class that there is not:\] \[none\]"),
    (texts(*FINE, ["square", "round"]), r"twice:\] \[\[square round\]\]"),
    (texts(*FINE, ["square", "shape=square"]), r"twice:\] \[\[square shape=square"),
    (texts(["red", ""]), "must have a row for each image"),
    (texts(*[["red"]] * 4), r"\[4,1\] is not compatible with expected shape \[\?,2\]"),
    (texts(*[["red", "", ""]] * 4), r"\[4,3\] is not compatible with"),
]


def test_a_server_draws_by_the_names_of_classes(exported, run):
    model = CppModel(exported["generator"])
    try:
        plain = model.run("sample", seed=SEEDS)
        np.testing.assert_allclose(plain["images"], drawn(run, []), atol=1e-5)
        label = texts(*[["square", "hat=red"]] * 3, ["", "shape=none"])
        found = model.run("sample_label", seed=SEEDS, label=label)
        both, one = drawn(run, ["square", "red"]), drawn(run, ["shape=none"])
        np.testing.assert_allclose(found["images"][:3], both[:3], atol=1e-5)
        np.testing.assert_allclose(found["images"][3], one[3], atol=1e-5)
        as_seeds = model.run("sample_label", seed=SEEDS, label=texts(*[["", ""]] * 4))
        np.testing.assert_allclose(as_seeds["images"], plain["images"], atol=1e-6)
        for wrong, told in REFUSED:
            with pytest.raises(CppError, match=told) as caught:
                model.run("sample_label", seed=SEEDS, label=wrong)
            assert caught.value.code == INVALID_ARGUMENT
    finally:
        model.close()


def test_the_encoder_of_an_export_reads_labels(exported, run):
    model = CppModel(exported["encoder"])
    try:
        images = drawn(run, [])
        found = model.run("serving_default", images=images)["latent"]
    finally:
        model.close()
    np.testing.assert_allclose(found, run.encoder(images), atol=1e-5)


def test_the_card_lists_the_classes(exported):
    (card,) = exported["generator"].rglob("model_card.md")
    assert "  * shape: round, square, none.\n  * hat: none, red.\n" in card.read_text()
    assert "no text or condition but shape, hat" in card.read_text()


@pytest.mark.parametrize("kind", ["grpc", "rest"])
def test_the_client_takes_labels(exported, run, kind, tmp_path, capsys):
    with stand_in.serve(exported) as server:
        url = server.grpc_address if kind == "grpc" else server.rest_url
        arguments = [f"--url={url}", f"--out={tmp_path}/grid.png", "--count=4"]
        assert command(["--label=square,hat=red", *arguments]) == 0
        expected = pictures.grid(
            pictures.to_uint8(
                drawn(run, ["square", "red"], np.arange(4, dtype="int32"))
            )
        )
        found = np.asarray(Image.open(tmp_path / "grid.png")).astype(int)
        assert np.abs(found - expected).max() <= 1
        capsys.readouterr()
        for label, told in (
            ("blue", "names a class that there is not"),
            ("square,round", "names a label twice"),
            ("square,red,round", "--label=square,red,round: more classes than the 2"),
        ):
            assert command([f"--label={label}", *arguments]) == 1
            (line,) = capsys.readouterr().err.splitlines()
            assert told in line


@pytest.mark.parametrize("kind", ["grpc", "rest"])
def test_callers_who_ask_for_other_labels_share_a_batch(exported, run, kind):
    """Of tensors of different shapes a server refuses all that it would have merged."""
    asked = [["square"], ["red", "shape=none"]]
    with stand_in.serve(exported) as server:
        server.callers = 2
        predicts = [
            client.grpc_predict(server.grpc_address, "generator", classes)
            if kind == "grpc"
            else client.rest_predict(server.rest_url, "generator", classes)
            for classes in asked
        ]
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            found = list(
                pool.map(
                    lambda predict: client.draw(
                        predict, SEEDS, batch=4, concurrency=1, deadline=30.0
                    ),
                    predicts,
                )
            )
    for classes, own in zip(asked, found, strict=True):
        expected = pictures.to_uint8(drawn(run, classes))
        assert np.abs(own.astype(int) - expected).max() <= 1


def test_a_typo_of_one_caller_fails_the_batch(exported):
    """A signature has one answer for all rows: `export.signatures` says so."""
    with stand_in.serve(exported) as server:
        server.callers = 2
        predicts = [
            client.rest_predict(server.rest_url, "generator", [one])
            for one in ("round", "blue")
        ]
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            asked = [pool.submit(one, SEEDS, 30.0) for one in predicts]
            for one in asked:
                with pytest.raises(UserError, match=r"there is not:\] \[blue blue"):
                    one.result()


def test_a_model_that_takes_any_number_of_texts_gets_them_as_they_are():
    """As those that were exported before labels had a place each."""
    assert prediction.padded(["red"], -1) == ["red"]
    assert prediction.padded(["red"], 2) == ["red", ""]


def command(arguments):
    client.FLAGS.unparse_flags()
    return commands.run("client", client.FLAGS, client.main, ["client", *arguments])


@pytest.fixture(scope="module")
def device_model(run_dir, tmp_path_factory):
    run = checkpoint.load(run_dir, execution="device")
    contents = conversion.convert(
        run.generator, device_signatures(run, "generator", None), "float32"
    )
    contents = flatbuffer.with_metadata(contents, metadata("generator", run))
    path = tmp_path_factory.mktemp("device") / "generator.tflite"
    path.write_bytes(contents)
    return path


def test_a_device_draws_by_the_numbers_of_classes(device_model, run):
    contents = device_model.read_bytes()
    numbers = np.array([[1, 1], [-1, 1], [2, -1], [-1, -1]], "int32")
    found = quality.runner(contents, "sample_label")(seed=SEEDS, label=numbers)
    expected = [
        drawn(run, ["square", "red"])[0],
        drawn(run, ["red"])[1],
        drawn(run, ["shape=none"])[2],
        drawn(run, [])[3],
    ]
    np.testing.assert_allclose(found["images"], expected, atol=1e-4)
    # What says how far an export is off draws by its labels, too.
    errors = quality.Judge(run, 4).measure("generator", contents)["mean_errors"]
    assert set(errors) == {"generate", "sample", "sample_label"}
    assert max(errors.values()) < 0.01


@pytest.mark.skipif(not PYTHON.exists(), reason="no environment of a device")
def test_the_devices_script_takes_labels(device_model, run, tmp_path):
    script = pathlib.Path(tflite.__file__).parent / "device" / "sample.py"

    def call(*arguments):
        return subprocess.run(
            [str(PYTHON), "-I", str(script), f"--model={device_model}", *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )

    finished = call("--count=4", "--batch=2", "--label=square,hat=red")
    assert finished.returncode == 0, finished.stderr
    found = np.asarray(Image.open(tmp_path / "samples.png")).astype(int)
    expected = pictures.grid(
        pictures.to_uint8(drawn(run, ["square", "red"], np.arange(4, dtype="int32")))
    )
    assert np.abs(found - expected).max() <= 1
    for label, told in (
        ("blue", "--label=blue: no such class. This model has shape: round, square"),
        ("none", "--label=none: several labels have it; write label=class."),
        ("square,shape=round", "--label=square,shape=round: shape is named twice."),
    ):
        finished = call(f"--label={label}")
        assert finished.returncode == 1
        assert told in finished.stderr
        assert finished.stderr.count("\n") == 1


def test_metadata_have_the_table_of_names(run):
    about = json.loads(json.dumps(metadata("generator", run)))
    assert about["latent_size"] == 11
    assert about["labels"] == [
        {"name": "shape", "classes": ["round", "square", "none"]},
        {"name": "hat", "classes": ["none", "red"]},
    ]


@pytest.mark.parametrize("network", tflite.NETWORKS)
def test_every_precision_reads_all_signatures(run_dir, network, tmp_path):
    """Signatures share weights: what is rounded in one must be in all."""
    run = checkpoint.load(run_dir, execution="device")
    sets = {network: device_signatures(run, network, None)}
    conversions = conversion.Conversions(getattr(run, network), sets, str(tmp_path))
    for precision in conversion.PRECISIONS:
        for fidelity in conversion.fidelities(precision, len(run.generator.levels)):
            contents = conversions.model(network, precision, fidelity)
            assert set(quality.signatures(contents)) == set(sets[network])
