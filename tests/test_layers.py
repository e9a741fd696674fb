"""The layers, each against the oracle, and saved and restored by configuration."""

import keras
import numpy as np
import pytest
import reference
import tensorflow as tf

from hcm_tf import layers
from hcm_tf.operations import apply
from hcm_tf.operations.placement import placement_kernel

RANDOM = np.random.default_rng(0)


def images(*shape):
    return RANDOM.normal(size=shape).astype("float32")


@pytest.mark.parametrize("execution", ["fast", "reference"])
def test_top_k_layers(execution):
    x = images(3, 4, 4, 6)
    np.testing.assert_array_equal(
        apply(layers.ChannelTopK(2), execution)(x), reference.channel_top_k(x, 2)
    )
    np.testing.assert_array_equal(
        apply(layers.SpatialTopK(5), execution)(x), reference.spatial_top_k(x, 5)
    )


@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "mixed_float16"])
def test_top_k_layers_in_half_precision(dtype):
    x = images(3, 4, 4, 6)
    y = layers.SpatialTopK(5, dtype=dtype)(x)
    assert y.dtype == dtype.removeprefix("mixed_")
    rounded = tf.cast(tf.cast(x, y.dtype), "float32").numpy()
    np.testing.assert_array_equal(
        tf.cast(y, "float32"), reference.spatial_top_k(rounded, 5)
    )


@pytest.mark.parametrize(
    ("layer", "competitors"), [(layers.ChannelTopK, 6), (layers.SpatialTopK, 16)]
)
def test_k_is_checked_against_the_input(layer, competitors):
    with pytest.raises(ValueError, match=r"at least 1.*k=0"):
        layer(0)
    with pytest.raises(ValueError, match=rf"between 1 and {competitors} .*k=17"):
        layer(17)(images(1, 4, 4, 6))


def test_equalised_kernels_are_drawn_from_the_unit_normal():
    keras.utils.set_random_seed(0)
    layer = layers.EqualizedConv2D(64, 3)
    layer.build((None, 8, 8, 32))
    kernel = layer.kernel.numpy()
    assert abs(kernel.mean()) < 0.03
    assert abs(kernel.std() - 1.0) < 0.03
    assert layer.scale == pytest.approx(np.sqrt(2 / (3 * 3 * 32)))


# Small and large inputs: the scale goes to whichever of input and kernel is smaller.
@pytest.mark.parametrize("size", [2, 16])
def test_equalised_convolution(size):
    x = images(2, size, size, 3)
    layer = layers.EqualizedConv2D(4, 3)
    y = layer(x)
    expected = reference.convolve(x, layer.kernel.numpy() * np.sqrt(2 / 27))
    np.testing.assert_allclose(y, expected, atol=1e-5)


def test_equalised_dense():
    x = images(5, 7)
    layer = layers.EqualizedDense(4, gain=0.5)
    layer.build(x.shape)
    layer.bias.assign([1.0, 2.0, 3.0, 4.0])
    expected = x @ layer.kernel.numpy() * 0.5 / np.sqrt(7) + [1.0, 2.0, 3.0, 4.0]
    np.testing.assert_allclose(layer(x), expected, atol=1e-6)


@pytest.mark.parametrize("execution", ["fast", "reference"])
def test_upsampled_convolution(execution):
    x = images(2, 4, 4, 3)
    layer = apply(layers.UpsampledConv2D(5), execution)
    y = layer(x)
    kernel = layer.kernel.numpy() * np.sqrt(2 / 27)
    expected = reference.convolve(reference.upsample(x), kernel)
    np.testing.assert_allclose(y, expected, atol=1e-5)


@pytest.mark.parametrize("execution", ["fast", "reference"])
def test_placed_convolution(execution):
    x = images(2, 4, 4, 3)
    layer = apply(layers.PlacedConv2D(5, 3), execution)
    y = layer(x)
    # fan_in counts all 16 * 3 placed channels, as in the published network.
    kernel = np.asarray(placement_kernel(layer.kernel)) * np.sqrt(2 / (9 * 48))
    expected = reference.convolve(reference.upsample(reference.place(x)), kernel)
    np.testing.assert_allclose(y, expected, atol=1e-5)


@pytest.mark.parametrize(("batch", "group"), [(20, 10), (6, 2), (3, 10), (1, 4)])
def test_minibatch_stddev(batch, group):
    x = images(batch, 2, 2, 3)
    y = layers.MinibatchStddev(group)(x)
    np.testing.assert_allclose(y, reference.minibatch_stddev(x, group), atol=1e-6)


def test_minibatch_stddev_refuses_what_it_cannot_group():
    with pytest.raises(ValueError, match="Received: 15"):
        layers.MinibatchStddev(10)(images(15, 2, 2, 3))


@pytest.mark.parametrize(
    "layer",
    [
        layers.ChannelTopK(3, name="a"),
        layers.SpatialTopK(3, name="b"),
        layers.EqualizedDense(3, gain=0.5),
        layers.EqualizedConv2D(3, 5, gain=0.5),
        layers.UpsampledConv2D(3),
        layers.PlacedConv2D(3, 2),
        layers.MinibatchStddev(4),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_configuration_round_trip(layer):
    configuration = layer.get_config()
    assert type(layer).from_config(configuration).get_config() == configuration


def test_shares_of_locations_sum_to_1_in_half_precision():
    x = np.random.default_rng(0).normal(scale=4, size=(8, 4, 4, 64))
    layer = layers.LocationAttention(dtype="mixed_bfloat16")
    layer.build(x.shape)
    shares = layer.weights_of(keras.ops.cast(x, "bfloat16"))
    np.testing.assert_allclose(np.sum(shares, axis=-1), 1, atol=1e-5)
    assert np.mean(np.equal(shares, 0)) > 0.2
