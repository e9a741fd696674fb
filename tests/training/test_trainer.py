"""The training step: replicas, noise, averages, and that it learns."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from hcm_tf.config import ModelConfig, TrainConfig
from hcm_tf.networks import build_generator
from hcm_tf.runs import building, devices
from hcm_tf.sparsity.rules import Stage
from hcm_tf.training.noise import Noise, replica_order


def images(batch, config, seed=0):
    size, channels = config.model.image_size, config.model.image_channels
    shape = (batch, size, size, channels)
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype("float32")


def run_steps(config, batches, replicas=1):
    """Trains on global batches under a strategy; returns trainer and last metrics."""
    names = [device.name for device in tf.config.list_logical_devices("CPU")]
    strategy = devices.mirrored(names[:replicas])
    with strategy.scope():
        trainer = building.build_trainer(config, replicas)
    ordered = np.stack([batch[trainer.noise.batch_order] for batch in batches])
    dataset = tf.data.Dataset.from_tensor_slices({"image": ordered})
    history = trainer.fit(
        dataset, steps_per_epoch=len(batches), shuffle=False, verbose=0
    )
    return trainer, {name: values[-1] for name, values in history.history.items()}


def with_train(config, **values):
    return dataclasses.replace(config, train=TrainConfig(**values))


@pytest.mark.parametrize(
    ("batch", "replicas", "group"), [(20, 2, 5), (24, 3, 4), (8, 1, 4), (8, 2, 8)]
)
def test_replica_order_gives_whole_groups_to_each_replica(batch, replicas, group):
    order = replica_order(batch, replicas, group)
    assert sorted(order) == list(range(batch))
    if batch // group % replicas:
        np.testing.assert_array_equal(order, np.arange(batch))
        return
    groups, share = batch // group, batch // replicas
    for replica in range(replicas):
        rows = order[replica * share : (replica + 1) * share]
        own_groups = share // group
        for position, row in enumerate(rows):
            same = [
                r for p, r in enumerate(rows) if p % own_groups == position % own_groups
            ]
            assert {r % groups for r in same} == {row % groups}


@pytest.mark.parametrize(
    ("critic_steps", "augment"),
    [
        pytest.param(1, (), marks=pytest.mark.long),
        (2, ("color", "translation", "cutout")),
    ],
)
def test_one_and_two_replicas_are_equal(tiny_config, critic_steps, augment):
    config = with_train(
        tiny_config,
        batch_size=8,
        ema_decay=0.9,
        critic_steps=critic_steps,
        augment=augment,
    )
    batches = [images(8, config, seed) for seed in range(3)]
    one, metrics_of_one = run_steps(config, batches, replicas=1)
    two, metrics_of_two = run_steps(config, batches, replicas=2)
    for name in one.objective.metrics:
        assert metrics_of_two[name] == pytest.approx(metrics_of_one[name], rel=1e-4)
    names = ("generator", "encoder", "critic", "average_generator")
    for name in names:
        for a, b in zip(
            getattr(one, name).get_weights(),
            getattr(two, name).get_weights(),
            strict=True,
        ):
            # Weights are of order one; three steps of Adam change them by 2e-3.
            np.testing.assert_allclose(a, b, atol=5e-5)


def test_noise_differs_between_streams_and_draws():
    noise = Noise(0, range(4))
    draws = [
        noise.uniform(stream, (6,), tf.constant(draw, tf.int64), 4).numpy()
        for stream in ("latents", "mixing", "augmentation")
        for draw in range(3)
    ]
    for first, values in enumerate(draws):
        assert 0 <= values.min() < 0.25
        assert 0.75 < values.max() < 1
        for other in draws[:first]:
            assert np.abs(values - other).max() > 0.1


def test_noise_of_an_image_does_not_depend_on_the_layout():
    draw = tf.constant(5, tf.int64)
    plain = Noise(3, range(6)).normal("latents", (4,), draw, 6).numpy()
    order = [4, 2, 0, 1, 3, 5]
    laid_out = Noise(3, order).normal("latents", (4,), draw, 6).numpy()
    np.testing.assert_array_equal(laid_out, plain[order])


def test_same_seed_same_weights_other_seed_other_weights(tiny_config):
    batches = [images(4, tiny_config)] * 2
    runs = [
        run_steps(with_train(tiny_config, batch_size=4, seed=seed), batches)[0]
        for seed in (0, 0, 1)
    ]
    kernels = [trainer.generator.get_weights()[0] for trainer in runs]
    np.testing.assert_array_equal(kernels[0], kernels[1])
    assert np.abs(kernels[0] - kernels[2]).max() > 0.1


def test_average_follows_the_generator(tiny_config):
    config = with_train(tiny_config, batch_size=4, ema_decay=0.75)
    trainer = building.build_trainer(config, replicas=1)
    average = trainer.generator.get_weights()
    for seed in range(3):
        trainer.train_step({"image": tf.constant(images(4, config, seed))})
        value = trainer.generator.get_weights()
        average = [0.75 * a + 0.25 * v for a, v in zip(average, value, strict=True)]
    for actual, expected in zip(
        trainer.average_generator.get_weights(), average, strict=True
    ):
        np.testing.assert_allclose(actual, expected, atol=1e-6)


def test_every_weight_learns(tiny_config):
    trainer = building.build_trainer(tiny_config, replicas=1)
    before = [v.numpy() for v in trainer.trainable_variables]
    trainer.train_step({"image": tf.constant(images(4, tiny_config))})
    moved = {
        variable.path: np.abs(variable.numpy() - old).max()
        for variable, old in zip(trainer.trainable_variables, before, strict=True)
    }
    # The average's own variables move too: by (1 - decay) of the generator's.
    assert min(moved.values()) > 0, moved


def test_reconstruction_of_one_batch_is_learnt(tiny_config):
    config = with_train(tiny_config, batch_size=4, learning_rate=1e-2)
    smooth = np.ones((4, 32, 32, 3), "float32")
    smooth *= np.linspace(-0.8, 0.8, 4, dtype="float32")[:, None, None, None]
    _, first = run_steps(config, [smooth])
    _, last = run_steps(config, [smooth] * 100)
    assert last["reconstruction_error"] < 0.6 * first["reconstruction_error"]


def test_mixed_precision_steps_are_finite(tiny_config):
    config = with_train(tiny_config, batch_size=4, precision="bfloat16")
    trainer, metrics = run_steps(config, [images(4, config)] * 2)
    assert all(np.isfinite(value) for value in metrics.values())
    assert {v.dtype for v in trainer.variables if "seed" not in v.path} <= {
        "float32",
        "int64",
    }


RECIPE = {
    "batch_size": 8,
    "ema_decay": 0.9,
    "objective": "relativistic",
    "latents": "posterior",
    "r1_weight": 0.3,
    "r2_weight": 0.3,
    "penalty_interval": 2,
    "leak_steps": 2,
    "revival_weight": 0.1,
}


def test_the_recipe_is_the_same_on_one_and_two_replicas(tiny_config):
    config = with_train(tiny_config, **RECIPE)
    batches = [images(8, config, seed) for seed in range(4)]
    one, metrics_of_one = run_steps(config, batches, replicas=1)
    two, metrics_of_two = run_steps(config, batches, replicas=2)
    assert metrics_of_one["r1"] > 0
    for name in one.objective.metrics:
        assert metrics_of_two[name] == pytest.approx(metrics_of_one[name], rel=1e-4)
    networks = ("generator", "encoder", "critic", "average_generator")
    of_one, of_two = building.saved_objects(one), building.saved_objects(two)
    for name in (*networks, "posterior", "usage"):
        for a, b in zip(
            of_one[name].get_weights(), of_two[name].get_weights(), strict=True
        ):
            # Weights are of order one; four steps of Adam change them by 3e-3.
            np.testing.assert_allclose(a, b, atol=1e-4)


def test_posterior_follows_the_encoder(tiny_config):
    config = with_train(tiny_config, **RECIPE)
    trainer = building.build_trainer(config, replicas=1)
    batch = tf.constant(images(8, config))
    unbounded = trainer.encoder.read(batch)[0].numpy()
    np.testing.assert_allclose(
        np.tanh(unbounded), trainer.encoder(batch), rtol=1e-6, atol=1e-6
    )
    trainer.train_step({"image": batch})
    mean, covariance = trainer.prior.get_weights()
    np.testing.assert_allclose(mean, 0.01 * unbounded.mean(axis=0), atol=1e-6)
    expected = 0.99 * np.eye(6) + 0.01 * unbounded.T @ unbounded / 8
    np.testing.assert_allclose(covariance, expected, atol=1e-5)


@pytest.mark.parametrize("replicas", [pytest.param(1, marks=pytest.mark.long), 2])
def test_a_batch_that_is_not_finite_moves_nothing(tiny_config, replicas):
    config = with_train(tiny_config, **RECIPE)
    batch = images(8, config)
    clean, _ = run_steps(config, [batch], replicas)
    wrong = batch.copy()
    wrong[-1, 0, 0, 0] = np.nan  # Of the last replica's share.
    trainer, metrics = run_steps(config, [batch, wrong], replicas)
    assert metrics["left_out"] > 0
    for name in ("generator", "encoder", "critic", "average_generator"):
        for a, b in zip(
            getattr(trainer, name).get_weights(),
            getattr(clean, name).get_weights(),
            strict=True,
        ):
            # The average still moves towards the weights.
            atol = 1e-2 if name == "average_generator" else 0
            np.testing.assert_allclose(a, b, rtol=0, atol=atol, err_msg=name)
    assert all(np.isfinite(variable).all() for variable in trainer.get_weights())
    again, metrics = run_steps(config, [batch, wrong, batch], replicas)
    assert metrics["left_out"] == 0
    assert any(
        np.any(a != b)
        for a, b in zip(
            again.generator.get_weights(), clean.generator.get_weights(), strict=True
        )
    )


class Recorder(keras.optimizers.SGD):
    """Sums up the gradients it is given, and changes nothing."""

    total = 0.0

    def apply(self, grads, trainable_variables=None):
        self.total = self.total + np.concatenate([np.ravel(g) for g in grads])
        self.iterations.assign_add(1)


def test_a_lazy_penalty_has_the_eager_ones_mean_gradient(tiny_config):
    totals = []
    for interval in (1, 4):
        values = {"penalty_interval": interval, "objective": "hinge", "leak_steps": 0}
        config = with_train(tiny_config, **RECIPE | values)
        trainer = building.build_trainer(config, replicas=1)
        trainer.compile(Recorder(1.0), Recorder(1.0))
        # The same images and noise in every step, so that only the penalty varies.
        trainer.noise = trainer.drawer.noise = FixedNoise(config)
        for _ in range(4):
            trainer.train_step({"image": tf.constant(images(8, config))})
            trainer.prior.set_weights([np.zeros(6), np.eye(6)])
        totals.append(trainer.critic_optimizer.total)
    scale = np.abs(totals[0]).max()
    np.testing.assert_allclose(totals[1], totals[0], atol=1e-4 * scale)


class FixedNoise:
    """The same noise in every step."""

    def __init__(self, config):
        random = np.random.default_rng(0)
        size = config.model.latent_size
        self.latents = tf.constant(random.normal(size=(8, size)), tf.float32)

    def normal(self, stream, shape, draw, count):
        assert (stream, count) == ("latents", 8)
        return self.latents

    def uniform(self, stream, shape, draw, count):
        return tf.zeros((count, *shape))


@pytest.mark.parametrize(
    "objective",
    [
        "relativistic",
        pytest.param("non_saturating", marks=pytest.mark.long),
        pytest.param("hinge", marks=pytest.mark.long),
    ],
)
def test_every_weight_learns_with_every_objective(tiny_config, objective):
    values = RECIPE | {"objective": objective, "penalty_interval": 1}
    config = with_train(tiny_config, **values)
    trainer = building.build_trainer(config, replicas=1)
    before = [v.numpy() for v in trainer.trainable_variables]
    metrics = trainer.train_step({"image": tf.constant(images(8, config))})
    assert set(metrics) == {*trainer.objective.metrics, "left_out"}
    moved = {
        variable.path: np.abs(variable.numpy() - old).max()
        for variable, old in zip(trainer.trainable_variables, before, strict=True)
        # Differences of scores do not see the critic's last bias; nor does the hinge
        # while every score is within it.
        if objective == "non_saturating" or "critic/fc/bias" not in variable.path
    }
    assert min(moved.values()) > 0, moved


def test_selection_fades_in(tiny_config):
    generator = building.build_trainer(tiny_config, replicas=1).generator
    latent = tf.constant(np.random.default_rng(0).uniform(-1, 1, (3, 6)), tf.float32)
    dense = ModelConfig(
        **{
            **dataclasses.asdict(tiny_config.model),
            "attribute_keep": 1.0,
            "spatial_keep": (1.0,),
        }
    )
    control = build_generator(dense)
    control.set_weights(generator.get_weights())
    np.testing.assert_allclose(
        generator(latent, stages=Stage(leak=1.0)), control(latent), atol=1e-5
    )
    np.testing.assert_array_equal(
        generator(latent, stages=Stage(leak=0.0)), generator(latent)
    )
    half = np.asarray(generator(latent, stages=Stage(leak=0.5)))
    assert np.abs(half - generator(latent)).max() > 1e-3


def test_leak_falls_with_the_steps(tiny_config):
    config = with_train(tiny_config, **RECIPE | {"leak_steps": 4})
    trainer = building.build_trainer(config, replicas=1)
    leaks = []
    for _ in range(6):
        leaks.append(float(trainer.drawer.selection.leak(trainer.step)))
        trainer.generator_optimizer.iterations.assign_add(1)
    np.testing.assert_allclose(leaks, [1.0, 0.75, 0.5, 0.25, 0.0, 0.0])
