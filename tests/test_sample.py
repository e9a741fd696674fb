"""The pictures of a finished run, by the command a person uses first."""

import numpy as np
import pytest
from PIL import Image

from hcm_tf import images, sample
from hcm_tf.prior import Gaussian, Uniform, between, draw
from hcm_tf.runs import checkpoint


def run_command(*arguments):
    return sample.main(["sample", *map(str, arguments)])


@pytest.fixture(scope="module")
def run(tiny_run):
    return checkpoint.load(tiny_run)


def read(path):
    with Image.open(path) as picture:
        return np.asarray(picture)


def test_grid_and_single_pictures_are_those_of_the_seeds(tiny_run, run, tmp_path):
    out = tmp_path / "out"
    arguments = f"--run_dir={tiny_run}", f"--out={out}", "--count=5", "--seed=7"
    assert run_command(*arguments) == 0
    drawn = np.asarray(run.generator(draw(run.prior, 7, 5)))
    expected = images.to_uint8(drawn)
    np.testing.assert_array_equal(read(out / "samples.png"), images.grid(expected))
    for number, picture in enumerate(expected, 7):
        np.testing.assert_array_equal(read(out / f"seed-{number}.png"), picture)
    assert len(list(out.iterdir())) == 6


def test_animation_begins_with_the_first_seed_and_loops(tiny_run, run, tmp_path):
    out = tmp_path / "out"
    arguments = f"--run_dir={tiny_run}", f"--out={out}", "--count=2", "--scale=2"
    assert run_command(*arguments, "--interpolate=3", "--stops=4") == 0
    with Image.open(out / "interpolation.png") as moving:
        assert (moving.n_frames, moving.info["loop"]) == (12, 0)
        frames = []
        for number in range(moving.n_frames):
            moving.seek(number)
            frames.append(np.asarray(moving.convert("RGB")).astype(int)[::2, ::2])
    stops = images.to_uint8(run.sample(4)).astype(int)
    for stop in range(4):
        assert np.abs(frames[3 * stop] - stops[stop]).max() <= 1


@pytest.mark.parametrize(
    "prior",
    [Uniform(6), Gaussian(np.ones(6, "f4"), np.eye(6, dtype="f4"))],
    ids=["uniform", "gaussian"],
)
def test_the_way_between_two_seeds(prior):
    seeds = np.array([3, 9], "int32")
    latents = between(prior, seeds, 8)
    assert latents.shape == (16, 6)
    ends = prior.from_seeds(seeds).numpy()
    np.testing.assert_allclose(latents[[0, 8]], ends, atol=1e-6)
    steps = np.abs(np.diff(latents, axis=0)).max(axis=1)
    assert steps.max() < 0.5 * np.abs(ends[0] - ends[1]).max()
    # A loop: the last step leads back to the first seed.
    assert (
        np.abs(latents[-1] - latents[0]).max() < 0.5 * np.abs(ends[0] - ends[1]).max()
    )
    middle = between(prior, seeds, 8, truncation=0.0)
    np.testing.assert_allclose(middle, np.tile(middle[:1], (16, 1)), atol=1e-6)


def test_noise_keeps_its_size_on_the_way():
    """Halfway between, a straight line would have half the variance."""
    wide = Gaussian(np.zeros(5000, "f4"), np.eye(5000, dtype="f4") * 0.1)
    halfway = between(wide, np.array([1, 2], "int32"), 2)[1]
    assert np.std(np.arctanh(halfway)) == pytest.approx(0.1, rel=0.05)


LAST = ["--run_dir=nothing", f"--seed={2**31 - 1}", "--count=1"]


def test_the_last_seed_can_be_drawn(tiny_run, run, tmp_path):
    out = tmp_path / "out"
    assert run_command(*LAST, f"--run_dir={tiny_run}", f"--out={out}") == 0
    (expected,) = images.to_uint8(run.sample(1, seed=2**31 - 1))
    np.testing.assert_array_equal(read(out / f"seed-{2**31 - 1}.png"), expected)


def test_two_classes_of_a_label_are_one_line(labelled_run, tmp_path, capsys):
    out = tmp_path / "out"
    arguments = f"--run_dir={labelled_run}", f"--out={out}", "--count=1"
    assert run_command(*arguments, "--label=round,square") == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "--label=round,square: shape is named twice. Name one class of" in line
    assert not out.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--run_dir is required"),
        (["--run_dir=nothing"], "no config.json here"),
        (["--run_dir=nothing", "--count=0"], "not an integer in the range"),
        (["--run_dir=nothing", "--truncation=2"], "not a number in the range"),
        (["--run_dir=nothing", f"--seed={2**31 - 1}"], "the last seed"),
        ([*LAST, "--interpolate=1", "--stops=2"], "the last seed"),
        # The pictures of every class are of eight latents.
        ([*LAST, "--each=shape", "--stops=2", f"--seed={2**31 - 7}"], "the last seed"),
    ],
)
def test_mistakes_are_one_line(arguments, message, capsys):
    assert run_command(*arguments) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("hcm_tf.sample: ")
    assert message in line
