"""The benchmark of gated blocks closes what it says, and draws the same either way."""

import numpy as np
import pytest

from benchmarks.gated_blocks import gated
from hcm_tf.config import ModelConfig
from hcm_tf.networks import build_generator
from hcm_tf.networks.multiply_adds import computed, skippable
from hcm_tf.operations import apply

TINY = ModelConfig(base_channels=2, attributes=12, latent_size=6)


@pytest.mark.parametrize("skipped", [0.0, 0.25, 0.75])
def test_that_share_of_the_tiles_is_closed(skipped):
    without = build_generator(TINY)
    latent = np.random.default_rng(0).uniform(-1, 1, (4, 6)).astype("float32")
    generator = gated(without, 4, skipped)
    done = computed(generator, generator.trace(latent).gates).sum()
    assert done == (1 - skipped) * 4 * sum(skippable(generator))
    plain = generator(latent)
    np.testing.assert_allclose(apply(generator, "skipping")(latent), plain, atol=1e-6)
    drawn = without(latent)
    if skipped:
        assert np.abs(plain - drawn).max() > 1e-4
    else:
        np.testing.assert_array_equal(plain, drawn)
