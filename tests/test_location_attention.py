"""Attention of locations: nothing at first, then what the formula says; exact above."""

import dataclasses

import keras
import numpy as np
import pytest
import reference
import tensorflow as tf
from test_placed_networks import FREE, GRID, latents, moved

from export import conversion, quality
from export.signatures import Signature
from hcm_tf.errors import UserError
from hcm_tf.layers import LocationAttention
from hcm_tf.networks import Generator, build_generator
from hcm_tf.operations import apply
from hcm_tf.runs import checkpoint
from hcm_tf.studio import model_file
from hcm_tf.studio.engine import Engine


def attending(layer):
    """Its last kernel is not zero any more."""
    kernel = layer.out.kernel
    kernel.assign(np.random.default_rng(3).normal(size=kernel.shape))
    return layer


def test_it_is_the_formula_over_locations():
    keras.utils.set_random_seed(0)
    layer = LocationAttention()
    layer.build((None, 4, 4, 16))
    x = np.random.default_rng(0).normal(size=(2, 4, 4, 16)).astype("float32") * 2
    np.testing.assert_array_equal(layer(x), x)  # At first it adds nothing.
    attending(layer)
    flat = x.reshape(2, 16, 16)
    query, key, value, out = (
        part.kernel.numpy()[0, 0] / 4
        for part in (layer.query, layer.key, layer.value, layer.out)
    )
    expected, zeros = np.empty_like(flat), 0
    for b in range(2):
        scores = (flat[b] @ query) @ (flat[b] @ key).T / np.sqrt(2)
        weights = np.stack([reference.sparsemax(row) for row in scores])
        zeros += (weights == 0).mean() / 2
        expected[b] = flat[b] + (weights @ (flat[b] @ value)) @ out
    np.testing.assert_allclose(layer(x), expected.reshape(x.shape), atol=1e-5)
    assert zeros > 0.3


def test_it_begins_as_without_and_comes_back():
    keras.utils.set_random_seed(0)
    config = dataclasses.replace(GRID, location_attention=True)
    generator = build_generator(config)
    plain = build_generator(GRID)
    own = [w for w in generator.weights if "attention" not in w.path]
    plain.set_weights([w.numpy() for w in own])
    np.testing.assert_array_equal(generator(latents()), plain(latents()))
    attending(generator.attention)
    assert np.abs(generator(latents()) - plain(latents())).max() > 1e-3
    again = Generator.from_config(generator.get_config())
    again.build((None, 10))
    again.set_weights(generator.get_weights())
    np.testing.assert_array_equal(again(latents()), generator(latents()))


def test_the_last_kernel_learns_first_and_then_all_do():
    generator = build_generator(dataclasses.replace(GRID, location_attention=True))
    layer = generator.attention

    def gradients():
        parts = (layer.out, layer.query, layer.key, layer.value)
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(generator(latents()) ** 2)
        kernels = [part.kernel.value for part in parts]
        return [np.abs(g).max() for g in tape.gradient(loss, kernels)]

    out, *others = gradients()
    assert out > 0
    assert others == [0, 0, 0]
    attending(layer)
    assert min(gradients()) > 0


def test_parts_sum_and_the_device_draws_the_same():
    config = dataclasses.replace(
        FREE, image_size=32, location_attention=True, location_latents=True,
        latent_size=32,
    )  # fmt: skip
    generator = moved(config)
    attending(generator.attention)
    latent = np.random.default_rng(0).uniform(-1, 1, (3, 32)).astype("float32")
    trace = generator.trace(latent)
    for level, code in enumerate(trace.codes):
        halves = [
            generator.replay(level, part, trace.gates)
            for part in (code * 0.25, code * 0.75)
        ]
        residual = np.abs(sum(halves) - trace.logits).max()
        assert residual <= 1e-5 * np.abs(trace.logits).max()
    apply(generator, "device")
    spec = tf.TensorSpec((None, 32), tf.float32, "latent")
    signature = Signature(lambda x: {"images": generator(x)}, spec)
    # Refuses what is no TFLite builtin.
    contents = conversion.convert(generator, {"generate": signature}, "float32")
    found = quality.runner(contents, "generate")(latent=latent)
    np.testing.assert_allclose(found["images"], trace.image, atol=1e-4)


def test_the_browser_refuses_it(make_run, tiny_config):
    model = dataclasses.replace(tiny_config.model, location_attention=True)
    run = checkpoint.load(make_run(model=model))
    with pytest.raises(UserError, match="learn from others"):
        model_file.pack(Engine(run, "attending"))
