"""Parts in training: jitter of the fakes, when placing begins, and what it costs."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from replicas import running, saved

from hcm_tf import losses
from hcm_tf.operations.placing import NUMBERS, read
from hcm_tf.runs import building
from hcm_tf.sparsity.rules import Stage
from hcm_tf.training import augmentation
from hcm_tf.training.drawing import Drawn
from hcm_tf.training.noise import STREAMS, Noise
from hcm_tf.training.placing import Placer
from hcm_tf.training.regularizers import Behind, Reconstructed

BATCH = 8


def trainer_of(tiny_config, replicas=1, model=(), **train):
    """The trainer, and a function that takes steps on batches of seeds."""
    train = {"batch_size": BATCH, "placing_steps": 0, "critic_steps": 2, **train}
    config = dataclasses.replace(
        tiny_config,
        model=dataclasses.replace(tiny_config.model, placement="free", **dict(model)),
        train=dataclasses.replace(tiny_config.train, **train),
    )
    return running(config, replicas)


LOCATED = {"latent_size": 16, "location_latents": True, "location_attention": True}


BEHIND = {
    "presence": "hard",
    "background_attributes": 2,
    "opacity": "shared",
    "stretch_parts": True,
}


@pytest.mark.parametrize(
    "model",
    [pytest.param({}, marks=pytest.mark.long), {**LOCATED, **BEHIND}],
    ids=["plain", "behind"],
)
def test_replicas_agree_and_a_resumed_run_goes_on_alike(tiny_config, model):
    terms = {"presence_target": 0.2, "presence_weight": 5.0, "placing_steps": 1}
    terms |= {"model": model, "placing_shift": 0.5, "presence_steps": 100}
    if "background_attributes" in model:
        terms["background_weight"] = 5.0
    one, run = trainer_of(tiny_config, **terms)
    run([0, 1])
    half = saved(one)
    metrics = run([2])
    whole = saved(one)
    assert np.abs(one.generator.placing.kernel).max() > 0
    assert metrics["displacement"] > 0
    assert metrics["presence"] != 1

    two, run = trainer_of(tiny_config, replicas=2, **terms)
    both = run([0, 1, 2])
    again, run = trainer_of(tiny_config, **terms)
    for name, holder in building.saved_objects(again).items():
        for variable, value in zip(holder.variables, half[name], strict=True):
            variable.assign(value)
    run([2])
    for name in ("generator", "encoder", "critic", "average_generator"):
        for a, b in zip(whole[name], saved(again)[name], strict=True):
            np.testing.assert_array_equal(b, a, err_msg=name)
        for a, b in zip(whole[name], saved(two)[name], strict=True):
            np.testing.assert_allclose(b, a, rtol=0, atol=5e-4, err_msg=name)
    for name in metrics:
        assert both[name] == pytest.approx(metrics[name], rel=1e-3, abs=1e-5), name


def test_parts_wait_for_their_steps(tiny_config):
    trainer, run = trainer_of(tiny_config, placing_steps=2)
    for step, moves in enumerate([False, False, True]):
        run([step])
        assert (np.abs(trainer.generator.placing.kernel).max() > 0) == moves


def test_only_fakes_are_jittered_and_all_in_another_way():
    placer = Placer(Noise(0, range(BATCH)), 16, 8, jitter=0.5, steps=3)
    step = tf.constant(5, tf.int64)
    one, same, other = (
        placer.of_fakes(step, tf.constant(draw, tf.int64), BATCH).jitter.numpy()
        for draw in (7, 7, 8)
    )
    np.testing.assert_array_equal(one, same)
    assert one.shape == (BATCH, 16, 2)
    assert -0.5 <= one.min() < -0.45
    assert 0.45 < one.max() <= 0.5
    assert np.abs(one - other).mean() > 0.2
    assert len(np.unique(one)) > 0.99 * one.size
    stage = placer.of_reconstructions(step, 64)
    assert stage.jitter is None
    assert float(stage.learns) == 1
    assert float(placer.of_reconstructions(tf.constant(2, tf.int64), 64).learns) == 0
    assert len(set(STREAMS.values())) == len(STREAMS)


def test_chance_fades_and_the_target_grows():
    placer = Placer(
        *(Noise(0, range(BATCH)), 16, 8),
        steps=10,
        presence_target=0.5,
        presence_weight=3.0,
        presence_steps=9,
        hard=True,
    )
    draw = tf.constant(7, tf.int64)
    numbers = tf.zeros((BATCH, 4, 4, NUMBERS))
    for step, settled in [(0, 0.0), (9, 0.0), (10, 0.1), (14, 0.5), (19, 1), (50, 1)]:
        now = tf.constant(step, tf.int64)
        assert float(placer.settled(now)) == pytest.approx(settled)
        chances = placer.of_fakes(now, draw, BATCH).chances.numpy()
        encoded = placer.of_reconstructions(now, BATCH).chances.numpy()
        assert np.ptp(chances) == pytest.approx(1 - settled, abs=0.2 * (1 - settled))
        assert (np.abs(chances - 0.5) <= (1 - settled) / 2 + 1e-6).all()
        assert settled == 1 or np.abs(chances - encoded).mean() > 0.1 * (1 - settled)
        loss = placer.loss(read(numbers, hard=True), now)
        np.testing.assert_allclose(loss, settled * 3 * 0.5**2, rtol=1e-5)
    soft = Placer(Noise(0, range(BATCH)), 16, 8)
    assert soft.of_fakes(now, draw, BATCH).chances is None


def test_the_background_alone_is_asked_for_the_image(tiny_config):
    trainer, run = trainer_of(tiny_config, model=BEHIND, background_weight=3.0)
    (behind,) = [r for r in trainer.regularizers if isinstance(r, Behind)]
    random = np.random.default_rng(0)
    images = random.uniform(-1, 1, (BATCH, 32, 32, 3)).astype("float32")
    latents = random.uniform(-1, 1, (BATCH, 6)).astype("float32")
    trace = trainer.generator.trace(latents)
    nobody = trace.placing._replace(presence=0 * trace.placing.presence)
    sums = trainer.generator.sums(nobody)
    alone = np.tanh(trainer.generator.redraw(0, trace.codes[0], sums))
    drawn = Drawn(tf.constant(images))
    made = Reconstructed(images, tf.constant(latents), drawn, None, None)
    asked = behind.of_reconstructions(made)
    expected = np.mean(np.abs(alone - images))
    assert float(asked.loss) == pytest.approx(3 * expected, rel=1e-4)
    assert float(asked.metrics["background_error"]) == pytest.approx(expected, 1e-4)
    # While nothing is left out yet, it is not left out of the background either.
    stages = (Stage(leak=1.0),) * len(trainer.generator.levels)
    mild = behind.of_reconstructions(made._replace(drawn=Drawn(images, stages=stages)))
    alone = trainer.generator.draw_background(latents, stages)
    assert float(mild.loss) == pytest.approx(
        3 * np.mean(np.abs(alone - images)), rel=1e-6
    )
    assert float(mild.loss) != pytest.approx(float(asked.loss), rel=1e-5)
    assert 0 < run([0])["background_error"] < 2


def test_the_trainer_jitters_what_the_critic_sees(tiny_config):
    drawn = {}
    for jitter in (0.0, 0.5):
        trainer, _ = trainer_of(tiny_config, placing_jitter=jitter)
        latents = tf.constant(np.random.default_rng(0).uniform(-1, 1, (BATCH, 6)))
        latents = tf.cast(latents, tf.float32)
        drawn[jitter] = [
            trainer.drawer.images(latents, trainer.step, update).images
            for update in range(3)
        ]
        plain = trainer.generator(latents)
        np.testing.assert_allclose(drawn[jitter][2], plain, atol=1e-6)
    np.testing.assert_allclose(drawn[0.0][0], drawn[0.0][2], atol=1e-6)
    first, second, _ = drawn[0.5]
    assert np.abs(first - drawn[0.0][0]).max() > 1e-2
    assert np.abs(first - second).max() > 1e-2


def test_the_loss_is_that_of_the_formulas():
    random = np.random.default_rng(0)
    x = tf.constant(random.normal(size=(BATCH, 4, 4, NUMBERS)), tf.float32)
    target, weights = 0.3, (0.7, 2.0)
    placer = Placer(
        *(Noise(0, range(BATCH)), 16, 8),
        steps=4,
        position_weight=weights[0],
        presence_target=target,
        presence_weight=weights[1],
    )
    for step, learns in ((3, 0), (4, 1)):
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(x)
            placing = read(x)
            step = tf.constant(step, tf.int64)
            found = tf.reduce_mean(placer.loss(placing, step))
            squares = tf.reduce_mean(tf.square(placing.position))
            mean = tf.reduce_mean(placing.presence)
            expected = weights[0] * squares
            expected += learns * weights[1] * tf.square(mean - target)
        np.testing.assert_allclose(found, expected, rtol=1e-5)
        np.testing.assert_allclose(
            tape.gradient(found, x), tape.gradient(expected, x), rtol=1e-4, atol=1e-8
        )


def test_few_parts_are_asked_for(tiny_config):
    means = {}
    for weight in (0.0, 1e4):
        _, run = trainer_of(
            *(tiny_config, 1),
            presence_target=0.2,
            presence_weight=weight,
            learning_rate=2e-2,
        )
        means[weight] = run(range(8))["presence"]
    # Begun at 1, and slow: a tenth of the rate, and a sigmoid that is almost flat.
    assert means[1e4] < 1 - 1e-3
    assert means[1e4] < means[0.0] - 1e-3, means


def test_shifts_are_whole_pixels_and_move_all_parts_alike():
    placer = Placer(Noise(0, range(64)), 16, 4, shift=0.5)
    step = tf.constant(3, tf.int64)
    shifts = np.concatenate(
        [placer.shifts(step + more, 64).numpy() for more in range(4)]
    )
    assert shifts.shape == (256, 2)
    assert set(np.unique(shifts)) == {-2, -1, 0, 1, 2}
    assert np.abs(np.corrcoef(shifts.T)[0, 1]) < 0.3
    np.testing.assert_array_equal(placer.shifts(step, 64), shifts[:64])
    stage = placer.of_reconstructions(step, 64, placer.shifts(step, 64))
    np.testing.assert_array_equal(
        stage.jitter, np.repeat(shifts[:64, np.newaxis] / 4, 16, axis=1)
    )
    assert Placer(Noise(0, range(4)), 16, 4).shifts(step, 4) is None


def test_a_shifted_part_draws_where_the_image_is_shifted_to(tiny_config):
    """By a whole cell: parts have the same responses then, one pixel further."""
    trainer, _ = trainer_of(tiny_config)
    latents = np.random.default_rng(0).uniform(-1, 1, (BATCH, 6)).astype("float32")
    cell = trainer.drawer.placer.cell
    assert cell == 4
    plain = trainer.generator(latents)
    for by in ([1, 0], [0, -1], [-1, 1]):
        shifts = tf.constant([by] * BATCH) * cell
        stage = trainer.drawer.placer.of_reconstructions(*(trainer.step, BATCH, shifts))
        drawn, _placing = trainer.generator.draw(latents, placing_stage=stage)
        differences = {}
        for sign in (1, -1):
            moved = augmentation.translate(
                plain, *(sign * axis for axis in tf.unstack(shifts, axis=1))
            )
            inside = np.s_[:, 8:-8, 8:-8]
            difference = np.square(moved[inside] - drawn[inside]).mean()
            differences[sign] = difference / np.var(drawn[inside])
        assert differences[1] < 0.5 * differences[-1], (by, differences)


def test_a_shifted_reconstruction_is_compared_with_the_shifted_image(
    tiny_config, monkeypatch
):
    config = dataclasses.replace(
        tiny_config,
        model=dataclasses.replace(tiny_config.model, placement="free"),
        train=dataclasses.replace(
            tiny_config.train, batch_size=BATCH, placing_shift=1.0
        ),
    )
    trainer = building.build_trainer(config, replicas=1)
    seen, plain = [], losses.reconstruction_loss

    def compare(real, drawn):
        seen.append((real, drawn))
        return plain(real, drawn)

    monkeypatch.setattr(losses, "reconstruction_loss", compare)
    image = np.random.default_rng(0).uniform(-1, 1, (BATCH, 32, 32, 3))
    image = image.astype("float32")
    shifts = trainer.drawer.placer.shifts(trainer.step, BATCH).numpy()
    assert np.abs(shifts).max() == 4
    trainer.train_step({"image": tf.constant(image[trainer.noise.batch_order])})
    ((real, drawn),) = seen
    for one, target, (down, right), original in zip(
        drawn.numpy(),
        real.numpy(),
        shifts,
        image[trainer.noise.batch_order],
        strict=True,
    ):
        expected = np.zeros_like(target)
        rows, columns = np.ogrid[:32, :32]
        known = (rows - down >= 0) & (rows - down < 32)
        known = known & (columns - right >= 0) & (columns - right < 32)
        expected[known] = np.roll(original, (down, right), (0, 1))[known]
        np.testing.assert_allclose(target, expected, atol=1e-6)
        assert not one[~known].any()
        assert one[known].any()
