import os

import pytest

from hcm_tf.errors import UserError
from hcm_tf.files import staging, whole_directory


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


def test_what_another_command_has_written_meanwhile_stays(tmp_path):
    out = tmp_path / "reports" / "mine" / "one"
    with pytest.raises(KeyboardInterrupt), whole_directory(out):  # noqa: PT012
        with whole_directory(tmp_path / "reports" / "other") as directory:
            (directory / "x").write_text("1")
        raise KeyboardInterrupt
    (other,) = (tmp_path / "reports").iterdir()
    assert (other / "x").read_text() == "1"


def test_what_was_moved_before_an_error_goes_too(tmp_path, monkeypatch):
    moving = os.replace

    def fail(source, target):
        if source.name == "y":
            raise OSError(5, "Input/output error")
        moving(source, target)

    monkeypatch.setattr(os, "replace", fail)
    with (  # noqa: PT012
        pytest.raises(UserError, match="Input/output error"),
        whole_directory(tmp_path / "out") as directory,
    ):
        (directory / "sub").mkdir()
        for name in ("a", "sub/x", "y"):
            (directory / name).write_text("1")
    assert list(tmp_path.iterdir()) == []


def test_what_was_made_for_staging_goes_unless_something_came_of_it(tmp_path):
    base = tmp_path / "models" / "generator"
    with pytest.raises(RuntimeError), staging(base) as directory:  # noqa: PT012
        (directory / "x").write_text("1")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
    with staging(base) as directory:
        directory.rename(base / "1")
    assert [path.name for path in base.iterdir()] == ["1"]
    with staging(base):
        pass
    assert [path.name for path in base.iterdir()] == ["1"]


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
