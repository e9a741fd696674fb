"""TensorFlow's first lines stay away from the user's screen."""

import subprocess
import sys

import pytest

CODE = "from hcm_tf.startup import load_tensorflow; load_tensorflow(); "


def run(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment
    )


def test_loading_prints_nothing_and_stderr_works_afterwards():
    listing = "import sys, tensorflow as tf; tf.config.list_logical_devices(); "
    done = run(CODE + listing + "print('here', file=sys.stderr)")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "here\n")


@pytest.mark.parametrize(("said", "used"), [("", "1"), ("0", "0")])
def test_onednn_is_asked_for_unless_the_user_says_no(said, used):
    environment = {"TF_ENABLE_ONEDNN_OPTS": said} if said else {}
    asked = "import os; print(os.environ['TF_ENABLE_ONEDNN_OPTS']); "
    kernels = (
        "from tensorflow.python.framework import test_util; "
        "print(int(test_util.IsMklEnabled()))"
    )
    assert run(CODE + asked + kernels, **environment).stdout.split() == [used, used]


def test_the_public_face_prints_nothing():
    done = run("import hcm_tf; print(hcm_tf.Generator.__name__, hcm_tf.__version__)")
    assert done.stderr == ""
    assert done.stdout.startswith("Generator 0.")


@pytest.mark.parametrize("level", ["0", "3"])
def test_a_failure_shows_what_was_printed(tmp_path, level):
    (tmp_path / "tensorflow.py").write_text(
        "import os; os.write(2, b'a reason\\n'); raise ImportError('broken')"
    )
    paths = {"PYTHONPATH": f"{tmp_path}:.", "TF_CPP_MIN_LOG_LEVEL": level}
    done = run(CODE, **paths)
    assert done.returncode == 1
    assert "a reason" in done.stderr
    assert "broken" in done.stderr
