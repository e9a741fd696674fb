"""Two logical CPUs for every test, made before anything touches a device."""

import dataclasses

import pytest
from mixes import IDS, MIXES

from hcm_tf.startup import load_tensorflow

load_tensorflow()  # As every command does, so that the tests use its kernels.

import tensorflow as tf  # noqa: E402

from hcm_tf.config import ExperimentConfig, Label, ModelConfig, TrainConfig  # noqa: E402
from hcm_tf.runs import building, checkpoint, run_directory  # noqa: E402

tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0],
    [tf.config.LogicalDeviceConfiguration()] * 2,
)

# Small enough for most tests: two feature maps, a dozen attributes, 32 pixels.
TINY = ExperimentConfig(
    model=ModelConfig(
        image_size=32,
        base_channels=2,
        attributes=12,
        latent_size=6,
        attribute_keep=0.25,
        stddev_group_size=4,
    ),
    train=TrainConfig(batch_size=4, ema_decay=0.9),
)

# Two labels, of which a class bears the same name, and one a long one.
LABELS = (
    Label("shape", ("round", "square", "none"), (0.5, 0.3, 0.2)),
    Label(
        "hat_color",
        ("none", "red=hot", "a brown like that of old bricks in the rain"),
        (0.5, 0.4, 0.1),
    ),
)


@pytest.fixture(scope="session")
def tiny_config() -> ExperimentConfig:
    return TINY


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory):
    """A run directory with one checkpoint, of networks that were never trained."""
    return write_run(tmp_path_factory.mktemp("run"), TINY)


@pytest.fixture(scope="session")
def labelled_run(tmp_path_factory):
    """Such a run of networks that draw by LABELS, of Gaussian latents."""
    config = dataclasses.replace(
        TINY,
        model=dataclasses.replace(TINY.model, labels=LABELS),
        train=dataclasses.replace(TINY.train, latents="posterior"),
    )
    return write_run(tmp_path_factory.mktemp("run"), config)


@pytest.fixture(scope="session")
def make_run(tmp_path_factory):
    """Function that writes such a run with some sections of its configuration new."""

    def make(**sections):
        config = dataclasses.replace(TINY, **sections)
        return write_run(tmp_path_factory.mktemp("run"), config)

    return make


@pytest.fixture(params=MIXES, ids=IDS)
def mixed_run(request, make_run):
    """Such a run for each mix of rules of selection."""
    return make_run(model=dataclasses.replace(TINY.model, **request.param))


def write_run(directory, config: ExperimentConfig):
    """Writes what a run of no steps would leave: configuration and checkpoint."""
    trainer = building.build_trainer(config, replicas=1)
    run_directory.write_config(config, directory, replicas=1)
    saved = tf.train.Checkpoint(**building.saved_objects(trainer))
    checkpoint.manager(directory, saved).save(checkpoint_number=0)
    return directory
