"""The gate: what a rule returns, and how it becomes a code and a gradient.

A rule looks at the responses of a level and returns their gate, 0 where a response is
left out; the code is gate times response. The gate is all that is recorded of a
decision: with it fixed, the network above is linear, whatever the rule.
"""

import keras
from keras import KerasTensor, ops

Tensor = KerasTensor


def leaky(gate: Tensor, leak: Tensor | None, dtype: str) -> Tensor:
    """A gate that lets a share of what is left out through.

    Args:
        gate: boolean, or floating point of `dtype`.
        leak: scalar from 0 (nothing) to 1 (all, dense); None is nothing.
        dtype: of the result.

    Returns:
        `gate` itself without a leak; otherwise gate + leak (1 - gate).
    """
    if leak is None:
        return gate
    leak = ops.cast(leak, dtype)
    if not is_boolean(gate):
        return gate + leak * (1 - gate)
    return ops.where(gate, ops.ones((), dtype=dtype), leak)


def keep(x: Tensor, gate: Tensor) -> Tensor:
    """The code: gate times response; the gradient follows the gate.

    Args:
        x: the response.
        gate: boolean, or floating point of the dtype of `x`, of its shape.
    """
    if not is_boolean(gate):
        return gate * x
    return ops.where(gate, x, ops.zeros((), dtype=x.dtype))


def is_boolean(gate: Tensor) -> bool:
    """Whether a gate is a mask: open or closed."""
    return keras.backend.standardize_dtype(gate.dtype) == "bool"


def straight_through(mask: Tensor, x: Tensor) -> Tensor:
    """The gate of a mask whose code passes the gradient on as if nothing were left out.

    The value is the mask's. Its derivative is 1 / x where nothing is kept, so that
    that of gate times response is 1 everywhere (the straight-through estimator, Bengio
    et al. 2013). Where x is 0 it has none; a ReLU before has none there either.

    Args:
        mask: boolean.
        x: the response, of its shape.
    """
    kept = ops.cast(mask, x.dtype)
    fixed = ops.stop_gradient(x)
    apart = ops.logical_and(ops.logical_not(mask), fixed != 0)
    slope = ops.where(apart, 1 / ops.where(apart, fixed, ops.ones_like(x)), 0)
    return kept + (x - fixed) * ops.stop_gradient(slope)
