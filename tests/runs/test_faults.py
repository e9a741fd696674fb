"""What goes wrong around a run, and inside it: one line, and nothing lost."""

import dataclasses
import os
import shutil
import subprocess

import numpy as np
import pytest
import tensorflow as tf
from small_run import (
    assert_same_weights,
    lines,
    train,
    weights,
)

from hcm_tf.errors import UserError
from hcm_tf.runs import building, checkpoint, experiment
from hcm_tf.training.trainer import Trainer


def test_a_workdir_that_cannot_be_written(folder, tmp_path):
    (tmp_path / "file").write_text("")
    done = train(folder, tmp_path / "file" / "run")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(f"train_main: {tmp_path}/file/run: ")
    assert "Traceback" not in done.stderr


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 8 MB."""
    path = tmp_path / "disk"
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(path)]
    if os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("needs the right to mount a small file system")
    yield path
    subprocess.run(["umount", str(path)], check=True)


def test_a_full_disk_is_one_line_and_loses_nothing(folder, small_disk):
    workdir = small_disk / "run"
    assert train(folder, workdir, steps=3).returncode == 0
    before = weights(workdir)
    free = os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_frsize
    filler = small_disk / "filler"
    filler.write_bytes(bytes(free - 20_000))
    done = train(folder, workdir)
    assert done.returncode == 1
    line = done.stderr.splitlines()[-1]
    assert line.startswith("train_main: ")
    assert "No space left on device" in line
    assert "start the same command again" in line
    assert "Traceback" not in done.stderr
    assert checkpoint.latest(workdir)[1] == 3
    for name, value in weights(workdir).items():
        np.testing.assert_array_equal(value, before[name])
    filler.unlink()
    assert "after step 7 of 7" in train(folder, workdir).stdout


def test_damage_costs_the_steps_since_the_checkpoint_before(finished, folder, tmp_path):
    workdir = tmp_path / "run"
    shutil.copytree(finished[0], workdir)
    assert checkpoint.saved_steps(workdir) == [7, 6]
    newest, older = sorted((workdir / "checkpoints").glob("*.data-*"), reverse=True)
    newest.write_bytes(newest.read_bytes()[:1000])
    done = train(folder, workdir)
    assert done.returncode == 0, done.stderr
    assert "ckpt-7 is damaged" in done.stderr
    assert "resumes after step 6" in done.stdout
    assert_same_weights(workdir, finished[0])
    assert lines(workdir) == lines(finished[0])

    older.write_bytes(b"")
    newest.write_bytes(newest.read_bytes()[:1000])
    log = (workdir / "metrics.jsonl").read_bytes()
    for _ in range(2):
        again = train(folder, workdir)
        assert again.returncode == 1
        line = again.stderr.splitlines()[-1]
        assert line.startswith("train_main: ")
        assert "begin anew with another --workdir" in line
        assert "Traceback" not in again.stderr
        assert (workdir / "metrics.jsonl").read_bytes() == log
        assert checkpoint.saved_steps(workdir) == [7, 6]


@pytest.mark.long
def test_divergence_ends_a_run_and_nothing_of_it_is_kept(folder, tmp_path):
    workdir = tmp_path / "run"
    # A weight under which the loss exceeds float32: it diverges for sure, at once.
    done = train(folder, workdir, reconstruction_weight=1e37, learning_rate=1.0)
    assert done.returncode == 1, done.stdout
    *told, line = done.stderr.splitlines()
    what = "training has diverged: at step 5, the gradients of 5 steps in a row are not"
    retreats = [text for text in told if text.startswith(what)]
    assert [text.split()[-1] for text in retreats] == ["0.5.", "0.25.", "0.125."]
    assert line.startswith(f"train_main: {what}")
    assert "checkpoint is that of step 0" in line
    assert "below 0.125 to go on" in line
    assert "Traceback" not in done.stderr
    assert checkpoint.saved_steps(workdir) == [0]
    assert checkpoint.damage(f"{workdir}/checkpoints/ckpt-0") is None
    left_out = [{"step": step, "left_out": 1} for step in range(1, 6)]
    rates = [{"step": 0, "learning_rate": rate} for rate in (0.5, 0.25, 0.125)]
    logged = [line for line in lines(workdir) if "held_out_error" not in line]
    assert logged == [*rates, *left_out]


class Poisoned(Trainer):
    """Sees images that are not numbers in every step from one to another."""

    first, last, rate = 5, 5, None

    def train_step(self, batch):
        step = self.step + 1
        wrong = (step >= self.first) & (step <= self.last)
        if self.rate is not None:
            wrong &= self.generator_optimizer.learning_rate.value == self.rate
        image = tf.where(wrong, np.nan, batch["image"])
        return super().train_step({"image": image})


@pytest.fixture
def poisoned(folder, tiny_config, monkeypatch):
    """Function that runs in this process, with images that are not numbers."""

    def run(workdir, first=0, last=0, rate=None, **train_values):
        kind = type("Kind", (Poisoned,), {"first": first, "last": last, "rate": rate})
        monkeypatch.setattr(building, "Trainer", kind)
        data = dataclasses.replace(
            tiny_config.data,
            dataset=f"folder:{folder}",
            data_dir=str(folder.parent),
            held_out=8,
        )
        values = {"log_every": 1, "image_every": 50, "checkpoint_every": 3}
        train_config = dataclasses.replace(
            tiny_config.train, **values | train_values, learning_rate=rate or 1e-3
        )
        config = dataclasses.replace(tiny_config, data=data, train=train_config)
        return experiment.run(config, workdir)

    return run


def test_one_batch_that_is_not_finite_is_left_out(poisoned, tmp_path, capsys):
    poisoned(tmp_path / "run", first=5, last=6, steps=8)
    logged = lines(tmp_path / "run")
    left_out = [line["step"] for line in logged if "left_out" in line]
    assert left_out == [5, 6]
    assert [line["step"] for line in logged if "critic_loss" in line] == [
        *(1, 2, 3, 4, 7, 8)
    ]
    assert checkpoint.damage(f"{tmp_path}/run/checkpoints/ckpt-8") is None
    # Tqdm writes around its bar.
    assert (
        "Step 5 is left out: its gradients are not finite." in capsys.readouterr().out
    )


def test_after_five_it_goes_back_with_half_the_rate(poisoned, tmp_path, capsys):
    poisoned(tmp_path / "run", first=5, last=100, rate=1e-2, steps=12)
    told = capsys.readouterr().err
    assert "at step 9, the gradients of 5 steps in a row are not finite" in told
    assert "is that of step 3" in told
    assert "This is done now, with 0.005." in told
    poisoned(tmp_path / "twin", rate=1e-2, steps=3)
    poisoned(tmp_path / "twin", rate=5e-3, steps=12)
    assert_same_weights(tmp_path / "run", tmp_path / "twin")
    logged = lines(tmp_path / "run")
    assert {"step": 3, "learning_rate": 5e-3} in logged
    assert [line["step"] for line in logged if "critic_loss" in line] == [*range(1, 13)]


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"dataset": "folder:/" + "long" * 100}, "File name too long"),
        ({"dataset": "avatars", "data_dir": "/dev/null"}, "Not a directory"),
    ],
)
def test_errors_of_the_data_are_not_those_of_the_workdir(
    values, reason, tiny_config, tmp_path
):
    config = dataclasses.replace(
        tiny_config, data=dataclasses.replace(tiny_config.data, **values)
    )
    with pytest.raises(UserError) as error:
        experiment.run(config, tmp_path / "run")
    assert reason in str(error.value)
    assert str(tmp_path) not in str(error.value)
    assert "\n" not in str(error.value)


@pytest.fixture
def failing(monkeypatch, folder, tiny_config):
    """A run whose training fails as the function given fails."""

    def run(fail, workdir):
        monkeypatch.setattr(Trainer, "fit", lambda *_, **__: fail())
        data = dataclasses.replace(
            tiny_config.data,
            dataset=f"folder:{folder}",
            data_dir=str(folder.parent),
            held_out=8,
        )
        return experiment.run(dataclasses.replace(tiny_config, data=data), workdir)

    return run


def test_running_out_of_memory_is_not_the_workdir_s_fault(failing, tmp_path):
    def allocate():
        # From a variable, so that nothing is known before it is computed.
        size = tf.Variable(2**20)
        return tf.zeros(tf.stack([size, size, 2**10]))

    with pytest.raises(UserError) as error:
        failing(allocate, tmp_path / "run")
    text = str(error.value)
    assert text.startswith("out of memory: OOM when allocating tensor")
    assert "--recompute" in text
    assert "--batch_size" in text
    assert "\n" not in text


@pytest.mark.parametrize("kind", [ValueError, FileNotFoundError])
def test_a_mistake_of_ours_is_not_blamed_on_anything(kind, failing, tmp_path):
    def fail():
        raise kind("a mistake of ours")

    with pytest.raises(kind, match="a mistake of ours"):
        failing(fail, tmp_path / "run")
