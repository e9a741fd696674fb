import os

import pytest

from hcm_tf.errors import UserError
from hcm_tf.files import whole_directory


def test_files_arrive_together_and_others_stay(tmp_path):
    out = tmp_path / "a" / "report"
    with whole_directory(out) as directory:
        (directory / "x").write_text("1")
        (directory / "sub").mkdir()
        (directory / "sub" / "y").write_text("2")
        assert not (out / "x").exists()
    assert {path.name for path in out.iterdir()} == {"x", "sub"}
    (out / "mine").write_text("kept")
    with whole_directory(out) as directory:
        (directory / "x").write_text("3")
    assert (out / "x").read_text() == "3"
    assert (out / "mine").read_text() == "kept"
    assert {path.name for path in out.iterdir()} == {"x", "sub", "mine"}


def test_an_error_leaves_nothing(tmp_path):
    out = tmp_path / "a" / "report"
    with pytest.raises(RuntimeError), whole_directory(out) as directory:  # noqa: PT012
        (directory / "x").write_text("1")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_refused(tmp_path):
    (tmp_path / "report").write_text("")
    with (
        pytest.raises(UserError, match="is a file"),
        whole_directory(tmp_path / "report"),
    ):
        pass
    with (
        pytest.raises(UserError, match="cannot be written"),
        whole_directory(tmp_path / "report" / "below"),
    ):
        pass


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_directory_that_cannot_be_written(tmp_path):
    tmp_path.chmod(0o500)
    with (
        pytest.raises(UserError, match="cannot be written"),
        whole_directory(tmp_path / "report"),
    ):
        pass
