"""Whole runs, through the real entry point: outputs, resuming, and what goes wrong."""

import dataclasses
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from hcm_tf.errors import UserError
from hcm_tf.runs import checkpoint, experiment
from hcm_tf.training.trainer import Trainer

ROOT = pathlib.Path(__file__).parents[2]
FLAGS = {
    "image_size": 32,
    "base_channels": 2,
    "attributes": 12,
    "latent_size": 6,
    "attribute_keep": 0.25,
    "stddev_group_size": 4,
    "batch_size": 8,
    "held_out": 8,
    "ema_decay": 0.9,
    "log_every": 2,
    "image_every": 4,
    "checkpoint_every": 3,
    "horizontal_flip": True,
    "steps": 7,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Forty pictures of a bright square on a dark ground."""
    path = tmp_path_factory.mktemp("pictures")
    random = np.random.default_rng(0)
    for number in range(40):
        pixels = np.full((40, 40, 3), 30, "uint8")
        top, left = random.integers(0, 24, 2)
        pixels[top : top + 16, left : left + 16] = random.integers(128, 255, 3)
        Image.fromarray(pixels).save(path / f"{number}.png")
    return path


def arguments(folder, workdir, **values):
    flags = {**FLAGS, "dataset": f"folder:{folder}", "data_dir": folder.parent}
    flags |= {"workdir": workdir, **values}
    return [f"--{name}={value}" for name, value in flags.items()]


def command(folder, workdir, **values):
    return [
        sys.executable,
        str(ROOT / "train_main.py"),
        *arguments(folder, workdir, **values),
    ]


# Bit for bit the same is promised for one thread: more may split sums otherwise.
ENVIRONMENT = {
    **os.environ,
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "TF_NUM_INTRAOP_THREADS": "1",
}


def train(folder, workdir, **values):
    return subprocess.run(
        command(folder, workdir, **values),
        capture_output=True,
        text=True,
        timeout=600,
        env=ENVIRONMENT,
    )


def weights(workdir):
    reader = tf.train.load_checkpoint(checkpoint.latest(workdir)[0])
    names = reader.get_variable_to_shape_map()
    return {
        name: reader.get_tensor(name)
        for name in names
        if "save_counter" not in name and "OBJECT_GRAPH" not in name
    }


def assert_same_weights(one, other):
    one, other = weights(one), weights(other)
    assert one.keys() == other.keys()
    assert len(one) > 50
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)


def lines(workdir):
    text = (workdir / "metrics.jsonl").read_text()
    values = [json.loads(line) for line in text.splitlines()]
    for value in values:
        value.pop("images_per_second", None)
    return values


@pytest.fixture(scope="module")
def finished(folder, tmp_path_factory):
    """A run of seven steps that nothing disturbed."""
    workdir = tmp_path_factory.mktemp("finished") / "run"
    done = train(folder, workdir)
    assert done.returncode == 0, done.stderr
    return workdir, done


def test_a_run_writes_what_it_says(finished):
    workdir, done = finished
    assert checkpoint.latest(workdir)[1] == 7
    for name in ("samples", "reconstructions"):
        for step in (4, 7):
            path = workdir / "images" / f"{name}-{step:06d}.png"
            with Image.open(path) as picture:
                assert picture.width == 8 * 32 * 2
            assert (str(path) in done.stdout) == (step == 7)
    losses = [line for line in lines(workdir) if "critic_loss" in line]
    assert [line["step"] for line in losses] == [2, 4, 6]
    measured = [line for line in lines(workdir) if "held_out_error" in line]
    assert [line["step"] for line in measured] == [4, 7]
    assert measured[-1]["active_attributes"] <= 0.25
    assert 0 <= measured[-1]["never_active_8x8"] <= 1
    saved = json.loads((workdir / "config.json").read_text())
    assert saved["model"]["base_channels"] == 2
    assert saved["provenance"]["replicas"] == 1
    assert saved["provenance"]["packages"]["keras"].startswith("3.")
    assert "Done after step 7 of 7" in done.stdout
    assert "7/7 steps" in done.stderr
    events = list((workdir / "tensorboard").glob("events*"))
    tags = {
        value.tag
        for path in events
        for event in tf.compat.v1.train.summary_iterator(str(path))
        for value in event.summary.value
    }
    assert {"training/critic_loss", "training/images_per_second"} <= tags
    assert {"evaluation/held_out_error", "evaluation/never_active_attributes"} <= tags
    assert {"samples", "reconstructions"} <= tags
    assert not list(workdir.rglob("*.partial"))


def test_trained_networks_are_read_back(finished):
    workdir, _ = finished
    run = checkpoint.load(workdir)
    assert run.step == 7
    assert run.generator(np.zeros((2, 6), "float32")).shape == (2, 32, 32, 3)


def test_two_replicas_write_the_same_weights(finished, folder, tmp_path):
    done = train(folder, tmp_path / "run", replicas=2)
    assert done.returncode == 0, done.stderr
    one, two = weights(finished[0]), weights(tmp_path / "run")
    for name in one:
        if "generator/" in name or "encoder/" in name:
            np.testing.assert_allclose(two[name], one[name], atol=2e-5, err_msg=name)


def test_stopping_at_a_step_and_going_on_changes_nothing(finished, folder, tmp_path):
    workdir = tmp_path / "run"
    first = train(folder, workdir, steps=4)
    assert "Done after step 4 of 4" in first.stdout, first.stderr
    second = train(folder, workdir)
    assert "resumes after step 4" in second.stdout, second.stderr
    assert_same_weights(workdir, finished[0])
    third = train(folder, workdir)
    assert "Done after step 7 of 7" in third.stdout
    assert_same_weights(workdir, finished[0])


def test_a_paused_run_of_the_recipe_goes_on_to_the_same_weights(folder, tmp_path):
    recipe = {
        "objective": "relativistic",
        "latents": "posterior",
        "r1_weight": 0.3,
        "r2_weight": 0.3,
        "penalty_interval": 2,
        "revival_weight": 0.1,
        "leak_steps": 5,
        "cooldown_steps": 4,
        "steps": 5,
    }
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert train(folder, whole, **recipe).returncode == 0
    assert "after step 1 of 5" in train(folder, parts, **recipe, seconds=0.001).stdout
    second = train(folder, parts, **recipe)
    assert "resumes after step 1" in second.stdout, second.stderr
    assert_same_weights(parts, whole)


def test_seconds_bound_a_session(folder, tmp_path):
    done = train(folder, tmp_path / "run", seconds=0.001)
    assert "Paused (--seconds=0.001 are over) after step 1 of 7" in done.stdout
    assert checkpoint.latest(tmp_path / "run")[1] == 1


def wait_for_step(process, workdir, step):
    until = time.monotonic() + 300
    while time.monotonic() < until and process.poll() is None:
        path = workdir / "metrics.jsonl"
        if path.exists() and f'"step": {step}' in path.read_text():
            return
        time.sleep(0.02)
    raise AssertionError(f"step {step} was not reached")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_stopped_run_goes_on_to_the_same_weights(
    number, folder, tmp_path, tmp_path_factory
):
    steps = 40
    reference = tmp_path_factory.getbasetemp() / "forty"
    if not reference.exists():
        assert train(folder, reference, steps=steps).returncode == 0
    workdir = tmp_path / "run"
    process = subprocess.Popen(
        command(folder, workdir, steps=steps),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=ENVIRONMENT,
    )
    wait_for_step(process, workdir, 8)
    process.send_signal(number)
    output, _ = process.communicate(timeout=300)
    saved = checkpoint.latest(workdir)[1]
    assert 6 <= saved < steps
    if number == signal.SIGKILL:
        assert process.returncode == -signal.SIGKILL
    else:
        assert process.returncode == 128 + number
        assert f"Paused (stopped by {signal.Signals(number).name})" in output
    with (workdir / "metrics.jsonl").open("a") as file:
        file.write('{"step": 39, "critic')  # A torn line, as a power cut leaves it.
    assert train(folder, workdir, steps=steps).returncode == 0
    assert_same_weights(workdir, reference)
    assert lines(workdir)[-1] == lines(reference)[-1]
    steps_logged = [line["step"] for line in lines(workdir) if "critic_loss" in line]
    assert steps_logged == list(range(2, steps + 1, 2))


def test_another_configuration_is_refused(finished, folder):
    done = train(folder, finished[0], attributes=8, seed=3)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].endswith(
        "holds a run of another configuration (attributes: 12 -> 8; seed: 0 -> 3). "
        "Choose another --workdir, or give the same values."
    )


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"batch_size": 64}, "batch of 64 images does not fit 32 training images"),
        ({"replicas": 2, "batch_size": 10}, "a multiple of stddev_group_size=4"),
        ({"dataset": "folder:/nowhere/at/all"}, "/nowhere/at/all does not exist"),
    ],
)
def test_what_the_data_cannot_give_is_one_line(values, message, folder, tmp_path):
    done = train(folder, tmp_path / "run", **values)
    assert done.returncode == 1
    line = done.stderr.splitlines()[-1]
    assert line.startswith("train_main: ")
    assert message in line
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run" / "config.json").exists()


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
        monkeypatch.setattr(experiment, "Trainer", kind)
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


def test_a_run_goes_on_with_a_lower_learning_rate(folder, tmp_path):
    workdir = tmp_path / "run"
    train(folder, workdir, learning_rate=1e-2)
    more = train(folder, workdir, learning_rate=1e-6, steps=12)
    assert more.returncode == 0, more.stderr
    assert "resumes after step 7" in more.stdout
    values = weights(workdir)
    rates = [values[name] for name in values if "learning_rate" in name]
    np.testing.assert_allclose(rates, [1e-6, 1e-6], rtol=1e-6)
    assert {"step": 7, "learning_rate": 1e-6} in lines(workdir)


def test_a_second_run_is_refused_until_the_first_is_killed(folder, tmp_path):
    workdir = tmp_path / "run"
    first = subprocess.Popen(
        command(folder, workdir, steps=100_000),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for_step(first, workdir, 8)
        second = train(folder, workdir, steps=100_000)
        assert second.returncode == 1
        assert second.stdout == ""
        line = second.stderr.splitlines()[-1]
        assert line.startswith(f"train_main: {workdir} is in use: process {first.pid}")
        assert first.poll() is None
    finally:
        first.kill()
        first.wait()
    third = train(folder, workdir, steps=100_000, seconds=0.001)
    assert third.returncode == 0, third.stderr
    steps = [row["step"] for row in lines(workdir) if "critic_loss" in row]
    assert len(steps) >= 3
    assert steps == sorted(set(steps))


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


def test_images_that_have_changed_are_named(folder, tmp_path):
    pictures, workdir = tmp_path / "pictures", tmp_path / "run"
    shutil.copytree(folder, pictures)
    assert train(pictures, workdir, steps=1).returncode == 0
    with Image.open(pictures / "20.png") as picture:
        picture.rotate(90).save(pictures / "20.png")
    done = train(pictures, workdir, steps=2)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"train_main: the images are not those that {workdir} was")
    assert "(32 then, 32 now, or other pixels)" in line
    assert checkpoint.saved_steps(workdir) == [1, 0]
    again = tmp_path / "again"
    assert train(pictures, again, steps=1, init_from=workdir).returncode == 0


def test_checkpoints_by_time(folder, tmp_path):
    done = train(folder, tmp_path / "run", checkpoint_minutes=1e-6, checkpoint_every=99)
    assert done.returncode == 0, done.stderr
    assert checkpoint.saved_steps(tmp_path / "run") == [7, 6]


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


def test_checkpoints_without_configuration_are_refused(finished, tmp_path, tiny_config):
    (tmp_path / "checkpoints").symlink_to(finished[0] / "checkpoints")
    with pytest.raises(UserError, match=r"has checkpoints but no config\.json"):
        experiment.run(tiny_config, tmp_path)


def test_more_replicas_than_devices_are_refused(tiny_config, tmp_path):
    config = dataclasses.replace(
        tiny_config,
        train=dataclasses.replace(tiny_config.train, replicas=4, batch_size=4),
    )
    with pytest.raises(UserError, match="4 asked for, but only 2 CPU"):
        experiment.run(config, tmp_path)
