"""`python -m hcm_tf.evaluate`, as a user starts it, on a tiny run."""

import json
import re

import numpy as np
import PIL.Image
import pytest

from hcm_tf import data, features
from hcm_tf.config import DataConfig
from hcm_tf.evaluate import commands, gather, table
from hcm_tf.evaluate.__main__ import main
from hcm_tf.evaluate.measurement import Options
from hcm_tf.explain.refine import encode
from hcm_tf.images import to_float, to_uint8
from hcm_tf.metrics import (
    frechet,
    kernel,
    manifold,
    memorisation,
    similarity,
    sliced_wasserstein,
)
from hcm_tf.runs import checkpoint

COUNT = 24
SEED = 3


@pytest.fixture(scope="module")
def labelled_run(make_run, tmp_path_factory):
    """A run on a folder of 80 images with two labels, 20 of them held out."""
    root = tmp_path_factory.mktemp("images")
    random = np.random.default_rng(0)
    for label, colour in (("red", (200, 0, 0)), ("blue", (0, 0, 200))):
        (root / label).mkdir()
        for index in range(40):
            noise = random.integers(0, 50, (32, 32, 3)) + colour
            picture = PIL.Image.fromarray(noise.astype("uint8"))
            picture.save(root / label / f"{index}.png")
    cache = str(tmp_path_factory.mktemp("cache"))
    return make_run(
        data=DataConfig(dataset=f"folder:{root}", data_dir=cache, held_out=20)
    )


@pytest.fixture(scope="module")
def evaluated(labelled_run):
    """What the command wrote: the numbers, and the page."""
    arguments = f"--count={COUNT}", f"--seed={SEED}", "--refine=2"
    assert start(labelled_run, *arguments) == 0
    page = (labelled_run / "evaluation.html").read_text()
    return json.loads((labelled_run / "evaluation.json").read_text()), page


def start(run_dir, *arguments) -> int:
    return main(["evaluate", f"--run_dir={run_dir}", *arguments])


def numbers(found, path=()):
    """Every number of nested dictionaries, by its path; not what a run is about."""
    if isinstance(found, dict):
        return {
            key: value
            for name, each in found.items()
            if name != "provenance"
            for key, value in numbers(each, (*path, name)).items()
        }
    return {path: found} if isinstance(found, int | float) else {}


@pytest.fixture(scope="module")
def sets(labelled_run):
    """(training, held out, reference, floor, samples), found without the command."""
    run = checkpoint.load(labelled_run)
    training, held_out = data.load(run.config.data, 32, 3)
    order = np.random.default_rng((SEED, 17)).permutation(len(training))
    samples = to_float(to_uint8(run.sample(COUNT, seed=SEED)))
    images = to_float(training.images[order])
    return (
        images,
        to_float(held_out.images),
        images[:COUNT],
        images[COUNT : 2 * COUNT],
        samples,
    )


def test_distances_are_those_of_the_images(evaluated, sets):
    _, _, reference, floor, samples = sets
    extract = features.load("random").features
    found = evaluated[0]["samples"]["features"]["random"]["distances"]
    real = extract(reference)
    for images, place in ((samples, lambda each: each), (floor, lambda e: e["floor"])):
        other = extract(images)
        expected = {
            "frechet": frechet.frechet_distance(real, other),
            "kernel": kernel.kernel_distance(real, other, SEED)[0],
            **manifold.manifold_scores(real, other),
        }
        got = {name: place(each)["value"] for name, each in found.items()}
        assert got == pytest.approx(expected, rel=1e-5, abs=1e-7)
        assert all(
            place(each)["low"] <= place(each)["value"] <= place(each)["high"]
            for each in found.values()
        )
    wasserstein = evaluated[0]["samples"]["sliced_wasserstein"]
    for images, place in ((samples, lambda each: each), (floor, lambda e: e["floor"])):
        expected = sliced_wasserstein.sliced_wasserstein(reference, images, SEED)
        got = {int(size): place(each)["value"] for size, each in wasserstein.items()}
        assert got == pytest.approx(expected, rel=1e-5)


def test_an_untrained_network_is_far_above_the_floor(evaluated):
    found = evaluated[0]["samples"]["features"]["random"]["distances"]
    assert found["frechet"]["value"] > 10 * found["frechet"]["floor"]["value"]
    assert found["coverage"]["value"] < 0.5 < found["coverage"]["floor"]["value"]


def test_every_distance_has_a_floor(evaluated):
    samples = evaluated[0]["samples"]
    measured = [
        *samples["sliced_wasserstein"].values(),
        *(
            each
            for found in samples["features"].values()
            for each in found["distances"].values()
        ),
    ]
    assert len(measured) == 2 + 6
    for each in measured:
        assert {"value", "low", "high", "floor"} == set(each)
        assert {"value", "low", "high"} == set(each["floor"])
    for found in evaluated[0]["faces"]["memorisation"].values():
        assert found["held_out_share"] == pytest.approx(0.05, abs=0.051)


def test_reconstruction_is_that_of_the_networks(evaluated, labelled_run, sets):
    run = checkpoint.load(labelled_run)
    held_out = sets[1]
    drawn = np.asarray(run.generator(encode(run.encoder, held_out)))
    found = evaluated[0]["reconstruction"]
    for name, of in (
        ("error", similarity.squared_error),
        ("psnr", similarity.psnr),
        ("ssim", similarity.ssim),
        ("ms_ssim", similarity.ms_ssim),
    ):
        expected = of(held_out, drawn).mean()
        assert found["encoded"][name]["value"] == pytest.approx(expected, rel=1e-5)
    assert found["encoded"]["of_pixel_variance"]["value"] == pytest.approx(
        found["encoded"]["error"]["value"] / np.var(held_out), rel=1e-5
    )
    assert found["refined"]["count"] == 2
    encoded = found["refined"]["same_images_encoded"]["error"]["value"]
    assert found["refined"]["error"]["value"] < encoded


def test_copies_are_searched_in_all_training_images(evaluated, sets):
    training, held_out, _, _, samples = sets
    extract = features.load("random").features
    found = evaluated[0]["faces"]["memorisation"]
    for name, of in (
        ("features random", extract),
        ("pixels", lambda images: to_uint8(images).reshape(len(images), -1)),
    ):
        expected = memorisation.memorisation(of(samples), of(training), of(held_out))
        assert found[name]["training_count"] == len(training) == 60
        assert found[name]["ratio"] == pytest.approx(expected.ratio, rel=1e-4)
        assert found[name]["share"] == expected.share


def test_sparsity_is_that_of_the_codes(evaluated, labelled_run):
    from hcm_tf.prior import draw

    run = checkpoint.load(labelled_run)
    codes = run.generator.trace(draw(run.prior, SEED, COUNT)).codes
    for level, code in zip(run.generator.levels, codes, strict=True):
        active = np.asarray(code) != 0
        shared = tuple(axis + 1 for axis in level.shared_axes)
        usage = active.any(axis=shared).mean(axis=0).ravel()
        found = evaluated[0]["sparsity"][level.name]
        assert found["fraction_kept"] == pytest.approx(active.mean(), rel=1e-9)
        assert found["never_active"] == pytest.approx(np.mean(usage == 0), abs=1e-9)
        assert found["bases"] == level.bases == usage.size


@pytest.mark.long
def test_again_and_with_other_batches(evaluated, labelled_run):
    """The numbers depend on the images alone."""
    for batch in (7, 32):
        options = Options(count=COUNT, seed=SEED, refine=2, batch=batch)
        commands.evaluate([str(labelled_run)], options)
        again = json.loads((labelled_run / "evaluation.json").read_text())
        assert numbers(again) == pytest.approx(
            numbers(evaluated[0]), rel=1e-5, abs=1e-5
        )


def test_provenance(evaluated):
    made = evaluated[0]["provenance"]
    assert (made["step"], made["seed"], made["count"]) == (0, SEED, COUNT)
    assert made["extractors"] == ["random"]
    assert made["packages"].keys() >= {"tensorflow", "keras", "numpy"}
    assert f"{COUNT} other training images" in made["rule"]


def test_the_page_holds_all_that_it_shows(evaluated):
    page = evaluated[1]
    assert not re.search(r"https?:|@import|url\(", page)
    sources = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert len(sources) > 4
    assert all(source.startswith("data:") for source in sources)
    for title in ("Samples", "Nearest training images", "Worst reconstructions"):
        assert f"<h3>{title}</h3>" in page


def test_runs_side_by_side(labelled_run, make_run, tmp_path, capsys):
    config = checkpoint.read_config(labelled_run)
    other = make_run(data=config.data)
    out = tmp_path / "both.html"
    arguments = f"--run_dir={other}", "--count=12", "--refine=0", f"--out={out}"
    assert start(labelled_run, *arguments) == 0
    assert (other / "evaluation.json").exists()
    head = capsys.readouterr().out.splitlines()[0]
    assert head.count("|") == 5
    assert out.read_text().count("<h3>Samples</h3>") == 2


def test_samples_are_those_of_their_seeds(labelled_run):
    run = checkpoint.load(labelled_run)
    found = np.concatenate(list(gather.samples(run, 10, SEED, batch=4)))
    expected = to_uint8(run.sample(10, seed=SEED)).astype(int)
    assert np.abs(found - expected).max() <= 1


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--count=1"], "--count"),
        (["--count=8"], "--count must be at least 12"),
        (["--extractor=magic"], "There are no features 'magic': choose random"),
        (["--extractor=inception"], "The features 'inception' need the graph of 2015"),
        (["--extractor=labels"], "The features 'labels' need a classifier"),
        (["--inception=nowhere.pb"], "nowhere.pb"),
        (["--dataset=folder:/nowhere"], "/nowhere"),
    ],
)
def test_refusals_of_values(labelled_run, capsys, arguments, line):
    assert start(labelled_run, *arguments) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines()[-1].startswith("hcm_tf.evaluate: ")
    assert line in captured.err.splitlines()[-1]


def test_refusals_of_runs(labelled_run, tmp_path, capsys):
    cases = {
        "--run_dir is required": [],
        "no config.json here": [f"--run_dir={tmp_path}"],
        "the same --run_dir is given twice": [f"--run_dir={labelled_run}"] * 2,
    }
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "config.json").write_text((labelled_run / "config.json").read_text())
    cases["no checkpoint in checkpoints/"] = [f"--run_dir={empty}"]
    for text, arguments in cases.items():
        assert main(["evaluate", *arguments]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert text in line


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.5, "0.500"), (123.4, "123"), (1.234, "1.23"), (0, "0"), (None, "-")],
)
def test_numbers_of_the_table(value, text):
    assert table.number(value) == text
