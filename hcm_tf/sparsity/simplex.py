"""Projections on the simplex: selections with a gradient, and exact zeros.

Each maps scores of n competitors to shares that are not negative. All work along the
last axis, by sorting once: the sorted scores tell which shares are not 0, and with
these known the shares are a formula, whose gradient is theirs almost everywhere.
"""

from keras import ops

from hcm_tf.sparsity.gate import Tensor


def sparsemax(z: Tensor) -> Tensor:
    """The nearest point of the simplex: relu(z - t), which sums to 1.

    Martins and Astudillo 2016, "From softmax to sparsemax", algorithm 1.

    Args:
        z: floating point `(..., n)`.

    Returns:
        Of the shape of `z`.
    """
    support = ops.stop_gradient(_sparsemax_support(z))
    return ops.relu(z - _mean_over(z, support) + 1 / _count(support, z.dtype))


def entmax15(z: Tensor) -> Tensor:
    """1.5-entmax: relu(z / 2 - t)^2, which sums to 1; between softmax and sparsemax.

    Peters et al. 2019, "Sparse sequence-to-sequence models", algorithm 2.

    Args:
        z: floating point `(..., n)`.

    Returns:
        Of the shape of `z`.
    """
    z = (z - ops.stop_gradient(ops.max(z, axis=-1, keepdims=True))) / 2
    largest, _ = _sorted(ops.stop_gradient(z))
    rank = _ranks(z)
    mean = ops.cumsum(largest, axis=-1) / rank
    # Not the difference of squares, which cancels.
    spread = ops.cumsum(largest**2, axis=-1) - rank * mean**2
    threshold = mean - ops.sqrt(ops.relu((1 - spread) / rank))
    count = ops.sum(ops.cast(threshold <= largest, z.dtype), axis=-1, keepdims=True)
    support = z >= ops.take_along_axis(largest, ops.cast(count, "int32") - 1, axis=-1)
    mean = _mean_over(z, support)
    apart = ops.where(support, z - mean, 0)
    spread = ops.sum(apart**2, axis=-1, keepdims=True)
    threshold = mean - ops.sqrt(ops.relu((1 - spread) / _count(support, z.dtype)))
    return ops.where(support, ops.relu(z - threshold), 0) ** 2


def capped_simplex(z: Tensor, k: float | Tensor) -> Tensor:
    """The nearest shares between 0 and 1 that sum to k: clip(z - t, 0, 1).

    The soft top-k of Martins and Kreutzer 2017 ("Learning what's easy", constrained
    sparsemax) with equal bounds; Wang and Lu 2015 ("Projection onto the capped
    simplex") sort z and z - 1 together, as here. With scores far apart it is top-k.

    Args:
        z: floating point `(..., n)`.
        k: from 0 to n.

    Returns:
        Of the shape of `z`.
    """
    fixed = ops.stop_gradient(z)
    # Between two neighbours of z and z - 1 the sum is linear in the threshold.
    corners, order = _sorted(ops.concatenate([fixed, fixed - 1], axis=-1))
    count = z.shape[-1]
    slope = ops.cumsum(ops.where(order < count, 1.0, -1.0), axis=-1)
    slope = ops.cast(slope, z.dtype)
    steps = slope[..., :-1] * (corners[..., :-1] - corners[..., 1:])
    sums = ops.cumsum(steps, axis=-1)  # At every corner but the first, where it is 0.
    passed = ops.sum(ops.cast(sums < k, "int32"), axis=-1, keepdims=True)
    last = ops.minimum(passed, 2 * count - 2)
    before = ops.where(
        last > 0,
        ops.take_along_axis(sums, ops.maximum(last - 1, 0), axis=-1),
        ops.zeros((), z.dtype),
    )
    here = ops.take_along_axis(slope, last, axis=-1)
    threshold = ops.take_along_axis(corners, last, axis=-1) - (
        k - before
    ) / ops.maximum(here, 1)
    above = fixed - threshold
    full = above >= 1
    partial = ops.logical_and(above > 0, ops.logical_not(full))
    # Computed anew from those that are partial: exact, and with their gradient.
    left = k - ops.sum(ops.cast(full, z.dtype), axis=-1, keepdims=True)
    any_partial = ops.any(partial, axis=-1, keepdims=True)
    shift = ops.where(
        any_partial,
        _mean_over(z, partial) - left / _count(partial, z.dtype),
        ops.zeros((), z.dtype),
    )
    share = ops.clip(z - shift, 0, 1)
    return ops.where(full, ops.ones_like(z), ops.where(partial, share, 0))


def sparsestmax(z: Tensor, radius: float | Tensor) -> Tensor:
    """The nearest point of the simplex that is `radius` or more from its centre.

    Shao et al. 2019, "SSN: learning sparse switchable normalization via SparsestMax".
    Where sparsemax is nearer to the centre, its shares move out to the circle; those
    that would become negative are 0, and the rest lie on the circle of their own face.
    On a face of s competitors the shares are 1 / s plus a multiple of what their scores
    have above their mean, so that it is enough to find the face.

    Args:
        z: floating point `(..., n)`.
        radius: from 0 (sparsemax) to sqrt(1 - 1 / n) (one share of 1).

    Returns:
        Of the shape of `z`.
    """
    share = sparsemax(z)
    radius = ops.cast(radius, z.dtype)
    distance = ops.sum((share - 1 / z.shape[-1]) ** 2, axis=-1, keepdims=True)
    face = _face(ops.stop_gradient(share), ops.stop_gradient(radius))
    outside = ops.where(face, _on_circle(share, face, radius), 0)
    return ops.where(distance < radius**2, outside, share)


def _face(share: Tensor, radius: Tensor) -> Tensor:
    """Competitors that stay on the way outwards to the circle."""

    def has_negative(face: Tensor) -> Tensor:
        return ops.any(ops.logical_and(face, _on_circle(share, face, radius) < 0))

    def shrink(face: Tensor) -> tuple[Tensor]:
        moved = ops.where(face, _on_circle(share, face, radius), 0)
        negative = ops.any(moved < 0, axis=-1, keepdims=True)
        # Outside of the face nothing may come back.
        lowest = ops.min(moved, axis=-1, keepdims=True) - 2
        kept = _sparsemax_support(ops.where(face, moved, lowest))
        # Rounding may let a negative share pass, and the loop would not end.
        kept = ops.logical_and(ops.logical_and(face, kept), moved > 0)
        return (ops.where(negative, kept, face),)

    everywhere = ops.ones_like(share, dtype="bool")
    (face,) = ops.while_loop(has_negative, shrink, (everywhere,))
    return face


def _on_circle(share: Tensor, face: Tensor, radius: Tensor) -> Tensor:
    """Shares on a face, as far from the centre of all as `radius`."""
    size = _count(face, share.dtype)
    apart = ops.where(face, share - _mean_over(share, face), 0)
    length = ops.sum(apart**2, axis=-1, keepdims=True)
    # The face's own centre is that far from the centre of all.
    own = radius**2 - (1 / size - 1 / share.shape[-1])
    # Without a direction, or where rounding leaves no radius, all stay at the centre.
    moves = ops.logical_and(own > 0, length > 0)
    ratio = ops.where(moves, own, 1) / ops.where(moves, length, 1)
    return 1 / size + ops.where(moves, ops.sqrt(ratio), 0) * apart


def _sparsemax_support(z: Tensor) -> Tensor:
    largest, _ = _sorted(z)
    rank = _ranks(z)
    # The first ones, as long as they lie above the threshold that they make.
    inside = 1 + rank * largest > ops.cumsum(largest, axis=-1)
    count = ops.sum(ops.cast(inside, "int32"), axis=-1, keepdims=True)
    return z >= ops.take_along_axis(largest, count - 1, axis=-1)


def _sorted(z: Tensor) -> tuple[Tensor, Tensor]:
    return ops.top_k(z, z.shape[-1])


def _ranks(z: Tensor) -> Tensor:
    return ops.arange(1, z.shape[-1] + 1, dtype=z.dtype)


def _count(mask: Tensor, dtype: str) -> Tensor:
    # At least 1, to divide by. By way of integers, which half precision cannot count.
    count = ops.sum(ops.cast(mask, "int32"), axis=-1, keepdims=True)
    return ops.cast(ops.maximum(count, 1), dtype)


def _mean_over(z: Tensor, mask: Tensor) -> Tensor:
    """Mean of the values where a mask is true; 0 where it is nowhere."""
    total = ops.sum(ops.where(mask, z, 0), axis=-1, keepdims=True)
    return total / _count(mask, z.dtype)
