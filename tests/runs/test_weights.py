"""A published run: networks and prior in half precision, in one small file."""

import dataclasses
import shutil

import numpy as np
import pytest

from hcm_tf.errors import UserError
from hcm_tf.prior import Gaussian
from hcm_tf.runs import checkpoint, run_directory, weights

SIZE = 6


@pytest.fixture
def published(tiny_run, tmp_path):
    """The tiny run without its checkpoints, with a fit of the latents."""
    run = checkpoint.load(tiny_run)
    networks = {name: getattr(run, name) for name in ("generator", "encoder", "critic")}
    factor = np.tril(np.random.default_rng(0).normal(size=(SIZE, SIZE)))
    prior = Gaussian(np.arange(SIZE) / SIZE, factor.astype("float32"))
    directory = tmp_path / "published"
    directory.mkdir()
    shutil.copy(tiny_run / "config.json", directory)
    weights.write(directory / weights.FILE, networks, prior, run.step)
    return directory, run, prior


def test_networks_come_back_in_half_precision(published):
    directory, before, prior = published
    after = checkpoint.load(directory)
    assert after.step == before.step
    for name in ("generator", "encoder", "critic"):
        for new, old in zip(
            getattr(after, name).get_weights(),
            getattr(before, name).get_weights(),
            strict=True,
        ):
            np.testing.assert_array_equal(new, old.astype("float16"))
            assert new.dtype == np.float32
    np.testing.assert_array_equal(after.prior.factor, prior.factor)
    np.testing.assert_array_equal(after.prior.mean, prior.mean.astype("float32"))
    assert after.sample(2).shape == (2, 32, 32, 3)


def test_it_is_not_trained_on(published, tiny_config):
    directory, *_ = published
    with pytest.raises(UserError, match=f"--init_from={directory}"):
        run_directory.check(tiny_config, directory)


def test_checkpoints_come_first(published, tiny_run):
    directory, *_ = published
    shutil.copytree(tiny_run / "checkpoints", directory / "checkpoints")
    assert checkpoint.load(directory).prior.noise == "uniform"


@pytest.mark.parametrize("damage", ["cut", "other", "text"])
def test_damage_is_one_line(published, damage, tiny_config):
    directory, *_ = published
    path = directory / weights.FILE
    content = path.read_bytes()
    if damage == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "text":
        path.write_text("no archive")
    else:
        model = dataclasses.replace(tiny_config.model, attributes=13)
        config = dataclasses.replace(tiny_config, model=model)
        run_directory.write_config(config, directory, replicas=1)
    with pytest.raises(UserError, match=r"weights\.npz cannot be used"):
        checkpoint.load(directory)


def test_one_wrong_byte_is_noticed(published):
    directory, *_ = published
    path = directory / weights.FILE
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(bytes(content))
    with pytest.raises(UserError, match="cannot be used"):
        checkpoint.load(directory)


def test_what_float16_cannot_hold_is_refused(tiny_run, tmp_path):
    run = checkpoint.load(tiny_run)
    bias = run.critic.weights[-1]
    bias.assign(np.full(bias.shape, 1e5))
    with pytest.raises(UserError, match="exceeds float16"):
        weights.write(tmp_path / "w.npz", {"critic": run.critic}, run.prior, 1)
    assert not (tmp_path / "w.npz").exists()
