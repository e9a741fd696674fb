"""Selection by chance: k competitors without replacement, and the chance of that.

Adding Gumbel noise to scores and keeping the k largest draws from the Plackett-Luce
distribution: one competitor after the other, each with the softmax of those that are
left (Kool et al. 2019, "Stochastic beams and where to find them", section 2).
"""

from keras import ops

from hcm_tf.sparsity.gate import Tensor

_SMALLEST = 1e-7  # Of a uniform number, so that its logarithm's logarithm is finite.


def perturbed(scores: Tensor, uniform: Tensor) -> Tensor:
    """Scores with Gumbel noise, of their shape.

    Args:
        scores: floating point.
        uniform: in [0, 1), of the same shape.
    """
    uniform = ops.clip(uniform, _SMALLEST, 1 - _SMALLEST)
    return scores - ops.cast(ops.log(-ops.log(uniform)), scores.dtype)


def log_probability(scores: Tensor, order: Tensor, k: int) -> Tensor:
    """Logarithm of the chance that the first k come, in this order.

    sum over i of (s_i - log sum_{j not before i} exp s_j). The order says more than the
    set does, and its score function, the gradient, serves as well: E[f(set) d log p] is
    the gradient of E[f(set)].

    Args:
        scores: floating point `(..., n)`.
        order: integers `(..., n)`: the competitors, as they came.
        k: how many of them were taken, from 1 to n.

    Returns:
        `(...)`.
    """
    ordered = ops.take_along_axis(scores, order, axis=-1)
    ordered = ordered - ops.stop_gradient(ops.max(ordered, axis=-1, keepdims=True))
    left = ops.flip(ops.cumsum(ops.flip(ops.exp(ordered), axis=-1), axis=-1), axis=-1)
    # Of the last only the smallest are left, and a sum of them may round to 0.
    left = ops.log(ops.maximum(left, 1e-30))
    return ops.sum((ordered - left)[..., :k], axis=-1)
