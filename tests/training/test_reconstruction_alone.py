"""The objective without a critic: an autoencoder, whose latents can be sampled from."""

import dataclasses

import numpy as np
import pytest
import replicas
import tensorflow as tf

from hcm_tf.config import ModelConfig, TrainConfig
from hcm_tf.runs import building
from hcm_tf.training.drawing import Drawer

TRAIN = {
    "objective": "reconstruction",
    "batch_size": 8,
    "learning_rate": 3e-3,
    "latents": "posterior",
    "ema_decay": 0.9,
}


@pytest.fixture
def config(tiny_config):
    return dataclasses.replace(tiny_config, train=TrainConfig(**TRAIN))


def pictures(config, count=8):
    model, random = config.model, np.random.default_rng(0)
    shape = (count, model.image_size, model.image_size, model.image_channels)
    colours = random.uniform(-1, 1, (count, 1, 1, model.image_channels))
    return np.broadcast_to(colours, shape).astype("float32")


def test_it_learns_and_no_critic_does(config):
    trainer = building.build_trainer(config, replicas=1)
    batch = {"image": tf.constant(pictures(config))}
    before = [weight.copy() for weight in trainer.critic.get_weights()]
    step = tf.function(trainer.train_step, autograph=False)
    errors = []
    for _ in range(30):
        metrics = step(batch)
        errors.append(float(metrics["reconstruction_error"]))
        assert float(metrics["critic_loss"]) == 0
        values = np.prod(batch["image"].shape[1:])
        assert float(metrics["generator_loss"]) == pytest.approx(
            0.1 * errors[-1] * values, rel=1e-5
        )
    assert errors[-1] < 0.95 * errors[0]
    assert int(trainer.step) == 30
    assert int(trainer.critic_optimizer.iterations) == 0
    for weight, earlier in zip(trainer.critic.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, earlier)


def test_no_fakes_are_drawn(config, monkeypatch):
    trainer = building.build_trainer(config, replicas=1)
    drawn, plain = [], Drawer.images

    def images(self, latents, step, update):
        drawn.append(update)
        return plain(self, latents, step, update)

    monkeypatch.setattr(Drawer, "images", images)
    trainer.train_step({"image": tf.constant(pictures(config))})
    assert drawn == [trainer.drawer.critic_steps]


def test_the_prior_follows(config):
    trainer = building.build_trainer(config, replicas=1)
    batch = pictures(config)
    mean = trainer.encoder.read(batch)[0].numpy().mean(axis=0)
    trainer.train_step({"image": tf.constant(batch)})
    np.testing.assert_allclose(trainer.prior.get_weights()[0], 0.01 * mean, atol=1e-6)


def test_replicas_compute_what_one_does(config):
    batch, found = pictures(config), []
    for count in (1, 2):
        trainer, step = replicas.stepping(config, count)
        metrics = [step({"image": batch}) for _ in range(3)][-1]
        found.append((replicas.weights_of(trainer), metrics))
    (one, of_one), (two, of_two) = found
    for name, value in of_one.items():
        assert of_two[name] == pytest.approx(value, rel=1e-4, abs=1e-6)
    for a, b in zip(one, two, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)


def test_classes_cannot_be_discovered_without_a_critic(config):
    model = dataclasses.asdict(config.model) | {"discovered_classes": 3}
    with pytest.raises(ValueError, match=r"discovered_classes.*needs a critic"):
        dataclasses.replace(config, model=ModelConfig(**model))
