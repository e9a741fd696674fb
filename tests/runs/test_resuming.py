"""Whole runs, stopped and gone on with: the same steps, the same weights."""

import shutil
import signal
import subprocess
import time

import numpy as np
import pytest
from PIL import Image
from small_run import (
    ENVIRONMENT,
    assert_same_weights,
    command,
    lines,
    train,
    weights,
)

from hcm_tf.runs import checkpoint


@pytest.mark.long
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


@pytest.mark.parametrize(
    "number",
    [
        signal.SIGINT,
        pytest.param(signal.SIGTERM, marks=pytest.mark.long),
        pytest.param(signal.SIGKILL, marks=pytest.mark.long),
    ],
)
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
