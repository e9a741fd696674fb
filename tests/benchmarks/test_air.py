"""The benchmark of AIR: what it scores, prints and stores, and that it goes on."""

import json
import sys

import numpy as np
import pytest
import tensorflow as tf

from benchmarks import air, air_model
from benchmarks.air_model import SIDE


def squares(count, side=SIDE):
    """Images with 0, 1, 2, 0, 1, ... bright squares, and their numbers."""
    images = np.zeros((count, side, side, 1), np.uint8)
    truth = np.arange(count) % 3
    size = side // 4
    images[truth > 0, size : 2 * size, :size] = 200
    images[truth > 1, -size:, -size:] = 100
    return images, truth


@pytest.fixture
def eager(monkeypatch):
    """Without compiling, which takes longer than the steps."""
    monkeypatch.setattr(tf, "function", lambda **options: lambda function: function)


@pytest.fixture
def scenes(monkeypatch, eager):
    images, truth = squares(70)
    large, _ = squares(70, 64)
    found = air.Scenes(train=images, test=images[:6], truth=truth[:6], large=large[:6])
    monkeypatch.setattr(air, "read_scenes", lambda manual_dir: found)
    return found


def run(monkeypatch, directory, *arguments):
    flags = [f"--results={directory}/air.json", f"--out={directory}/runs", *arguments]
    monkeypatch.setattr(sys, "argv", ["air", *flags])
    air.main()
    return json.loads((directory / "air.json").read_text())


def test_the_command_stores_prints_and_goes_on(tmp_path, scenes, monkeypatch, capsys):
    first = run(monkeypatch, tmp_path, "--seeds=1", "--steps=2")
    assert list(first["seeds"]) == ["0"]
    trained = []

    def train(images, seed, steps):
        trained.append(seed)
        return air_model.Air()

    monkeypatch.setattr(air, "train", train)
    table = run(monkeypatch, tmp_path, "--seeds=2", "--steps=2")
    assert trained == [1]
    assert table["seeds"]["0"] == first["seeds"]["0"]
    assert table["seeds"]["1"] != first["seeds"]["0"]
    printed = capsys.readouterr().out
    for seed, result in table["seeds"].items():
        assert f"AIR, seed {seed} | {result['accuracy']:.3f}" in printed
        assert np.sum(result["confusion"]) == 6
    assert (tmp_path / "air.png").exists()
    run(monkeypatch, tmp_path, "--seeds=2", "--steps=2")
    assert trained == [1]
    assert f"seed {air.median_seed(table)}." in capsys.readouterr().out


def test_an_interruption_loses_the_seed_under_way_alone(tmp_path, scenes, monkeypatch):
    def train(images, seed, steps):
        if seed == 1:
            raise KeyboardInterrupt
        return air_model.Air()

    monkeypatch.setattr(air, "train", train)
    with pytest.raises(SystemExit) as caught:
        run(monkeypatch, tmp_path, "--seeds=2", "--steps=1")
    assert "has the seeds that were done" in str(caught.value.code)
    table = json.loads((tmp_path / "air.json").read_text())
    assert list(table["seeds"]) == ["0"]


def test_seeds_of_other_steps_are_not_mixed(tmp_path, monkeypatch):
    (tmp_path / "air.json").write_text('{"steps": 7, "seeds": {}}')
    with pytest.raises(SystemExit) as caught:
        run(monkeypatch, tmp_path, "--steps=2")
    assert "is of 7 steps, and not of 2" in str(caught.value.code)


def test_training_is_a_function_of_the_seed(eager):
    images, _ = squares(70)
    weights = [air.train(images, seed, 1).get_weights() for seed in (0, 0, 1)]
    one, same, other = (np.concatenate([w.ravel() for w in found]) for found in weights)
    np.testing.assert_allclose(one, same, atol=1e-6)
    assert np.abs(one - other).mean() > 1e-2


def test_the_schedule_begins_and_ends_as_said():
    first, last = air.SUCCESS
    np.testing.assert_allclose(air.schedule(0.0), (first, air.LEARNING_RATE))
    middle = air.schedule(air.ANNEALED / 2)
    np.testing.assert_allclose(middle[0], np.sqrt(first * last))
    np.testing.assert_allclose(air.schedule(1.0), (last, 0.0), atol=1e-12)


def test_bright_spots_are_counted_at_two_levels(scenes):
    rows = air.without_training(scenes)
    high = rows["bright spots, above the mid grey"]["accuracy"]["mean"]
    # The second square has a brightness of 100.
    assert high == pytest.approx(4 / 6)
    assert rows["bright spots, above 25 of 255"]["accuracy"]["mean"] == 1


def test_the_median_is_a_seed_and_failures_are_printed():
    def one(accuracy):
        confusion = np.zeros((3, 4), int).tolist()
        return {
            "accuracy": accuracy,
            "mean absolute error": 1 - accuracy,
            "elbo": 10.0,
            "error": 0.5,
            "minutes": 2.0,
            "confusion": confusion,
        }

    seeds = {str(k): one(value) for k, value in enumerate((0.9, 0.1, 0.8))}
    table = {"seeds": seeds, "without training": {}}
    assert air.median_seed(table) == "2"
    printed = air.markdown(table)
    assert "| AIR, seed 1 | 0.100 | 0.900 | 10.0 | 0.500 | 2.0 |" in printed
    assert "| AIR, median of 3 | 0.800 | 0.200 |" in printed
