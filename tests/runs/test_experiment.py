"""Whole runs, through the real entry point: outputs, and what is refused."""

import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from small_run import (
    assert_near,
    lines,
    train,
)

from hcm_tf.errors import UserError
from hcm_tf.runs import checkpoint, devices, experiment


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


@pytest.mark.long
def test_one_two_and_four_replicas_write_the_same_weights(folder, tmp_path):
    """Of everything that is saved, after steps on the same batches of 16."""
    for replicas in (1, 2, 4):
        workdir = tmp_path / str(replicas)
        done = train(folder, workdir, replicas=replicas, batch_size=16, steps=3)
        assert done.returncode == 0, done.stderr
        assert f"CPU:{replicas - 1}\n" in done.stdout
    for replicas in (2, 4):
        # A gradient of the critic's last kernel is 6e-8 in the first step, near Adam's
        # epsilon: by its rounding the weight moves 1.3e-5 more or less.
        assert_near(tmp_path / "1", tmp_path / str(replicas), atol=2e-5)


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
        ({"replicas": 2, "batch_size": 10}, "gives 5. The next that does is 16."),
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


def test_checkpoints_without_configuration_are_refused(finished, tmp_path, tiny_config):
    (tmp_path / "checkpoints").symlink_to(finished[0] / "checkpoints")
    with pytest.raises(UserError, match=r"has checkpoints but no config\.json"):
        experiment.run(tiny_config, tmp_path)


@pytest.mark.parametrize(("batch", "said"), [(4, True), (8, False)])
def test_shares_that_are_less_than_a_group_are_said(tiny_config, capsys, batch, said):
    train = dataclasses.replace(tiny_config.train, replicas=2, batch_size=batch)
    devices.make_strategy(dataclasses.replace(tiny_config, train=train))
    line = "Each of 2 replicas has 2 image(s) of a batch and compares those, not groups"
    assert (line in capsys.readouterr().err) == said


def test_more_replicas_than_devices_are_refused(tiny_config, tmp_path):
    config = dataclasses.replace(
        tiny_config,
        train=dataclasses.replace(tiny_config.train, replicas=4, batch_size=4),
    )
    with pytest.raises(UserError, match="4 asked for, but only 2 CPU"):
        experiment.run(config, tmp_path)
