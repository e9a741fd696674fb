"""Projections, against other implementations, loops and finite differences."""

import pathlib

import keras
import numpy as np
import pytest
import reference
import tensorflow as tf

from hcm_tf.sparsity import simplex

SCALES = ("0.1", "1", "10")
PROJECTIONS = {
    "sparsemax": simplex.sparsemax,
    "entmax15": simplex.entmax15,
    "capped_simplex": lambda z: simplex.capped_simplex(z, 4),
    "sparsestmax": lambda z: simplex.sparsestmax(z, 0.4),
    "sparsestmax, far": lambda z: simplex.sparsestmax(z, 0.6),
}
each = pytest.mark.parametrize("project", PROJECTIONS.values(), ids=PROJECTIONS)


@pytest.fixture(scope="module")
def golden():
    path = pathlib.Path(__file__).parents[1] / "golden" / "sparsity.npz"
    with np.load(path) as arrays:
        return {name: arrays[name] for name in arrays.files}


def gradient(project, z, cotangent):
    z = tf.constant(z)
    with tf.GradientTape() as tape:
        tape.watch(z)
        value = tf.reduce_sum(project(z) * cotangent)
    return tape.gradient(value, z).numpy()


@pytest.mark.parametrize(("dtype", "error"), [("float64", 1e-12), ("float32", 1e-5)])
@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", ["sparsemax", "entmax15"])
def test_values_and_gradients_are_those_of_entmax(golden, name, scale, dtype, error):
    project = getattr(simplex, name)
    scores = golden[f"scores_{scale}"].astype(dtype)
    cotangent = golden["cotangent"].astype(dtype)
    values = project(tf.constant(scores)).numpy()
    assert values.dtype == dtype
    np.testing.assert_allclose(values, golden[f"{name}_{scale}"], atol=error)
    found = gradient(project, scores, cotangent)
    expected = golden[f"{name}_gradient_{scale}"]
    np.testing.assert_allclose(found, expected, atol=max(error, 1e-6))


@pytest.mark.parametrize(("dtype", "error"), [("float64", 1e-12), ("float32", 1e-5)])
@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("k", [1, 5, 22])
def test_capped_shares_are_those_of_scipy(golden, k, scale, dtype, error):
    scores = tf.constant(golden[f"scores_{scale}"].astype(dtype))
    values = simplex.capped_simplex(scores, k).numpy()
    np.testing.assert_allclose(values, golden[f"capped_{k}_{scale}"], atol=error)


@pytest.mark.parametrize("part", [0.05, 0.3, 0.6, 0.9, 0.99])
@pytest.mark.parametrize("scale", [0.01, 0.3, 1.0, 10.0])
def test_sparsestmax_is_the_published_loop(scale, part):
    z = np.random.default_rng(0).normal(scale=scale, size=(100, 17))
    radius = part * np.sqrt(1 - 1 / 17)
    values = simplex.sparsestmax(tf.constant(z), radius).numpy()
    expected = [reference.sparsestmax(row, radius) for row in z]
    np.testing.assert_allclose(values, expected, atol=1e-10)
    distance = np.linalg.norm(values - 1 / 17, axis=-1)
    assert distance.min() > radius - 1e-9


@each
@pytest.mark.parametrize("scale", [0.3, 1.0, 5.0])
def test_gradients_are_those_of_finite_differences(project, scale):
    random = np.random.default_rng(1)
    z = random.normal(scale=scale, size=(8, 11))
    cotangent, way = random.normal(size=(2, 8, 11))
    step = 1e-6

    def value(z):
        return np.sum(project(tf.constant(z)).numpy() * cotangent, axis=-1)

    numeric = (value(z + step * way) - value(z - step * way)) / (2 * step)
    exact = np.sum(gradient(project, z, cotangent) * way, axis=-1)
    # A step that crosses an edge of the projection would see another slope.
    same = [
        np.array_equal(project(tf.constant(z + s * step * way)).numpy() > 0, at > 0)
        for at in [project(tf.constant(z)).numpy()]
        for s in (-1, 1)
    ]
    assert all(same)
    np.testing.assert_allclose(exact, numeric, atol=1e-6)
    assert np.abs(numeric).max() > 1e-3


@each
@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_shares_are_exactly_sparse_and_finite(project, dtype):
    z = tf.cast(np.random.default_rng(2).normal(scale=3, size=(50, 64)), dtype)
    values = tf.cast(project(z), "float32").numpy()
    assert np.isfinite(values).all()
    assert values.min() == 0.0
    assert (values == 0).mean() > 0.3


@each
def test_equal_scores_are_treated_alike(project):
    values = project(tf.zeros((2, 8))).numpy()
    assert np.ptp(values) < 1e-7
    tied = project(tf.constant([[2.0, 2.0, 1.0, 1.0, 0.0, 0.0, 0.0, -9.0]])).numpy()[0]
    np.testing.assert_allclose(tied[[0, 2, 4]], tied[[1, 3, 5]], atol=1e-7)


@each
def test_they_are_compiled(project):
    z = np.random.default_rng(3).normal(size=(4, 12)).astype("float32")
    compiled = tf.function(project)(tf.constant(z))
    np.testing.assert_allclose(compiled, project(tf.constant(z)), atol=1e-6)


def test_capped_shares_become_top_k_as_scores_part():
    z = np.random.default_rng(4).normal(size=(6, 20)).astype("float32")
    values = simplex.capped_simplex(tf.constant(1e4 * z), 5).numpy()
    np.testing.assert_array_equal(values, reference.channel_top_k(z, 5) != 0)


def test_capped_shares_of_all_are_ones():
    values = simplex.capped_simplex(keras.ops.convert_to_tensor([[3.0, -2.0, 0.5]]), 3)
    np.testing.assert_array_equal(values, [[1.0, 1.0, 1.0]])
