"""What a run measures, against direct computation."""

import dataclasses

import numpy as np
import pytest

from hcm_tf.config import Label
from hcm_tf.labels import behind
from hcm_tf.networks import build_encoder, build_generator
from hcm_tf.prior import Uniform, draw
from hcm_tf.runs.preview import STATISTICS_SAMPLES, Preview

LATENTS = draw(Uniform(6), 0, STATISTICS_SAMPLES)


@pytest.fixture(scope="module")
def preview(tiny_config):
    model = tiny_config.model
    random = np.random.default_rng(0)
    held_out = random.uniform(-1, 1, (40, 32, 32, 3)).astype("float32")
    return Preview(build_generator(model), build_encoder(model), held_out, Uniform(6))


def test_error_and_variances(preview):
    measured = preview.measure()
    images = preview.held_out
    drawn = np.asarray(preview.generator(preview.encoder(images)))
    error = np.mean((drawn - images) ** 2)
    assert measured["held_out_error"] == pytest.approx(error, rel=1e-5)
    assert measured["held_out_of_pixel_variance"] == pytest.approx(
        error / images.var(), rel=1e-4
    )
    assert measured["held_out_of_image_variance"] == pytest.approx(
        error / images.var(axis=0).mean(), rel=1e-4
    )


def test_samples_are_those_of_the_seeds_from_0(preview):
    drawn = np.asarray(preview.generator(LATENTS[:64]))
    np.testing.assert_allclose(preview.samples(), drawn, atol=1e-5)


def test_sparsity_of_every_level(preview):
    measured = preview.measure()
    codes = [np.asarray(code) != 0 for code in preview.generator.trace(LATENTS).codes]
    for level, (name, code) in enumerate(
        zip(preview.generator.level_names, codes, strict=True)
    ):
        assert measured[f"active_{name}"] == pytest.approx(code.mean(), abs=1e-4)
        used = code.any(axis=0) if level == 0 else code.any(axis=(0, 1, 2))
        assert measured[f"never_active_{name}"] == pytest.approx(1 - used.mean())


def test_each_row_of_images_stands_above_its_reconstructions(preview):
    shown = preview.reconstructions()
    assert shown.shape == (64, 32, 32, 3)
    np.testing.assert_array_equal(shown[16:24], preview.held_out[8:16])
    drawn = preview.generator(preview.encoder(preview.held_out[8:16]))
    np.testing.assert_allclose(shown[24:32], drawn, atol=1e-5)


def test_classes_that_are_misread_are_counted_where_they_are_known(tiny_config):
    """TensorFlow Datasets gives -1 where a split keeps its labels secret."""
    known = tuple(
        Label(name, ("a", "b"), (0.5, 0.5)) for name in ("half", "right", "secret")
    )
    model = dataclasses.replace(tiny_config.model, labels=known)
    generator, encoder = build_generator(model), build_encoder(model)
    random = np.random.default_rng(0)
    held_out = random.uniform(-1, 1, (20, 32, 32, 3)).astype("float32")
    numbers = behind(known, np.asarray(encoder(held_out)))
    numbers[:5, 0] = 1 - numbers[:5, 0]
    numbers[10:, :2] = numbers[:, 2] = -1
    preview = Preview(generator, encoder, held_out, Uniform(6), known, numbers)
    measured = preview.measure()
    misread = {name: x for name, x in measured.items() if name.startswith("misread")}
    assert misread == {"misread_half": 0.5, "misread_right": 0.0}
