"""The device's script, in an environment without TensorFlow.

HCM_DEVICE_PYTHON names the interpreter of an environment with requirements-device.txt.
"""

import os
import pathlib
import subprocess

import numpy as np
import pytest
from PIL import Image

from export import publish, tflite
from export.latents import latents
from export.signatures import device_signatures, metadata
from hcm_tf import checkpoint, pictures

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
    contents = tflite.convert(
        run.generator, device_signatures(run, "generator", None), "float32"
    )
    path = tmp_path_factory.mktemp("device") / "generator.tflite"
    contents = flatbuffer.with_metadata(contents, metadata("generator", run))
    publish.write_file(path, contents)
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
    images = loaded.generator(latents(seeds, loaded.generator.latent_size))
    drawn = np.asarray(Image.open(tmp_path / "samples.png")).astype(int)
    assert np.abs(drawn - pictures.grid(np.asarray(images))).max() <= 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model=nothing.tflite"], "No such file"),
        ([f"--model={__file__}"], "is not a TFLite model"),
        (["--model=nothing.tflite", "--count=0"], "must be at least 1"),
        (["--model=nothing.tflite", "--out=x.jpg"], "a PNG file is written"),
    ],
)
def test_mistakes_are_one_line(tmp_path, arguments, message):
    finished = run_script(tmp_path, *arguments)
    assert finished.returncode == 1
    assert message in finished.stderr.splitlines()[-1]
    assert "Traceback" not in finished.stderr
    assert not list(tmp_path.iterdir())
