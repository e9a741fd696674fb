"""The device's script, in an environment without TensorFlow.

HCM_DEVICE_PYTHON names the interpreter of an environment with requirements-device.txt.
"""

import os
import pathlib
import re
import subprocess

import numpy as np
import pytest
from PIL import Image

from export import conversion, tflite
from export.signatures import device_signatures, metadata
from hcm_tf import files
from hcm_tf import images as pictures
from hcm_tf.runs import checkpoint

DEVICE = pathlib.Path(tflite.__file__).parent / "device"
DEFAULT = pathlib.Path(__file__).parents[2] / ".venv-device" / "bin" / "python"
PYTHON = pathlib.Path(os.environ.get("HCM_DEVICE_PYTHON", DEFAULT))

pytestmark = pytest.mark.skipif(
    not PYTHON.exists(),
    reason=f"no {PYTHON}: make an environment with requirements-device.txt, or name "
    "one in HCM_DEVICE_PYTHON",
)


@pytest.fixture(scope="module")
def model(tiny_run, tmp_path_factory):
    from export import flatbuffer

    run = checkpoint.load(tiny_run, execution="device")
    contents = conversion.convert(
        run.generator, device_signatures(run, "generator", None), "float32"
    )
    path = tmp_path_factory.mktemp("device") / "generator.tflite"
    contents = flatbuffer.with_metadata(contents, metadata("generator", run))
    files.write(path, contents)
    return path


def run_script(directory, *arguments):
    return subprocess.run(
        [str(PYTHON), "-I", str(DEVICE / "sample.py"), *arguments],
        cwd=directory,
        capture_output=True,
        text=True,
    )


def test_the_environment_has_no_tensorflow():
    finished = subprocess.run([str(PYTHON), "-Ic", "import tensorflow"], check=False)
    assert finished.returncode == 1


@pytest.mark.parametrize("batch", [1, 3])
def test_draws_what_keras_draws(model, loaded, tmp_path, batch):
    finished = run_script(
        tmp_path, f"--model={model}", "--count=7", "--seed=-3", f"--batch={batch}"
    )
    assert finished.returncode == 0, finished.stderr
    assert "ms an image" in finished.stdout
    seeds = np.arange(-3, 4, dtype="int32")
    images = loaded.generator(loaded.prior.from_seeds(seeds))
    drawn = np.asarray(Image.open(tmp_path / "samples.png")).astype(int)
    assert np.abs(drawn - pictures.grid(np.asarray(images))).max() <= 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model=nothing.tflite"], "No such file"),
        ([f"--model={__file__}"], "is not a TFLite model"),
        (["--model=nothing.tflite", "--count=0"], "must be at least 1"),
        ([], "required: --model"),
        (["--model"], "expected one argument"),
        (["--model=nothing.tflite", "--count=many"], "invalid int value: 'many'"),
        (["--mod=nothing.tflite"], "required: --model"),
        (["--model=nothing.tflite", "--out=x.picture"], "no picture format"),
        (["--model=nothing.tflite", "--out=x"], "no picture format"),
        (["--model=nothing.tflite", "--out=no/x.png"], "no directory no"),
    ],
)
def test_mistakes_are_one_line(tmp_path, arguments, message):
    finished = run_script(tmp_path, *arguments)
    assert finished.returncode == 1
    (line,) = finished.stderr.splitlines()
    assert line.startswith("sample: ")
    assert message in line
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("share", [0.0001, 0.01, 0.5, 0.99, 0.99999])
def test_a_truncated_model_is_one_line(model, tmp_path, share):
    contents = model.read_bytes()
    cut = tmp_path / "cut.tflite"
    cut.write_bytes(contents[: int(len(contents) * share)])
    finished = run_script(tmp_path, "--model=cut.tflite")
    assert finished.returncode == 1
    (line,) = finished.stderr.splitlines()
    assert re.match("sample: cut.tflite .*(copy or export it again)", line)
    assert list(tmp_path.iterdir()) == [cut]


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_is_no_mistake(tmp_path, flag):
    finished = run_script(tmp_path, flag)
    assert finished.returncode == 0
    assert "--seed" in finished.stdout


def test_the_picture_has_the_format_of_its_name(model, tmp_path):
    for name, kind in (("x.jpg", "JPEG"), ("x.PNG", "PNG"), ("x.webp", "WEBP")):
        finished = run_script(
            tmp_path, f"--model={model}", "--count=4", f"--out={name}"
        )
        assert finished.returncode == 0, finished.stderr
        with Image.open(tmp_path / name) as picture:
            assert picture.format == kind
    exact = np.asarray(Image.open(tmp_path / "x.PNG")).astype(int)
    close = np.asarray(Image.open(tmp_path / "x.jpg")).astype(int)
    assert 0 < np.abs(exact - close).mean() < 3


def test_seeds_begin_at_zero(model, tmp_path):
    run_script(tmp_path, f"--model={model}", "--count=4")
    run_script(tmp_path, f"--model={model}", "--count=4", "--seed=0", "--out=0.png")
    assert (tmp_path / "samples.png").read_bytes() == (tmp_path / "0.png").read_bytes()
