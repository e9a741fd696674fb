"""The package as somebody else installs it: a wheel, used from another directory."""

import email
import pathlib
import subprocess
import sys
import zipfile

import numpy as np
import pytest

import hcm_tf

ROOT = pathlib.Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel's path, made from a copy of what git would hand out."""
    directory = tmp_path_factory.mktemp("wheel")
    source = directory / "source"
    for name in (
        "hcm_tf",
        "pyproject.toml",
        "requirements.txt",
        "README.md",
        "LICENSE",
    ):
        subprocess.run(["cp", "-r", str(ROOT / name), str(_made(source))], check=True)
    arguments = ["wheel", "--no-deps", "--no-build-isolation", "-q", "-w", "dist", "."]
    subprocess.run(
        [sys.executable, "-m", "pip", *arguments], cwd=source, check=True, timeout=300
    )
    (path,) = (source / "dist").glob("*.whl")
    return path


def _made(directory):
    directory.mkdir(exist_ok=True)
    return directory


def test_contents(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    for data in (
        "explain/page/report.html",
        "explain/session.schema.json",
        "explain/tree.schema.json",
        "features/parts.npz",
    ):
        assert f"hcm_tf/{data}" in names
    sources = {str(path.relative_to(ROOT)) for path in (ROOT / "hcm_tf").rglob("*.py")}
    assert sources <= names
    assert {name.split("/")[0].split("-")[0] for name in names} == {"hcm_tf"}


def test_requirements_have_one_home(wheel):
    archive = zipfile.ZipFile(wheel)
    (name,) = (n for n in archive.namelist() if n.endswith("dist-info/METADATA"))
    metadata = email.message_from_bytes(archive.read(name))
    assert metadata["Version"] == hcm_tf.__version__
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    wanted = {line for line in lines if line and not line.startswith("#")}
    assert set(metadata.get_all("Requires-Dist")) == wanted


def test_used_from_another_directory(wheel, tiny_run, tmp_path):
    zipfile.ZipFile(wheel).extractall(tmp_path / "installed")
    code = (
        "import hcm_tf, numpy\n"
        f"assert hcm_tf.__file__.startswith({str(tmp_path)!r}), hcm_tf.__file__\n"
        f"run = hcm_tf.load({str(tiny_run)!r})\n"
        "numpy.save('images.npy', run.sample(3, seed=5))\n"
    )
    subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path / "installed")},
        check=True,
        timeout=300,
    )
    expected = hcm_tf.load(tiny_run).sample(3, seed=5)
    np.testing.assert_allclose(np.load(tmp_path / "images.npy"), expected, atol=1e-6)
