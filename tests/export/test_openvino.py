"""An independent reader of the SavedModels: OpenVINO, in an environment of its own.

HCM_OPENVINO_PYTHON names the interpreter of an environment with
requirements-openvino.txt.
"""

import os
import pathlib
import subprocess

import numpy as np
import pytest

DEFAULT = pathlib.Path(__file__).parents[2] / ".venv-openvino" / "bin" / "python"
PYTHON = pathlib.Path(os.environ.get("HCM_OPENVINO_PYTHON", DEFAULT))


@pytest.mark.skipif(
    not PYTHON.exists(),
    reason=f"no {PYTHON}: make an environment with requirements-openvino.txt, or name "
    "one in HCM_OPENVINO_PYTHON",
)
@pytest.mark.parametrize("name", ["generator", "encoder"])
def test_openvino_agrees(exported, loaded, tmp_path, name):
    random = np.random.default_rng(0)
    generator = loaded.generator
    if name == "generator":
        x = random.uniform(-1, 1, (3, generator.latent_size)).astype("float32")
        expected = generator(x)
    else:
        size, channels = generator.image_size, generator.image_channels
        x = random.uniform(-1, 1, (3, size, size, channels)).astype("float32")
        expected = loaded.encoder(x)
    np.save(tmp_path / "in.npy", x)
    reader = pathlib.Path(__file__).with_name("openvino_reader.py")
    arguments = (exported[name], tmp_path / "in.npy", tmp_path / "out.npy")
    finished = subprocess.run(
        [str(PYTHON), "-I", str(reader), *map(str, arguments)],
        capture_output=True,
        text=True,
    )
    assert finished.returncode == 0, finished.stderr[-2000:]
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), expected, atol=1e-4)
