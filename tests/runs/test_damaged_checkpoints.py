"""Damaged checkpoints: what is read instead, what is kept, and when to refuse."""

import pathlib

import numpy as np
import pytest
import tensorflow as tf

from hcm_tf.errors import UserError
from hcm_tf.runs import building, checkpoint, run_directory

DATA, INDEX = "data-00000-of-00001", "index"


def truncate(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path):
    path.write_bytes(b"")


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 1
    path.write_bytes(content)


FAULTS = {
    "data cut short": (DATA, truncate),
    "data empty": (DATA, empty),
    "one bit of the data": (DATA, flip),
    "data missing": (DATA, pathlib.Path.unlink),
    "index cut short": (INDEX, truncate),
    "index empty": (INDEX, empty),
    "one bit of the index": (INDEX, flip),
    "index missing": (INDEX, pathlib.Path.unlink),
}


def damage(run_dir, step, fault):
    suffix, apply = FAULTS[fault]
    apply(run_dir / "checkpoints" / f"ckpt-{step}.{suffix}")


def contents(run_dir):
    return {
        str(path.relative_to(run_dir)): path.read_bytes()
        for path in run_dir.rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="module")
def objects(tiny_config):
    trainer = building.build_trainer(tiny_config, replicas=1)
    return building.saved_objects(trainer)


def bias(objects):
    return objects["critic"].variables[-1]


@pytest.fixture
def run_dir(objects, tiny_config, tmp_path):
    """A run with a log, saved at steps 3 and 6; a weight holds the step."""
    directory = tmp_path / "run"
    directory.mkdir()
    save(directory, objects, 3, 6)
    run_directory.write_config(tiny_config, directory, replicas=1)
    (directory / "metrics.jsonl").write_text('{"step": 6, "critic_loss": 0.5}\n')
    return directory


def save(directory, objects, *steps):
    keeper = checkpoint.manager(directory, tf.train.Checkpoint(**objects))
    for step in steps:
        bias(objects).assign(tf.fill(bias(objects).shape, float(step)))
        keeper.save(checkpoint_number=step)


@pytest.mark.parametrize("fault", FAULTS)
def test_training_goes_on_from_the_one_before(fault, run_dir, objects, capsys):
    damage(run_dir, 6, fault)
    files = {
        name: content for name, content in contents(run_dir).items() if "ckpt-6" in name
    }
    assert checkpoint.resume(run_dir, objects) == 3
    np.testing.assert_array_equal(bias(objects), np.full(bias(objects).shape, 3.0))
    (line,) = capsys.readouterr().err.splitlines()
    assert "ckpt-6 is damaged" in line
    assert "ckpt-6.damaged.*" in line
    assert "goes on from step 3" in line
    save(run_dir, objects, 6, 9)  # Two are kept: the good one goes when it is old.
    assert checkpoint.saved_steps(run_dir) == [9, 6]
    after = contents(run_dir)
    for name, content in files.items():
        assert after[name.replace("ckpt-6", "ckpt-6.damaged")] == content


@pytest.mark.parametrize("fault", FAULTS)
def test_readers_use_the_one_before_and_change_nothing(fault, run_dir, capsys):
    damage(run_dir, 6, fault)
    before = contents(run_dir)
    run = checkpoint.load(run_dir)
    assert run.step == 3
    np.testing.assert_array_equal(run.critic.variables[-1], np.full((1,), 3.0))
    (line,) = capsys.readouterr().err.splitlines()
    assert "ckpt-6 is damaged" in line
    assert "step 3 is used" in line
    assert contents(run_dir) == before


def test_a_checkpoint_damaged_twice_is_kept_twice(run_dir, objects):
    for name in ("ckpt-6.damaged", "ckpt-6.damaged-2"):
        damage(run_dir, 6, "data cut short")
        content = (run_dir / "checkpoints" / f"ckpt-6.{DATA}").read_bytes()
        assert checkpoint.resume(run_dir, objects) == 3
        assert (run_dir / "checkpoints" / f"{name}.{DATA}").read_bytes() == content
        save(run_dir, objects, 6)
    assert checkpoint.saved_steps(run_dir) == [6, 3]


def test_weights_that_are_not_finite_are_damage(run_dir, objects, capsys):
    bias(objects).assign([np.nan])
    keeper = checkpoint.manager(run_dir, tf.train.Checkpoint(**objects))
    keeper.save(checkpoint_number=9)
    assert checkpoint.load(run_dir).step == 6
    assert "is not finite" in capsys.readouterr().err


@pytest.mark.parametrize(
    "content",
    [None, b"", b"\x00\xffgarbage {", b'model_checkpoint_path: "ckpt-9"\n'],
    ids=["missing", "empty", "garbage", "another"],
)
def test_tensorflow_s_own_list_is_not_needed(content, run_dir, objects, capsys):
    state = run_dir / "checkpoints" / "checkpoint"
    state.unlink() if content is None else state.write_bytes(content)
    assert checkpoint.load(run_dir).step == 6
    assert checkpoint.resume(run_dir, objects) == 6
    assert capsys.readouterr().err == ""
    save(run_dir, objects, 9)
    assert checkpoint.saved_steps(run_dir) == [9, 6]
    assert tf.train.latest_checkpoint(state.parent).endswith("ckpt-9")


def test_what_a_killed_save_has_left_is_removed(run_dir, objects):
    unfinished = run_dir / "checkpoints" / "ckpt-9_temp"
    unfinished.mkdir()
    (unfinished / "part-00000-of-00001.data-00000-of-00001").write_bytes(b"half")
    assert checkpoint.saved_steps(run_dir) == [6, 3]
    save(run_dir, objects, 12)
    assert not unfinished.exists()
    assert checkpoint.saved_steps(run_dir) == [12, 6]


def test_where_all_are_damaged_nothing_is_touched(run_dir, objects):
    damage(run_dir, 6, "one bit of the data")
    damage(run_dir, 3, "index missing")
    before = contents(run_dir)
    with pytest.raises(UserError, match=r"ckpt-6: .*; ckpt-3: its index is missing"):
        checkpoint.resume(run_dir, objects)
    with pytest.raises(UserError, match="bring the files back from a copy"):
        checkpoint.load(run_dir)
    assert contents(run_dir) == before


def test_damage_never_leads_back_to_step_0(objects, tmp_path):
    save(tmp_path, objects, 0, 6)
    damage(tmp_path, 6, "data cut short")
    before = contents(tmp_path)
    with pytest.raises(UserError, match="no checkpoint of a trained step can be read"):
        checkpoint.resume(tmp_path, objects)
    assert contents(tmp_path) == before


def test_a_checkpoint_that_does_not_fit_is_not_damaged(run_dir, objects):
    damage(run_dir, 6, "data cut short")
    before = contents(run_dir)
    more = {**objects, "another": tf.train.Checkpoint(value=tf.Variable(1.0))}
    with pytest.raises(UserError, match="ckpt-3: the checkpoint does not fit"):
        checkpoint.resume(run_dir, more)
    assert contents(run_dir) == before


def test_an_unreadable_file_is_not_damaged(run_dir, objects):
    path = run_dir / "checkpoints" / f"ckpt-6.{DATA}"
    path.unlink()
    path.mkdir()  # Also the administrator cannot read it.
    with pytest.raises(UserError, match=f"ckpt-6.{DATA} cannot be read: Is a dir"):
        checkpoint.resume(run_dir, objects)
    assert path.is_dir()


def remove_checkpoints(run_dir):
    for path in (run_dir / "checkpoints").iterdir():
        path.unlink()


def test_a_run_begins_only_where_nothing_can_be_lost(run_dir, tiny_config):
    assert run_directory.check(tiny_config, run_dir)
    remove_checkpoints(run_dir)
    before = contents(run_dir)
    with pytest.raises(UserError, match=r"has a config\.json but no checkpoint"):
        run_directory.check(tiny_config, run_dir)
    (run_dir / "metrics.jsonl").unlink()
    with pytest.raises(UserError, match=r"has a config\.json but no checkpoint"):
        run_directory.check(tiny_config, run_dir)
    (run_dir / "metrics.jsonl").write_bytes(before["metrics.jsonl"])
    (run_dir / "config.json").unlink()
    with pytest.raises(UserError, match=r"has a metrics\.jsonl but no config\.json"):
        run_directory.check(tiny_config, run_dir)
    (run_dir / "metrics.jsonl").write_bytes(b"")
    assert not run_directory.check(tiny_config, run_dir)
    (run_dir / "checkpoints" / f"ckpt-6.damaged.{DATA}").write_bytes(b"")
    with pytest.raises(UserError, match="has damaged checkpoints but no"):
        run_directory.check(tiny_config, run_dir)


def test_what_a_run_begins_with_may_be_written_again(objects, tiny_config, tmp_path):
    save(tmp_path, objects, 0)  # The disk was full before the configuration.
    damage(tmp_path, 0, "index missing")
    assert not run_directory.check(tiny_config, tmp_path)
