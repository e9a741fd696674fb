"""Leaky ReLU that keeps its result alone: values and derivatives of every order."""

import numpy as np
import tensorflow as tf

from hcm_tf.operations.activation import leaky_relu

RANDOM = np.random.default_rng(0)


def test_equals_the_plain_one_with_two_derivatives():
    x = tf.constant(RANDOM.normal(size=(4, 5)))
    weight = tf.constant(RANDOM.normal(size=(4, 5)))

    def derivatives(activate):
        with tf.GradientTape() as second:
            second.watch([x, weight])
            with tf.GradientTape() as first:
                first.watch(x)
                y = activate(x * x * x)
                loss = tf.reduce_sum(weight * y)
            once = first.gradient(loss, x)
            norm = tf.reduce_sum(once**2)
        return y, once, *second.gradient(norm, [x, weight])

    expected = derivatives(lambda x: tf.nn.leaky_relu(x, 0.2))
    for actual, value in zip(
        derivatives(lambda x: leaky_relu(x, 0.2)), expected, strict=True
    ):
        np.testing.assert_allclose(actual, value, rtol=1e-12)


def test_gradient_reads_the_result_and_not_the_input():
    @tf.function(autograph=False)
    def gradient(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = leaky_relu(x, 0.2)
        return tape.gradient(y, x)

    graph = gradient.get_concrete_function(tf.TensorSpec((3,), tf.float32)).graph
    (operation,) = (o for o in graph.get_operations() if o.type == "LeakyReluGrad")
    source = operation.inputs[1].op
    while source.type in ("Identity", "IdentityN", "StopGradient"):
        source = source.inputs[0].op
    assert source.type == "LeakyRelu"
