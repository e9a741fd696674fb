"""Whether placed parts are used: the numbers, on pictures whose places are known."""

import dataclasses

import numpy as np
import pytest

from hcm_tf.evaluate import placing, rates, table
from hcm_tf.images import to_uint8
from hcm_tf.operations.placing import cover, spread, visibility
from hcm_tf.runs import checkpoint


@pytest.fixture(scope="module")
def run(make_run, tiny_config):
    model = dataclasses.replace(tiny_config.model, placement="free")
    run = checkpoint.load(make_run(model=model))
    kernel = run.generator.placing.kernel
    kernel.assign(2.5 * np.random.default_rng(1).normal(size=kernel.shape))
    return run


def images_and_latents(run, count=7):
    random = np.random.default_rng(0)
    latents = random.uniform(-1, 1, (count, 6)).astype("float32")
    return np.asarray(run.generator(latents)), latents


def test_numbers_are_those_of_the_placing(run):
    images, latents = images_and_latents(run)
    noisy = np.clip(images + 0.02, -1, 1)
    found = placing.measure(run, noisy, latents, batch=3)
    trace = run.generator.trace(latents)
    position, presence = map(
        np.asarray, (trace.placing.position, trace.placing.presence)
    )
    squares = 0
    for at, weight in zip(np.moveaxis(position, 1, 0), presence.T, strict=True):
        away = at - np.average(at, axis=0, weights=weight)
        squares += np.sum(weight[:, np.newaxis] * np.square(away))
    assert found["spread"] == pytest.approx(
        np.sqrt(squares / (2 * presence.sum())), rel=1e-4
    )
    assert found["spread"] > 0.3
    assert found["presence"] == pytest.approx(np.mean(trace.placing.presence))
    assert found["error"] == pytest.approx(np.mean((images - noisy) ** 2), rel=1e-3)
    assert found["ratio"] == pytest.approx(found["error_at_home"] / found["error"])
    assert found["ratio"] > 1.3
    alone = spread(trace.placing)
    covered = cover(trace.placing, alone)
    seen = covered * visibility(trace.placing, covered)
    assert found["covered"] == pytest.approx(np.mean(np.sum(seen, axis=2)), rel=1e-4)
    assert 0.05 < found["covered"] < 1


def test_what_is_absent_is_nowhere():
    """Positions of parts that are not there count for nothing."""
    random = np.random.default_rng(3)
    position = random.normal(size=(5, 4, 2))
    presence = np.zeros((5, 4))
    assert placing._deviation(position, presence) == 0
    presence[1:3, 0] = 1
    expected = np.sqrt(np.mean(np.square(position[1, 0] - position[2, 0]) / 4))
    assert placing._deviation(position, presence) == pytest.approx(expected)


def test_parts_that_stay_at_home_are_decoration(run, make_run, tiny_config):
    model = dataclasses.replace(tiny_config.model, placement="free")
    still = checkpoint.load(make_run(model=model))
    images, latents = images_and_latents(still)
    found = placing.measure(still, images * 0.9, latents)
    assert found["spread"] == found["covered"] == 0
    assert found["presence"] == pytest.approx(1)
    assert found["ratio"] == pytest.approx(1)


def test_the_table_has_the_rows(run):
    images, latents = images_and_latents(run)
    found = placing.measure(run, images * 0.9, latents)
    rows = table.rows({"placed": {"reconstruction": {"placing": found}}})
    named = {row.name: row.cells[0] for row in rows}
    assert named["mean presence"] == table.number(found["presence"])
    assert len(named) == 3
    assert not table.rows({"grid": {"reconstruction": {}}})


def test_a_code_that_does_not_say_where_has_no_rate(run):
    pictures = to_uint8(images_and_latents(run, 12)[0])
    measured = rates.measure(run, pictures, pictures[:4], batch=4)
    assert list(measured["levels"]) == ["8x8", "16x16"]
