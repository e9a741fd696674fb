"""The class as an OR node, in numbers and in the report."""

import dataclasses
import json

import numpy as np
import pytest
from PIL import Image

from hcm_tf import labels
from hcm_tf.config import Label
from hcm_tf.explain import classes, commands
from hcm_tf.explain.decoder import Decoder
from hcm_tf.prior import draw
from hcm_tf.runs import checkpoint

KNOWN = (
    Label("shape", ("round", "square", "none"), (0.5, 0.3, 0.2)),
    Label("hat", ("none", "red"), (0.9, 0.1)),
)


@pytest.fixture(scope="module")
def run_dir(make_run, tiny_config):
    return make_run(model=dataclasses.replace(tiny_config.model, labels=KNOWN))


@pytest.fixture(scope="module")
def explained(run_dir):
    run = checkpoint.load(run_dir).choose(["square", "hat=red"])
    decoder = Decoder(run.generator, progress=False)
    return run, decoder, decoder.record(draw(run.prior, 4, 1))[0]


@pytest.mark.parametrize("index", [0, 1])
def test_counterfactuals_are_the_same_latent_as_other_classes(explained, index):
    run, decoder, recording = explained
    found = classes.counterfactuals(decoder, recording, KNOWN, index)
    assert [one.name for one in found] == list(KNOWN[index].classes)
    assert [one.own for one in found] == [
        name in ("square", "red") for name in KNOWN[index].classes
    ]
    for number, one in enumerate(found):
        latent = labels.replaced(KNOWN, recording.latent[None], {index: number})
        trace = run.generator.trace(latent)
        np.testing.assert_allclose(one.image, trace.image[0], atol=1e-6)
        active = recording.codes[0] != 0
        expected = np.mean(trace.codes[0].numpy()[0][active] != 0)
        assert one.kept == pytest.approx(expected)
        if one.own:
            assert (one.kept, one.change) == (1.0, pytest.approx(0, abs=1e-10))
        else:
            assert one.change > 1e-5


def test_preferences_are_the_gates_of_active_attributes(explained):
    run, decoder, recording = explained
    found = classes.preferences(decoder, recording, KNOWN, 0)
    assert 1 <= len(found) <= classes.MOST_PREFERRED
    gates = [
        run.generator.class_gates(
            labels.one_hot(KNOWN, np.array([[number, 1]]))
        ).numpy()[0]
        for number in range(3)
    ]
    ratios = gates[1] / ((gates[0] + gates[2]) / 2)
    best = np.sort(ratios[recording.codes[0] != 0])[::-1]
    for one, expected in zip(found, best, strict=False):
        place = one.row, one.column, one.basis
        assert recording.codes[0][place] != 0
        assert one.gate == pytest.approx(gates[1][place], rel=1e-5)
        assert one.gate / one.others == pytest.approx(expected, rel=1e-4)
        alone = np.zeros_like(recording.codes[0])
        alone[place] = recording.codes[0][place]
        picture = decoder.replay(recording, 0, alone[None])[0]
        np.testing.assert_allclose(one.logits, picture, atol=1e-6)


def test_of_many_classes_those_that_change_least_are_shown(explained, monkeypatch):
    _, decoder, recording = explained
    every = classes.counterfactuals(decoder, recording, KNOWN, 0)
    monkeypatch.setattr(classes, "MOST_CLASSES", 2)
    some = classes.counterfactuals(decoder, recording, KNOWN, 0)
    others = sorted((one for one in every if not one.own), key=lambda one: one.change)
    assert {one.name for one in some} == {"square", others[0].name}


def test_the_report_shows_classes(run_dir, tmp_path):
    source = commands.Source(seed=4, classes=("square", "hat=red"))
    commands.make_report(run_dir, tmp_path, source, memory_mb=200)
    text = (tmp_path / "report.html").read_text()
    start = text.index('id="data">') + len('id="data">')
    data = json.loads(text[start : text.index("</script>", start)])
    (image,) = data["images"]
    assert image["title"] == "seed 4, shape=square, hat=red"
    assert [label["name"] for label in image["classes"]] == ["shape", "hat"]
    assert image["classes"][0]["count"] == 3
    assert len(image["classes"][0]["prefers"]) > 0
    sheet = np.asarray(Image.open(tmp_path / "image-1" / "classes-2.png"))
    assert sheet.shape == (32, 64, 3)


def test_an_image_is_explained_as_the_class_that_is_asked_for(run_dir, tmp_path):
    path = tmp_path / "face.png"
    pixels = np.random.default_rng(0).integers(0, 255, (32, 32, 3), "uint8")
    Image.fromarray(pixels).save(path)
    run = checkpoint.load(run_dir)
    decoder = Decoder(run.generator, progress=False)
    for number, name in enumerate(KNOWN[0].classes):
        source = commands.Source(
            images=(str(path),), refine_steps=1, classes=(f"shape={name}",)
        )
        (subject,) = commands.find_subjects(run, decoder, source)
        behind = subject.recording.latent[6:9]
        np.testing.assert_array_equal(behind, np.eye(3)[number])
        assert f"face.png, shape={name}, hat=" in subject.title
