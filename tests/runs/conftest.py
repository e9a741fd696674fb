"""Pictures to train on, and a run that nothing disturbed."""

import pytest
from small_run import draw_pictures, train


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Forty pictures of a bright square on a dark ground."""
    path = tmp_path_factory.mktemp("pictures")
    draw_pictures(path)
    return path


@pytest.fixture(scope="module")
def finished(folder, tmp_path_factory):
    """A run of seven steps that nothing disturbed."""
    workdir = tmp_path_factory.mktemp("finished") / "run"
    done = train(folder, workdir)
    assert done.returncode == 0, done.stderr
    return workdir, done
