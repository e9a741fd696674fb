"""Each location's own part of the latent: who sees it, and what comes back."""

import dataclasses

import numpy as np
import pytest

from hcm_tf.config import GRID, Label, ModelConfig
from hcm_tf.errors import UserError
from hcm_tf.networks import Encoder, Generator, build_encoder, build_generator
from hcm_tf.runs import checkpoint
from hcm_tf.studio import model_file
from hcm_tf.studio.engine import Engine

CONFIG = ModelConfig(
    image_size=32,
    base_channels=2,
    attributes=12,
    latent_size=48,
    attribute_keep=0.25,
    location_latents=True,
)
LABELS = (Label("hat", ("none", "red"), (0.5, 0.5)),)


def latents(count=2):
    return np.random.default_rng(0).uniform(-1, 1, (count, 48)).astype("float32")


def test_a_location_sees_its_own_part_alone():
    generator = build_generator(CONFIG)
    before, _ = generator._features(latents())
    changed = latents().reshape(2, GRID, GRID, 3)
    changed[:, 1, 2] += 0.5
    after, _ = generator._features(changed.reshape(2, 48))
    differs = np.abs(after - before).max(axis=(0, 3)) > 1e-4
    expected = np.zeros((GRID, GRID), bool)
    expected[1, 2] = True
    np.testing.assert_array_equal(differs, expected)


def test_all_locations_have_the_same_weights():
    generator = build_generator(CONFIG)
    assert generator.fc.kernel.shape == (3, generator.features)
    alike = np.tile(latents()[:, :3], (1, 16))
    found, _ = generator._features(alike)
    expected = np.broadcast_to(found[:, :1, :1], found.shape)
    # Processors round a row of a product as its place among the others has it.
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)
    assert np.abs(found).max() > 0


def test_the_encoder_reads_each_from_its_own_pixel():
    encoder = build_encoder(CONFIG)
    images = np.random.default_rng(1).uniform(-1, 1, (2, 32, 32, 3)).astype("float32")
    features = np.asarray(encoder.trunk(images)).reshape(2, 16, -1)
    kernel = encoder.fc.kernel.numpy() / np.sqrt(features.shape[-1])
    expected = np.tanh(features @ kernel + encoder.fc.bias.numpy()).reshape(2, 48)
    np.testing.assert_allclose(encoder(images), expected, atol=1e-5)


@pytest.mark.parametrize("labels", [(), LABELS], ids=["plain", "labels"])
def test_networks_come_back_from_their_configurations(labels):
    config = dataclasses.replace(CONFIG, labels=labels)
    latent = latents()
    if labels:
        latent = np.concatenate([latent, np.eye(2, dtype="float32")], axis=1)
    images = np.random.default_rng(1).uniform(-1, 1, (2, 32, 32, 3)).astype("float32")
    for network, kind, given in (
        (build_generator(config), Generator, latent),
        (build_encoder(config), Encoder, images),
    ):
        again = kind.from_config(network.get_config())
        again.build((None, *given.shape[1:]))
        again.set_weights(network.get_weights())
        np.testing.assert_array_equal(again(given), network(given))


def test_a_latent_that_cannot_be_shared_out_is_refused():
    with pytest.raises(ValueError, match="must be a multiple of 16"):
        dataclasses.replace(CONFIG, latent_size=50)


def test_a_run_is_read_and_the_browser_refuses_it(make_run, tiny_config):
    model = dataclasses.replace(
        tiny_config.model, latent_size=16, location_latents=True
    )
    run = checkpoint.load(make_run(model=model))
    assert run.sample(2, seed=0).shape == (2, 32, 32, 3)
    with pytest.raises(UserError, match="latents of their own") as caught:
        model_file.pack(Engine(run, "located"))
    assert "\n" not in str(caught.value)
