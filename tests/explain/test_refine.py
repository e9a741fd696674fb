import numpy as np
import pytest
from explain_helpers import make_decoder

from hcm_tf.explain.refine import refine


@pytest.fixture(scope="module")
def problem():
    """Images that the generator can draw, and latents somewhat off."""
    generator = make_decoder("grey").generator
    random = np.random.default_rng(0)
    latents = random.uniform(-0.9, 0.9, (3, generator.latent_size)).astype("float32")
    start = latents + random.normal(0, 0.2, latents.shape).astype("float32")
    return generator, np.asarray(generator(latents)), start


def test_refining_lowers_the_error_of_every_image(problem):
    generator, images, start = problem
    refined = refine(
        generator, images, start, steps=60, learning_rate=0.02, progress=False
    )
    assert np.all(refined.error_after < 0.8 * refined.error_before)
    drawn = np.asarray(generator(refined.latents))
    errors = np.mean(np.square(drawn - images), axis=(1, 2, 3))
    np.testing.assert_allclose(errors, refined.error_after, rtol=1e-4)
    assert np.abs(refined.latents).max() <= 1.0


def test_images_are_refined_independently(problem):
    generator, images, start = problem
    together = refine(generator, images, start, steps=5, progress=False)
    alone = refine(generator, images[1:2], start[1:2], steps=5, progress=False)
    np.testing.assert_allclose(together.latents[1], alone.latents[0], atol=1e-4)


def test_no_steps_only_measure_and_latents_are_clipped(problem):
    generator, images, start = problem
    refined = refine(generator, images, 10 * start, steps=0, progress=False)
    np.testing.assert_array_equal(refined.latents, np.clip(10 * start, -1, 1))
    np.testing.assert_array_equal(refined.error_before, refined.error_after)


@pytest.mark.parametrize("wrong", [{"steps": -1}, {"learning_rate": 0.0}])
def test_bad_arguments(problem, wrong):
    with pytest.raises(ValueError, match="`steps` must not be negative"):
        refine(*problem, **wrong)
