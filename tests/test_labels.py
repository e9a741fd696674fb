"""Labels: read from data, asked for by name, drawn by seeds, used in training."""

import dataclasses
import math
import re

import numpy as np
import pytest
import tensorflow as tf
from replicas import stepping, weights_of

from hcm_tf import labels, losses
from hcm_tf.config import DataConfig, ExperimentConfig, Label
from hcm_tf.data import ImageSet, make_batches
from hcm_tf.errors import UserError
from hcm_tf.explain.refine import refine
from hcm_tf.networks import build_critic, build_encoder, build_generator
from hcm_tf.prior import Gaussian, Labelled, Uniform, between, draw, towards
from hcm_tf.runs import building, checkpoint
from hcm_tf.training import reading

KNOWN = (
    Label("shape", ("round", "square", "none"), (0.5, 0.3, 0.2)),
    Label("hat", ("none", "red=hot"), (0.9, 0.1)),
)
SHARES = tuple(label.shares for label in KNOWN)


def images(count=60, **kinds):
    pixels = np.random.default_rng(0).integers(0, 256, (count, 32, 32, 3), np.uint8)
    names = {"shape": ["round", "square", "none"], "hat": ["none", "red=hot"]}
    values = {"shape": np.arange(count) % 3, "hat": np.arange(count) % 2, **kinds}
    return ImageSet(
        images=pixels,
        labels={name: np.asarray(value, np.int64) for name, value in values.items()},
        label_names={name: names[name] for name in values},
        name="drawn",
    )


def data_config(*names, **values):
    return DataConfig(conditional=True, label=names, **values)


def test_labels_are_those_of_the_data():
    found = labels.of_data(data_config("hat", "shape"), images())
    assert [label.name for label in found] == ["hat", "shape"]
    assert found[0] == Label("hat", ("none", "red=hot"), (0.5, 0.5))
    assert found[1].shares == pytest.approx((1 / 3,) * 3, abs=1e-6)
    assert labels.of_data(DataConfig(), images()) == ()
    (only,) = labels.of_data(
        data_config(),
        dataclasses.replace(images(), label_names={"hat": ["none", "red=hot"]}),
    )
    assert only.name == "hat"


def test_plain_values_choose_classes():
    assert labels.named(KNOWN, {}) == {}
    assert labels.named((), {}) == {}
    found = labels.named(KNOWN, {"hat": "red=hot", "shape": "none"})
    assert found == {1: 1, 0: 2}


@pytest.mark.parametrize(
    ("known", "classes", "told"),
    [
        (KNOWN, {"shoe": "red"}, "there is no label 'shoe'; there are shape, hat"),
        (
            KNOWN,
            {"shape": "squared"},
            "shape='squared': no such class. Did you mean square? There are shape: "
            "round, square, none",
        ),
        (KNOWN, {"hat": "round"}, "hat='round': no such class. There are hat: none"),
        (KNOWN, {"hat": None}, "hat='': no such class"),
        (KNOWN, {"\x1b[31m\n": "x"}, "there is no label '\\x1b[31m\\n'"),
        (KNOWN, {"hat": "\n" * 99}, "hat='" + 40 * "\\n" + "': no such class"),
        (KNOWN, ["hat"], "classes must be an object"),
        (KNOWN, None, "classes must be an object"),
        ((), {"hat": "none"}, "this run was trained without labels"),
    ],
)
def test_plain_values_that_choose_nothing_are_one_line(known, classes, told):
    with pytest.raises(ValueError, match=re.escape(told)) as caught:
        labels.named(known, classes)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("config", "data", "told"),
    [
        (data_config(), images(), "several labels. Name one or more with --label: sh"),
        (data_config("hair"), images(), "no such label. It has shape, hat"),
        (
            data_config("hat"),
            images(hat=[-1, -1, *[0, 1] * 29]),
            "2 of 60 images of drawn have none",
        ),
        (data_config("hat"), images(hat=[1] * 60), "all images of drawn have the same"),
        (
            data_config(),
            dataclasses.replace(images(), label_names={}),
            "drawn has no labels",
        ),
    ],
)
def test_what_cannot_be_conditioned_on_is_one_line(config, data, told):
    with pytest.raises(UserError, match=told):
        labels.of_data(config, data)


def test_rare_classes_are_warned_about(caplog):
    labels.of_data(data_config("hat"), images(hat=[1] * 3 + [0] * 57))
    assert r"few training images of red=hot (3)" in caplog.text
    assert "none" not in caplog.text


def test_flags_that_need_conditional_say_so():
    with pytest.raises(ValueError, match="need `conditional`"):
        DataConfig(label=("hat",))
    with pytest.raises(ValueError, match=r"each label once. Received: hat,hair,hat"):
        data_config("hat", "hair", "hat")


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ([], {}),
        (["square"], {0: 1}),
        (["red=hot"], {1: 1}),
        (["hat=red=hot", "shape=none"], {1: 1, 0: 2}),
    ],
)
def test_classes_are_asked_for_by_name(texts, expected):
    assert labels.parse(KNOWN, texts) == expected


@pytest.mark.parametrize(
    ("texts", "told"),
    [
        (["none"], "several labels have it. Write shape=none or hat=none"),
        (["squar"], "no such class. Did you mean square"),
        (["hat=square"], "There are hat: none, red=hot"),
        (["square", "round"], "--label=square,round: shape is named twice. Name one"),
        (["square", "shape=round"], "shape=round: shape is named twice"),
        (["red=hot", "hat=red=hot"], "hat is named twice"),
    ],
)
def test_classes_that_there_are_not_are_one_line(texts, told):
    with pytest.raises(UserError, match=told):
        labels.parse(KNOWN, texts)
    with pytest.raises(UserError, match="trained without labels"):
        labels.parse((), texts)


def test_numbers_become_a_one_and_back_names():
    numbers = labels.numbers(
        labels.of_data(data_config("shape", "hat"), images()), images()
    )
    rows = labels.one_hot(KNOWN, numbers)
    assert rows.shape == (60, labels.width(KNOWN)) == (60, 5)
    np.testing.assert_array_equal(rows[4], [0, 1, 0, 1, 0])
    assert labels.describe(KNOWN, rows[4:5]) == ["shape=square, hat=none"]
    assert labels.numbers((), images()).shape == (60, 0)
    latents = np.concatenate([np.ones((60, 2), "float32"), rows], axis=1)
    changed = labels.replaced(KNOWN, latents, {0: 2})
    np.testing.assert_array_equal(changed[4], [1, 1, 0, 0, 1, 1, 0])
    np.testing.assert_array_equal(latents[4, 2:], rows[4])


BASES = {
    "uniform": Uniform(4),
    "gaussian": Gaussian(np.zeros(4, "float32"), np.eye(4, dtype="float32")),
}


@pytest.mark.parametrize("base", BASES.values(), ids=BASES)
def test_seeds_draw_classes_as_often_as_images_have_them(base):
    prior = Labelled(base, SHARES)
    latents = draw(prior, -5000, 10_000)
    assert latents.shape == (10_000, prior.size) == (10_000, 9)
    # The latent of a seed is the same with labels behind it and without.
    np.testing.assert_array_equal(latents[:, :4], draw(base, -5000, 10_000))
    np.testing.assert_array_equal(np.unique(latents[:, 4:]), [0, 1])
    np.testing.assert_array_equal(latents[:, 4:7].sum(1), 1)
    expected = np.concatenate(SHARES)
    errors = np.sqrt(expected * (1 - expected) / 10_000)
    assert np.all(np.abs(latents[:, 4:].mean(0) - expected) < 4.5 * errors)
    # Nothing ties the classes to each other, or to the latent.
    tied = np.corrcoef(latents, rowvar=False)
    assert np.abs(tied[:4, 4:]).max() < 0.05
    assert np.abs(tied[4:7, 7:]).max() < 0.05


@pytest.mark.parametrize("base", BASES.values(), ids=BASES)
def test_asked_classes_leave_the_latent_and_the_other_labels(base):
    prior = Labelled(base, SHARES)
    plain, chosen = draw(prior, 3, 50), draw(prior.choose({0: 1}), 3, 50)
    np.testing.assert_array_equal(chosen[:, 4:7], np.tile([0, 1, 0], (50, 1)))
    np.testing.assert_array_equal(chosen[:, :4], plain[:, :4])
    np.testing.assert_array_equal(chosen[:, 7:], plain[:, 7:])
    some = tf.constant([[1, -1], [-1, 1]])
    each = prior.from_seeds(tf.constant([3, 4]), classes=some).numpy()
    np.testing.assert_array_equal(each[0], chosen[0])
    np.testing.assert_array_equal(each[1, 4:7], plain[1, 4:7])
    np.testing.assert_array_equal(each[1, 7:], [0, 1])


def test_between_two_seeds_labels_are_mixed():
    prior = Labelled(BASES["gaussian"], SHARES)
    ends = draw(prior, 0, 2)
    way = between(prior, np.array([0, 1], "int32"), 4)
    np.testing.assert_allclose(way[0], ends[0], atol=1e-6)
    np.testing.assert_allclose(way[4], ends[1], atol=1e-6)
    np.testing.assert_allclose(way[1, 4:], 0.75 * ends[0, 4:] + 0.25 * ends[1, 4:])
    np.testing.assert_allclose(towards(prior, 0, 1, 0.25), way[1], atol=1e-6)


@pytest.fixture
def model(tiny_config):
    return dataclasses.replace(tiny_config.model, labels=KNOWN)


def test_a_configuration_keeps_its_labels(model, tiny_config):
    config = dataclasses.replace(tiny_config, model=model)
    assert ExperimentConfig.from_json(config.to_json()) == config
    assert config.model.classes == (3, 2)


def test_a_class_opens_gates_before_the_selection(model):
    generator = build_generator(model)
    latents = draw(Labelled(Uniform(6), SHARES), 0, 8)
    behind = latents[:, 6:]
    gates = generator.class_gates(behind).numpy()
    assert gates.shape == (8, 4, 4, 12)
    assert 0 < gates.min() < gates.max() < 2
    # One label's contribution is a row of the kernel; two add up.
    kernel = generator.label_preferences.kernel.numpy()
    scale = generator.label_preferences.scale
    expected = 2 / (1 + np.exp(-(behind @ kernel) * scale))
    np.testing.assert_allclose(gates.reshape(8, -1), expected, rtol=1e-5)
    known = generator.fc(latents[:, :6]) + generator.label_fc(behind)
    plain = generator.attribute_conv(tf.reshape(tf.nn.relu(known), (8, 4, 4, -1)))
    np.testing.assert_allclose(
        generator.preferences(latents), plain * gates, rtol=1e-5, atol=1e-6
    )
    # A label counts as much as the latent at the start.
    own, other = generator.fc(latents[:, :6]), generator.label_fc(behind)
    assert 0.5 < np.std(other) / np.std(own) < 4


def test_the_critic_judges_by_projection(model):
    critic = build_critic(model)
    pictures = np.random.default_rng(0).uniform(-1, 1, (4, 32, 32, 3)).astype("float32")
    rows = np.eye(5, dtype="float32")[[0, 1, 2, 4]]
    scores = critic(pictures, labels=rows).numpy()
    plain = critic(pictures, labels=np.zeros((4, 5), "float32")).numpy()
    embedded = rows @ critic.embedding.kernel.numpy() * critic.embedding.scale
    x = critic.last(critic.stddev(critic.trunk(pictures)))
    features = tf.nn.leaky_relu(x, 0.2).numpy().reshape(4, -1)
    added = (embedded * features).sum(1) / math.sqrt(features.shape[1])
    np.testing.assert_allclose(scores - plain, added, rtol=1e-3, atol=1e-5)
    assert np.abs(added).min() > 1e-3


def test_the_encoder_reads_labels(model):
    encoder = build_encoder(model)
    pictures = np.random.default_rng(0).uniform(-1, 1, (4, 32, 32, 3)).astype("float32")
    found = encoder(pictures).numpy()
    latents, scores = encoder.read(pictures)
    assert found.shape == (4, 11)
    np.testing.assert_allclose(found[:, :6], np.tanh(latents), rtol=1e-6)
    np.testing.assert_array_equal(found[:, 6:9].argmax(1), np.argmax(scores[0], 1))
    np.testing.assert_array_equal(found[:, 6:].sum(1), 2)


def test_label_loss_is_the_cross_entropy():
    random = np.random.default_rng(0)
    scores = [random.normal(size=(5, 3)), random.normal(size=(5, 2))]
    numbers = np.stack([random.integers(0, 3, 5), random.integers(0, 2, 5)], axis=1)
    chances = [np.exp(one) / np.exp(one).sum(1, keepdims=True) for one in scores]
    expected = -sum(
        np.log(one[np.arange(5), numbers[:, i]]) for i, one in enumerate(chances)
    )
    found = losses.label_loss(labels.one_hot(KNOWN, numbers).astype("float64"), scores)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_refinement_leaves_the_labels(model):
    generator = build_generator(model)
    start = draw(Labelled(Uniform(6), SHARES), 0, 2)
    pictures = np.zeros((2, 32, 32, 3), "float32")
    refined = refine(generator, pictures, start, steps=5)
    np.testing.assert_array_equal(refined.latents[:, 6:], start[:, 6:])
    assert np.abs(refined.latents[:, :6] - start[:, :6]).max() > 1e-3


def test_batches_have_the_labels_of_their_images():
    numbers = np.arange(20) % 2
    pixels = np.broadcast_to(
        numbers.astype("uint8")[:, None, None, None], (20, 4, 4, 1)
    )
    asked = []

    def labels(chosen):
        asked.append(len(chosen))
        return np.eye(2, dtype="float32")[numbers[chosen]]

    for batch in make_batches(pixels, 6, seed=0, labels=labels).take(5):
        shown = np.round((batch["image"].numpy()[:, 0, 0, 0] + 1) * 127.5)
        np.testing.assert_array_equal(batch["label"].numpy().argmax(1), shown)
    # Never of all images: a million of a thousand classes would be 4 GB.
    assert set(asked) == {0, 6}


def test_balanced_batches_have_rare_classes_as_often():
    numbers = np.array([0] * 30 + [1] * 3)
    pixels = np.arange(33, dtype="uint8")[:, None, None, None] * np.ones(
        (4, 4, 1), "uint8"
    )
    seen = [
        int(np.round((value + 1) * 127.5))
        for batch in make_batches(pixels, 10, seed=0, balanced=numbers).take(6)
        for value in batch["image"].numpy()[:, 0, 0, 0]
    ]
    # An epoch of 60: every image of the large class once, of the small one ten times.
    assert [seen.count(number) for number in range(33)] == [1] * 30 + [10] * 3


def trainer_of(config, replicas=1):
    trainer, step = stepping(config, replicas)
    random = np.random.default_rng(0)
    pixels = random.uniform(-1, 1, (8, 32, 32, 3)).astype("float32")
    numbers = np.stack([random.integers(0, 3, 8), random.integers(0, 2, 8)], axis=1)
    values = {"image": pixels, "label": labels.one_hot(KNOWN, numbers)}
    return trainer, lambda: step(values)


@pytest.mark.parametrize(
    "objective", [pytest.param("wgan_gp", marks=pytest.mark.long), "relativistic"]
)
def test_replicas_learn_the_same_by_labels(model, tiny_config, objective):
    train = dataclasses.replace(tiny_config.train, batch_size=8, objective=objective)
    config = dataclasses.replace(tiny_config, model=model, train=train)
    weights, logged = [], []
    for replicas in (1, 2):
        trainer, step = trainer_of(config, replicas)
        before = trainer.critic.embedding.kernel.numpy()
        logged.append([step() for _ in range(2)][-1]["label_loss"])
        assert np.abs(trainer.critic.embedding.kernel.numpy() - before).max() > 1e-4
        weights.append(weights_of(trainer))
    for one, two in zip(*weights, strict=True):
        np.testing.assert_allclose(one, two, atol=5e-5)
    assert logged[0] == pytest.approx(logged[1], rel=1e-4)


def test_the_generator_learns_from_labels(model, tiny_config):
    config = dataclasses.replace(tiny_config, model=model)
    trainer, step = trainer_of(
        dataclasses.replace(
            config, train=dataclasses.replace(config.train, batch_size=8)
        )
    )
    before = [
        layer.kernel.numpy()
        for layer in (trainer.generator.label_fc, trainer.generator.label_preferences)
    ]
    step()
    for layer, then in zip(
        (trainer.generator.label_fc, trainer.generator.label_preferences),
        before,
        strict=True,
    ):
        assert np.abs(layer.kernel.numpy() - then).max() > 1e-4


def test_a_run_draws_what_is_asked_for(model, make_run):
    run = checkpoint.load(make_run(model=model))
    asked = run.choose(["square", "hat=none"])
    latents = draw(asked.prior, 0, 3)
    np.testing.assert_array_equal(latents[:, 6:], np.tile([0, 1, 0, 1, 0], (3, 1)))
    np.testing.assert_array_equal(asked.sample(3), asked.draw(latents))
    assert np.abs(asked.sample(3) - run.choose(["round"]).sample(3)).max() > 1e-3
    with pytest.raises(UserError, match="no label 'hair': it has shape, hat"):
        run.label("hair")


def test_latents_do_not_say_what_labels_say(model, tiny_config):
    """Offsets come to what latents of a class have in common."""
    train = dataclasses.replace(tiny_config.train, batch_size=8)
    config = dataclasses.replace(tiny_config, model=model, train=train)
    trainer = building.build_trainer(config, 1)
    assert np.abs(trainer.encoder.offsets.numpy()).max() == 0
    pictures = (
        np.random.default_rng(0).uniform(-1, 1, (64, 32, 32, 3)).astype("float32")
    )
    numbers = np.stack([np.arange(64) % 3, np.arange(64) % 2], axis=1)
    rows = tf.constant(labels.one_hot(KNOWN, numbers))
    trainer.train_step({"image": tf.constant(pictures[:8]), "label": rows[:8]})
    moved = trainer.encoder.offsets.numpy()
    assert moved.shape == (5, 6)
    assert 1e-6 < np.abs(moved).max() < 1
    raw = trainer.encoder.read(pictures)[0]
    for _ in range(3000):
        reading.centre(trainer.encoder, trainer.encoder.centred(raw, rows), rows)
    left = trainer.encoder.centred(raw, rows).numpy()
    for column in range(5):
        own = left[rows.numpy()[:, column] == 1].mean(axis=0)
        np.testing.assert_allclose(own, 0, atol=1e-3)
