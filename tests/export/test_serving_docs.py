"""The REST examples of docs/exports.md, each run as it stands there."""

import json
import pathlib
import shutil
import subprocess

import numpy as np
import pytest
import stand_in
from PIL import Image

from hcm_tf.images import to_float, to_uint8

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "exports.md"
SERVER = "http://localhost:8501"


def examples() -> list[str]:
    """The indented lines of the page's section on REST."""
    section = PAGE.read_text().split("\n## Over REST and gRPC\n")[1].split("\n## ")[0]
    return [line.strip() for line in section.splitlines() if line.startswith("    ")]


@pytest.fixture(scope="module")
def answers(exported, tmp_path_factory):
    """What each example prints, in a directory of their own."""
    if not (shutil.which("curl") and shutil.which("base64")):
        pytest.skip("no curl or base64 here")
    directory = tmp_path_factory.mktemp("examples")
    printed = []
    with stand_in.serve(exported) as server:
        for line in examples():
            done = subprocess.run(
                ["bash", "-c", line.replace(SERVER, server.rest_url)],
                cwd=directory,
                capture_output=True,
                text=True,
                timeout=60,
            )
            assert (done.returncode, done.stderr) == (0, ""), line
            assert '"error"' not in done.stdout, line
            printed.append(done.stdout)
    return directory, printed


def test_every_example_answers(answers, loaded):
    directory, printed = answers
    status, metadata, kept, decoded, columns, asked, latent = printed
    assert "AVAILABLE" in status
    assert "sample_png" in metadata
    assert kept == decoded == asked == ""
    rows = json.loads((directory / "answer.json").read_text())["predictions"]
    assert json.loads(columns)["outputs"]["latent"] == [row["latent"] for row in rows]
    picture = np.asarray(Image.open(directory / "face.png"))
    expected = loaded.generator(np.array([rows[0]["latent"]], "float32"))
    np.testing.assert_allclose(
        picture.astype(int), to_uint8(expected)[0].astype(int), rtol=0, atol=1
    )
    np.testing.assert_allclose(
        json.loads(latent)["predictions"],
        loaded.encoder(to_float(picture)[np.newaxis]),
        rtol=0,
        atol=1e-4,
    )


def test_no_example_is_left_out():
    assert sum("curl" in line for line in examples()) == 5
    assert PAGE.read_text().count("curl") == 5
