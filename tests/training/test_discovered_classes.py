"""Discovered classes: drawn for fakes, read by critic and encoder, and learnt."""

import dataclasses
import math

import numpy as np
import pytest
import tensorflow as tf
from replicas import stepping, weights_of

from hcm_tf import labels, losses
from hcm_tf.config import DataConfig, Label, ModelConfig
from hcm_tf.data import ImageSet
from hcm_tf.errors import UserError
from hcm_tf.networks import build_critic, build_encoder

COUNT = 3
GIVEN = Label("hat", ("none", "red"), (0.5, 0.5))


def images(**kinds):
    return ImageSet(
        images=np.zeros((40, 32, 32, 3), np.uint8),
        labels={name: np.arange(40) % 2 for name in kinds},
        label_names=kinds,
        name="drawn",
    )


def with_classes(model, *given):
    """The model with discovered classes behind given ones."""
    model = dataclasses.replace(model, discovered_classes=COUNT)
    found = labels.all_of(model, DataConfig(), images())
    return dataclasses.replace(model, labels=(*given, *found))


@pytest.fixture(params=[(), (GIVEN,)], ids=["alone", "behind given"])
def given(request):
    return request.param


@pytest.fixture
def model(tiny_config, given):
    return with_classes(tiny_config.model, *given)


def trainer_of(tiny_config, model, replicas=1, **train):
    train = dataclasses.replace(tiny_config.train, batch_size=8, **train)
    config = dataclasses.replace(tiny_config, model=model, train=train)
    trainer, step = stepping(config, replicas)
    pixels = np.random.default_rng(0).uniform(-1, 1, (8, 32, 32, 3))
    values = {"image": pixels.astype("float32")}
    if model.given:
        values["label"] = np.eye(2, dtype="float32")[np.arange(8) % 2]
    return trainer, lambda: step(values)


def test_they_stand_behind_the_labels_of_the_data():
    model = ModelConfig(discovered_classes=4)
    config = DataConfig(conditional=True, label=("hat",))
    hat, discovered = labels.all_of(model, config, images(hat=["none", "red"]))
    assert hat == GIVEN
    assert discovered == Label("discovered", ("0", "1", "2", "3"), (0.25,) * 4)
    assert labels.all_of(model, DataConfig(), images()) == (discovered,)
    assert labels.all_of(ModelConfig(), DataConfig(), images()) == ()
    both = dataclasses.replace(model, labels=(hat, discovered))
    assert both.given == (hat,)
    assert dataclasses.replace(both, discovered_classes=0).given == both.labels


def test_a_label_of_that_name_is_refused():
    config = DataConfig(conditional=True)
    with pytest.raises(UserError, match="discovered classes have this name"):
        labels.all_of(
            ModelConfig(discovered_classes=2), config, images(discovered=["a", "b"])
        )
    with pytest.raises(ValueError, match="must be 0, or at least 2"):
        ModelConfig(discovered_classes=1)


def test_the_critic_reads_them_by_its_trunk(model):
    critic = build_critic(model)
    random = np.random.default_rng(0)
    pictures = random.uniform(-1, 1, (4, 32, 32, 3)).astype("float32")
    rows = np.eye(2, dtype="float32")[[0, 1, 1, 0]] if model.given else None
    scores, read = critic.judge(pictures, rows)
    np.testing.assert_array_equal(scores, critic(pictures, rows))
    np.testing.assert_array_equal(read, critic.read(pictures))
    seen = critic.trunk(pictures).numpy().reshape(4, -1)
    layer = critic.class_fc
    expected = seen @ layer.kernel.numpy() / math.sqrt(seen.shape[1])
    np.testing.assert_allclose(read, expected + layer.bias.numpy(), atol=1e-5)
    assert critic.classes == tuple(len(label.classes) for label in model.given)
    assert critic.get_config()["discovered"] == COUNT


def test_each_class_is_drawn_as_often(tiny_config, model):
    trainer, _step = trainer_of(tiny_config, model)
    drawn = []
    for number in range(300):
        trainer.generator_optimizer.iterations.assign(number)
        drawn.append(trainer.drawer.classes(trainer.step, 0, 8))
    drawn = np.concatenate(drawn)
    np.testing.assert_array_equal(drawn.sum(axis=1), 1)
    # Four standard deviations of a share of 2400.
    np.testing.assert_allclose(drawn.mean(axis=0), 1 / 3, atol=0.04)


def test_information_is_what_images_tell_of_their_class(tiny_config, model):
    """From the critic's own reading of the fakes, before the step."""
    trainer, step = trainer_of(tiny_config, model)
    latents = trainer.drawer.latents(trainer.step, 0, 8)
    classes = trainer.drawer.classes(trainer.step, 0, 8)
    given = np.eye(2, dtype="float32")[np.arange(8) % 2][trainer.noise.batch_order]
    parts = [latents, given, classes] if model.given else [latents, classes]
    fakes = trainer.generator(tf.concat(parts, axis=1))
    missed = losses.label_loss(classes, [trainer.critic.read(fakes)])
    expected = math.log(COUNT) - float(tf.reduce_mean(missed))
    assert step()["information"] == pytest.approx(expected, abs=1e-5)


def test_everything_learns_from_them(tiny_config, model):
    trainer, step = trainer_of(tiny_config, model)
    own = {
        "critic": trainer.critic.class_fc.kernel,
        "encoder": trainer.encoder.label_fc.kernel,
        "generator": trainer.generator.label_fc.kernel,
        "gates": trainer.generator.label_preferences.kernel,
        "offsets": trainer.encoder.offsets,
    }
    before = {name: weight.numpy() for name, weight in own.items()}
    step()
    for name, weight in own.items():
        moved = np.abs(weight.numpy() - before[name])[-COUNT:]
        if name in ("critic", "encoder"):
            moved = np.abs(weight.numpy() - before[name])[:, -COUNT:]
        assert moved.max() > 1e-5, name


def test_without_its_weight_nothing_reads_them(tiny_config, model):
    trainer, step = trainer_of(tiny_config, model, information_weight=0.0)
    before = trainer.critic.class_fc.kernel.numpy()
    step()
    np.testing.assert_array_equal(trainer.critic.class_fc.kernel, before)


def test_replicas_discover_the_same(tiny_config, model):
    weights, logged = [], []
    for replicas in (1, 2):
        trainer, step = trainer_of(
            tiny_config, model, replicas, objective="relativistic"
        )
        logged.append([step() for _ in range(2)][-1]["information"])
        weights.append(weights_of(trainer))
    for one, two in zip(*weights, strict=True):
        np.testing.assert_allclose(one, two, atol=5e-5)
    assert logged[0] == pytest.approx(logged[1], abs=1e-4)


def test_pictures_come_to_tell_their_class(tiny_config):
    """A short training: what the critic reads of fakes is what they were drawn as."""
    model = with_classes(tiny_config.model)
    _trainer, step = trainer_of(
        *(tiny_config, model), objective="relativistic", learning_rate=5e-3
    )
    found = [step()["information"] for _ in range(120)]
    assert np.mean(found[-20:]) > 0.6 * math.log(COUNT)
    assert np.mean(found[-20:]) > np.mean(found[:20]) + 0.3


def test_the_encoder_says_one_class(model):
    encoder = build_encoder(model)
    pictures = np.random.default_rng(0).uniform(-1, 1, (4, 32, 32, 3)).astype("float32")
    found = encoder(pictures).numpy()[:, -COUNT:]
    np.testing.assert_array_equal(found.sum(axis=1), 1)
    _, scores = encoder.read(pictures)
    np.testing.assert_array_equal(found.argmax(1), np.argmax(scores[-1], 1))
