"""The masks, against the NumPy loops of reference.py."""

import keras
import numpy as np
import pytest
import reference
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hcm_tf import sparsity
from hcm_tf.operations import EXECUTIONS

# Few different values make ties likely; negatives and zeros occur.
VALUES = st.sampled_from([-2.0, -1.0, -0.5, 0.0, 0.0, 0.25, 1.0, 1.0, 3.0])
SELECTS = [pytest.param(e.select, id=name) for name, e in EXECUTIONS.items()]
FUNCTIONS = [
    pytest.param(sparsity.channel_top_k_mask, reference.channel_top_k, id="channel"),
    pytest.param(sparsity.spatial_top_k_mask, reference.spatial_top_k, id="spatial"),
]


def competitors(function, shape):
    if function is sparsity.channel_top_k_mask:
        return shape[-1]
    return shape[1] * shape[2]


def kept(function, x, k, select=sparsity.kth_largest):
    return np.asarray(sparsity.keep(x, function(tf.constant(x), k, select)))


@pytest.mark.parametrize("select", SELECTS)
@pytest.mark.parametrize(("function", "oracle"), FUNCTIONS)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_masks_equal_the_loops(function, oracle, select, data):
    shape = data.draw(hnp.array_shapes(min_dims=4, max_dims=4, max_side=5))
    x = data.draw(hnp.arrays("float32", shape, elements=VALUES))
    k = data.draw(st.integers(1, competitors(function, shape)))
    np.testing.assert_array_equal(kept(function, x, k, select), oracle(x, k))


@pytest.mark.parametrize("select", SELECTS)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize(("function", "oracle"), FUNCTIONS)
def test_every_float_type(function, oracle, select, dtype):
    x = np.random.default_rng(0).normal(size=(2, 6, 6, 12))
    # Rounded to the narrow type first: then the oracle sees the same values and ties.
    x = tf.cast(tf.constant(x), dtype)
    exact = tf.cast(x, "float64").numpy()
    actual = sparsity.keep(x, function(x, 5, select))
    assert actual.dtype == dtype
    np.testing.assert_array_equal(tf.cast(actual, "float64").numpy(), oracle(exact, 5))


@pytest.mark.parametrize(("function", "oracle"), FUNCTIONS)
def test_ties_are_kept_and_nothing_is_cut_below_k_positives(function, oracle):
    tied = np.ones((1, 2, 2, 4), "float32")
    np.testing.assert_array_equal(kept(function, tied, 2), tied)
    rectified = np.zeros((1, 2, 2, 4), "float32")
    rectified[0, 0, 0, 0] = 7.0
    np.testing.assert_array_equal(kept(function, rectified, 3), rectified)


@pytest.mark.parametrize(("function", "oracle"), FUNCTIONS)
def test_k_equal_to_everything_is_the_identity(function, oracle):
    x = np.random.default_rng(1).normal(size=(2, 3, 3, 9)).astype("float32")
    np.testing.assert_array_equal(kept(function, x, 9), x)


@pytest.mark.parametrize("k", [0, -1, 10])
@pytest.mark.parametrize(("function", "oracle"), FUNCTIONS)
def test_k_out_of_range_is_refused(function, oracle, k):
    with pytest.raises(ValueError, match=r"`k` must be between 1 and 9 .*k="):
        function(np.zeros((1, 3, 3, 9), "float32"), k)


def test_spatial_mask_needs_rank_four():
    with pytest.raises(ValueError, match="shape"):
        sparsity.spatial_top_k_mask(np.zeros((3, 9), "float32"), 2)


@pytest.mark.parametrize("select", SELECTS)
@pytest.mark.parametrize(("function", "oracle"), FUNCTIONS)
def test_gradient_reaches_the_kept_values_only(function, oracle, select):
    x = tf.constant(np.random.default_rng(2).normal(size=(2, 4, 4, 16)), "float32")
    weights = tf.constant(np.random.default_rng(3).normal(size=x.shape), "float32")
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.reduce_sum(weights * sparsity.keep(x, function(x, 6, select)))
    expected = np.where(oracle(x.numpy(), 6) != 0, weights.numpy(), 0)
    np.testing.assert_array_equal(tape.gradient(y, x).numpy(), expected)


def test_masks_work_on_symbolic_inputs():
    inputs = keras.Input((4, 4, 8))
    assert sparsity.spatial_top_k_mask(inputs, 3).shape == (None, 4, 4, 8)
    assert sparsity.channel_top_k_mask(inputs, 3).shape == (None, 4, 4, 8)
