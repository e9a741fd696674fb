"""Top-k activation sparsity (Xing et al. 2020): which activations stay.

A level of the generator keeps an activation when it reaches the k-th largest value of
its competitors: the channels at one location, or the positions of one channel. Equal
values stay together, so more than k can be kept; where fewer than k values are
positive after a ReLU the threshold is 0 and nothing is cut. The functions return the
mask and leave the values alone: the gradient reaches the kept values only, and a
recorded mask can take the place of a computed one.
"""

from collections.abc import Callable

from keras import ops

from hcm_tf.sparsity.gate import Tensor

Select = Callable[[Tensor, int, int], Tensor]


def kth_largest(x: Tensor, k: int, axis: int) -> Tensor:
    """The k-th largest value along an axis, by sorting.

    Args:
        x: floating point, of n values along the axis.
        k: rank, from 1 (the maximum) to n.
        axis: the axis of the competitors.

    Returns:
        Of the shape of `x` but for the axis, which becomes 1; of its dtype.
    """
    sorted_values = ops.top_k(ops.moveaxis(x, axis, -1), k)[0]
    return ops.moveaxis(sorted_values[..., -1:], -1, axis)


def top_k_mask(x: Tensor, k: int, axis: int, select: Select = kth_largest) -> Tensor:
    """Keeps what reaches the k-th largest value along an axis.

    Args:
        x: floating point, of n values along the axis.
        k: how many to keep, from 1 to n, which keeps all.
        axis: the axis of the competitors.
        select: returns the k-th largest value along an axis.

    Returns:
        Boolean mask of the shape of `x`.
    """
    if k == x.shape[axis]:
        return ops.ones_like(x, dtype="bool")
    return x >= select(x, k, axis)


def channel_top_k_mask(x: Tensor, k: int, select: Select = kth_largest) -> Tensor:
    """Keeps, at each location, the channels that reach the k-th largest one.

    Args:
        x: floating point `(..., channels)`.
        k: channels to keep, from 1 to `channels`; `channels` keeps all.
        select: returns the k-th largest value along an axis.

    Returns:
        Boolean mask of the shape of `x`.

    Raises:
        ValueError: `k` is out of range.
    """
    _check_k(k, x.shape[-1], "channels")
    return top_k_mask(x, k, -1, select)


def spatial_top_k_mask(x: Tensor, k: int, select: Select = kth_largest) -> Tensor:
    """Keeps, in each channel, the positions that reach the k-th largest one.

    Args:
        x: floating point `(batch, height, width, channels)`.
        k: positions to keep, from 1 to height * width, which keeps all.
        select: returns the k-th largest value along an axis.

    Returns:
        Boolean mask of the shape of `x`.

    Raises:
        ValueError: `x` is not of rank 4, or `k` is out of range.
    """
    if len(x.shape) != 4:
        raise ValueError(
            "`x` must have the shape (batch, height, width, channels). "
            f"Received: {tuple(x.shape)}"
        )
    _, height, width, channels = x.shape
    _check_k(k, height * width, "positions")
    positions = ops.reshape(x, (-1, height * width, channels))
    mask = top_k_mask(positions, k, 1, select)
    return ops.reshape(mask, (-1, height, width, channels))


def _check_k(k: int, total: int, what: str) -> None:
    if not 1 <= k <= total:
        raise ValueError(f"`k` must be between 1 and {total} ({what}). Received: k={k}")
