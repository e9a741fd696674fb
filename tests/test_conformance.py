"""What every layer and network must do. A new one is a new row."""

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from hcm_tf import layers
from hcm_tf.networks import Critic, Encoder, Generator, blocks
from hcm_tf.runs import devices

SMALL = {"widths": (2, 4, 6), "residual_block": 0}


@dataclasses.dataclass(frozen=True)
class Row:
    """A layer or network, and the input it takes."""

    make: Callable[..., keras.layers.Layer]
    arguments: dict[str, Any]
    shape: tuple[int, ...]
    fixed_batch: bool = False

    def build(self, **kwargs: Any) -> keras.layers.Layer:
        keras.utils.set_random_seed(0)
        layer = self.make(**self.arguments, **kwargs)
        layer.build((None, *self.shape))
        return layer

    def input(self, batch: int = 4) -> np.ndarray:
        random = np.random.default_rng(0)
        return random.uniform(-1, 1, (batch, *self.shape)).astype("float32")


ROWS = [
    Row(layers.ChannelTopK, {"k": 2}, (4, 4, 6)),
    Row(layers.SpatialTopK, {"k": 3}, (4, 4, 6)),
    Row(layers.ChannelSelection, {"k": 2, "rule": "sparsemax"}, (4, 4, 6)),
    Row(layers.ChannelSelection, {"k": 2, "always": 3}, (4, 4, 6)),
    Row(layers.SpatialSelection, {"k": 3, "rule": "batch_top_k"}, (4, 4, 6)),
    Row(layers.EqualizedDense, {"units": 3, "gain": 0.5}, (5,)),
    Row(layers.EqualizedConv2D, {"filters": 3, "kernel_size": 5}, (8, 8, 2)),
    Row(layers.UpsampledConv2D, {"filters": 3}, (4, 4, 2)),
    Row(layers.PlacedConv2D, {"filters": 3, "most": 2}, (4, 4, 6)),
    Row(layers.PlacingConv2D, {}, (4, 4, 6)),
    Row(layers.PlacingConv2D, {"shared_opacity": True}, (4, 4, 6)),
    Row(layers.PlacingConv2D, {"stretch": True}, (4, 4, 6)),
    Row(layers.PlacingConv2D, {"shared_opacity": True, "stretch": True}, (4, 4, 6)),
    Row(layers.LocationAttention, {}, (4, 4, 16)),
    Row(layers.ZeroConv2D, {"filters": 3}, (4, 4, 6)),
    Row(layers.TileGate, {}, (8, 8, 6)),
    Row(layers.MinibatchStddev, {"group_size": 2}, (4, 4, 3), fixed_batch=True),
    Row(blocks.GeneratorBlock, {"width": 3, "k": 20, "residual": True}, (4, 4, 2)),
    Row(blocks.GeneratorBlock, {"width": 3, "k": None, "attribute_k": 2}, (4, 4, 6)),
    Row(blocks.GeneratorBlock, {"width": 3, "k": 20, "gated": True}, (4, 4, 2)),
    Row(blocks.DownBlock, {"width": 3, "residual": True}, (8, 8, 2)),
    Row(blocks.Trunk, SMALL, (32, 32, 3)),
    Row(Encoder, {"latent_size": 5, **SMALL}, (32, 32, 3)),
    Row(Critic, {"stddev_group_size": 2, **SMALL}, (32, 32, 3), fixed_batch=True),
    Row(
        Generator,
        {
            "resolutions": (8, 16, 32),
            "widths": (4, 3, 2),
            "attributes": 6,
            "attribute_k": 2,
            "spatial_k": (16, 64),
            "image_channels": 1,
        },
        (5,),
    ),
]


@pytest.fixture(params=ROWS, ids=lambda row: row.make.__name__)
def row(request):
    return request.param


def test_configuration_says_all(row):
    layer = row.build()
    again = type(layer).from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    again.build((None, *row.shape))
    again.set_weights(layer.get_weights())
    np.testing.assert_array_equal(again(row.input()), layer(row.input()))


def test_keras_file_round_trip(row, tmp_path):
    layer = row.build()
    given = keras.Input(row.shape, batch_size=4)
    model = keras.Model(given, layer(given))
    expected = model(row.input())
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(row.input()), expected)


def test_network_file_round_trip(row, tmp_path):
    network = row.build()
    if not isinstance(network, keras.Model):
        pytest.skip("a layer")
    expected = network(row.input())
    network.save(tmp_path / "network.keras")
    loaded = keras.models.load_model(tmp_path / "network.keras")
    assert type(loaded) is type(network)
    np.testing.assert_array_equal(loaded(row.input()), expected)


def test_output_shape_is_the_computed_one(row):
    layer = row.build()
    given = keras.Input(row.shape, batch_size=4)
    assert layer(given).shape == layer(row.input()).shape


def test_half_precision_is_near(row):
    full, half = row.build(), row.build(dtype="mixed_bfloat16")
    half.set_weights(full.get_weights())
    assert {variable.dtype for variable in half.variables} <= {"float32"}
    expected = np.asarray(full(row.input()), "float32")
    actual = np.asarray(half(row.input()), "float32")
    # Eight bits of mantissa, and units that rounding moves across a threshold.
    error = np.sqrt(np.mean(np.square(actual - expected)))
    assert 0 <= error <= 0.2 * np.sqrt(np.mean(np.square(expected))) + 1e-3
    assert np.isfinite(actual).all()


def test_replicas_share_the_batch(row):
    names = [device.name for device in tf.config.list_logical_devices("CPU")[:2]]
    strategy = devices.mirrored(names)
    with strategy.scope():
        layer = row.build()
    parts = tf.data.Dataset.from_tensors(row.input()).map(
        # Whole groups of the minibatch standard deviation for each replica.
        lambda x: tf.concat([x[::2], x[1::2]], axis=0)
    )
    (batch,) = strategy.experimental_distribute_dataset(parts.unbatch().batch(4))
    outputs = strategy.run(tf.function(layer, autograph=False), (batch,))
    outputs = np.concatenate(strategy.experimental_local_results(outputs))
    expected = np.asarray(layer(row.input()))
    np.testing.assert_allclose(outputs, expected[[0, 2, 1, 3]], atol=1e-5)


def test_export_gives_the_same(row, tmp_path):
    layer = row.build()
    if row.fixed_batch and isinstance(layer, keras.Model):
        pytest.skip("Keras exports a network for any batch, and this one needs to know")
    batch = 4 if row.fixed_batch else None
    archive = keras.export.ExportArchive()
    archive.track(layer)
    archive.add_endpoint(
        "serve",
        layer.call,
        input_signature=[tf.TensorSpec((batch, *row.shape), tf.float32)],
    )
    archive.write_out(str(tmp_path / "saved"), verbose=False)
    loaded = tf.saved_model.load(str(tmp_path / "saved"))
    np.testing.assert_allclose(loaded.serve(row.input()), layer(row.input()), atol=1e-5)


def test_sparsity_in_a_decoder_of_ones_own(tmp_path):
    """The README's example: layers work in any functional model."""
    latent = keras.Input((8,))
    x = keras.layers.Dense(4 * 4 * 16, activation="relu")(latent)
    x = layers.ChannelTopK(4)(keras.layers.Reshape((4, 4, 16))(x))
    x = keras.layers.Conv2DTranspose(8, 4, 2, "same", activation="relu")(x)
    x = layers.SpatialTopK(16)(x)
    decoder = keras.Model(latent, keras.layers.Conv2D(3, 3, padding="same")(x))
    decoder.compile(keras.optimizers.Adam(0.01), "mse")
    inputs = np.random.default_rng(0).normal(size=(32, 8)).astype("float32")
    targets = np.tanh(inputs[:, :3])[:, None, None].repeat(8, 1).repeat(8, 2)
    before = decoder.evaluate(inputs, targets, verbose=0)
    decoder.fit(inputs, targets, epochs=60, verbose=0)
    assert decoder.evaluate(inputs, targets, verbose=0) < 0.7 * before
    decoder.save(tmp_path / "decoder.keras")
    loaded = keras.models.load_model(tmp_path / "decoder.keras")
    np.testing.assert_array_equal(loaded(inputs), decoder(inputs))
