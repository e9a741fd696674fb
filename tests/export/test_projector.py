"""The projector's files, as a live TensorBoard serves and draws them."""

import contextlib
import dataclasses
import io
import json
import os
import pathlib
import socket
import subprocess
import sys
import time
import urllib.request

import numpy as np
import PIL.Image
import pytest
from browser import chromium

from export import projector
from hcm_tf import data
from hcm_tf.config import DataConfig
from hcm_tf.explain import names
from hcm_tf.explain.identity import model_hash
from hcm_tf.runs import checkpoint

BASES = 5
PREFIX = "data/plugin/projector"


@pytest.fixture(scope="module")
def labelled_run(make_run, tmp_path_factory):
    """A run on a folder of 30 images with two labels."""
    root = tmp_path_factory.mktemp("images")
    random = np.random.default_rng(0)
    for label, colour in (("red", (200, 0, 0)), ("blue", (0, 0, 200))):
        (root / label).mkdir()
        for index in range(15):
            noise = random.integers(0, 50, (32, 32, 3)) + colour
            picture = PIL.Image.fromarray(noise.astype("uint8"))
            picture.save(root / label / f"{index}.png")
    data = DataConfig(
        dataset=f"folder:{root}", data_dir=str(tmp_path_factory.mktemp("cache"))
    )
    return make_run(data=data)


@pytest.fixture(scope="module")
def exported(labelled_run):
    run = checkpoint.load(labelled_run)
    called = {f"16x16:{basis}": "nose" for basis in range(8)}
    names.write(labelled_run, model_hash(run.generator), called)
    return projector.export(labelled_run, count=20, bases=BASES)


def test_files(exported, labelled_run):
    assert exported == labelled_run / "projector"
    codes = np.loadtxt(exported / "codes_attributes.tsv", delimiter="\t")
    assert codes.shape == (20, 16 * 12)
    # Three of twelve attributes stay at each of 16 locations.
    assert ((codes != 0).sum(axis=1) <= 48).all()
    usage = np.loadtxt(exported / "codes_8x8.tsv", delimiter="\t")
    assert usage.shape == (20, 16)
    header, *rows = (exported / "codes_8x8_labels.tsv").read_text().splitlines()
    assert header.split("\t") == ["source", "number", "folder"]
    labels = [row.split("\t") for row in rows]
    assert [row[:2] for row in labels[:10]] == [["real", str(i)] for i in range(10)]
    assert {row[2] for row in labels[:10]} <= {"red", "blue"}
    assert labels[10:] == [["generated", str(seed), ""] for seed in range(10)]
    with PIL.Image.open(exported / "codes_8x8.png") as sprite:
        assert sprite.size == (5 * 32, 5 * 32)
    bases = np.loadtxt(exported / "bases_16x16.tsv", delimiter="\t")
    assert len(bases) <= BASES
    header, *rows = (exported / "bases_16x16_labels.tsv").read_text().splitlines()
    assert header.split("\t") == ["basis", "location", "usage", "name"]
    assert {row.split("\t")[3] for row in rows} == {"nose"}
    assert bases.shape[1] == 24 * 24 * 3
    assert np.abs(bases).max() <= 1.0


def columns_of(out):
    """Of the labels of a projector's codes, by their names."""
    text = (out / "codes_8x8_labels.tsv").read_text()
    names, *rows = (line.split("\t") for line in text.splitlines())
    return dict(zip(names, zip(*rows, strict=True), strict=True))


def loading(labelled_run, monkeypatch, **changes):
    """The images of the run, with some of what is known of them changed."""
    parts = data.load(checkpoint.read_config(labelled_run).data, 32, 3)
    changed = [dataclasses.replace(part, **changes) for part in parts]
    monkeypatch.setattr(data, "load", lambda *arguments: changed)


def test_images_without_labels_have_two_columns(labelled_run, tmp_path, monkeypatch):
    """TensorBoard refuses labels of one column that has a name."""
    loading(labelled_run, monkeypatch, labels={}, label_names={})
    out = projector.export(labelled_run, tmp_path / "out", count=6, seed=7, bases=1)
    assert columns_of(out) == {
        "source": ("real",) * 3 + ("generated",) * 3,
        "number": ("0", "1", "2", "7", "8", "9"),
    }


def test_images_whose_label_is_secret_have_none(labelled_run, tmp_path, monkeypatch):
    """TensorFlow Datasets says -1."""
    loading(labelled_run, monkeypatch, labels={"folder": np.full(30, -1)})
    out = projector.export(labelled_run, tmp_path / "out", count=6, bases=1)
    assert set(columns_of(out)["folder"]) == {""}


def test_points_are_the_codes(labelled_run, exported):
    from hcm_tf.prior import draw

    run = checkpoint.load(labelled_run)
    trace = run.generator.trace(draw(run.prior, 0, 10))
    codes = np.loadtxt(exported / "codes_attributes.tsv", delimiter="\t")[10:]
    expected = np.reshape(trace.codes[0], (10, -1))
    np.testing.assert_allclose(codes, expected, rtol=1e-4, atol=1e-6)
    pooled = np.loadtxt(exported / "codes_16x16.tsv", delimiter="\t")[10:]
    expected = np.mean(trace.codes[2], axis=(1, 2))
    np.testing.assert_allclose(pooled, expected, rtol=1e-4, atol=1e-6)


def test_thumbnails_are_thinned_to_what_browsers_draw(monkeypatch):
    monkeypatch.setattr(projector, "LARGEST_SPRITE", 20)
    thumbnails = np.zeros((4, 32, 32, 3), "uint8")
    assert projector.thinned(thumbnails).shape == (4, 8, 8, 3)
    monkeypatch.setattr(projector, "LARGEST_SPRITE", 64)
    assert projector.thinned(thumbnails).shape == thumbnails.shape


def test_unequal_lengths_are_refused(tmp_path):
    with pytest.raises(ValueError, match="must be of equal length"):
        projector.write_points(
            tmp_path, "x", np.zeros((2, 3)), ["a", "b"], [], np.zeros((2, 4, 4, 3))
        )


@contextlib.contextmanager
def serve(logdir: pathlib.Path):
    """A TensorBoard on a free port of the loopback; gives its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(logdir)]
    command += ["--host", "127.0.0.1", "--port", str(port), "--load_fast", "false"]
    server = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    address = f"http://127.0.0.1:{port}/"
    try:
        deadline = time.monotonic() + 300
        while True:
            try:
                fetch(address + f"{PREFIX}/runs")
                break
            except OSError:
                assert server.poll() is None, "TensorBoard ended early"
                assert time.monotonic() < deadline, "TensorBoard did not start"
                time.sleep(0.5)
        yield address
    finally:
        server.terminate()
        server.wait()


def fetch(address: str) -> bytes:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(address, timeout=60) as answer:
        return answer.read()


def test_live_tensorboard(exported):
    with serve(exported) as address:
        base = address + PREFIX
        (run,) = json.loads(fetch(f"{base}/runs"))
        info = json.loads(fetch(f"{base}/info?run={run}"))
        entries = {entry["tensorName"]: entry for entry in info["embeddings"]}
        assert set(entries) == {
            f"{what}_{level}"
            for what in ("codes", "bases")
            for level in ("attributes", "8x8", "16x16")
        }
        for name, entry in entries.items():
            query = f"run={run}&name={name}"
            tensor = np.frombuffer(fetch(f"{base}/tensor?{query}"), "<f4")
            written = np.loadtxt(exported / f"{name}.tsv", delimiter="\t", ndmin=2)
            assert entry["tensorShape"] == list(written.shape)
            np.testing.assert_allclose(tensor, written.ravel(), rtol=1e-6)
            labels = fetch(f"{base}/metadata?{query}").decode().splitlines()
            assert len(labels) == len(written) + 1
            sprite = PIL.Image.open(io.BytesIO(fetch(f"{base}/sprite_image?{query}")))
            width, height = entry["sprite"]["singleImageDim"]
            columns = int(np.ceil(np.sqrt(len(written))))
            assert sprite.size == (columns * width, columns * height)
        _look(address)


def _look(address: str):
    """The projector's page, in a browser, shows the points."""
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.goto(f"{address}{PREFIX}/projector_binary.html", timeout=120_000)
        page.get_by_text("Points: 20").first.wait_for(timeout=120_000)


def test_mistakes_are_one_line(labelled_run, tmp_path, capsys):
    for arguments, message in (
        ([], "--run_dir is required: the directory of a finished run"),
        (["--run_dir=x", "more"], "unexpected argument 'more'"),
        ([f"--run_dir={tmp_path}"], "no config.json here"),
        ([f"--run_dir={labelled_run}", "--level=1x1"], "no level '1x1'"),
        ([f"--run_dir={labelled_run}", "--count=1"], "--count=1"),
    ):
        out = tmp_path / "out"
        assert projector.main(["projector", f"--out={out}", *arguments]) == 1
        error = capsys.readouterr().err.strip()
        assert message in error
        assert len(error.splitlines()) == 1
        assert not out.exists()
