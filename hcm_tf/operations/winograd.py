"""3x3 convolutions with a quarter of the multiplications, for TensorFlow.

Winograd's minimal filtering F(4x4, 3x3) (Lavin and Gray 2016): a tile of 4x4 outputs is
a product of polynomials, which multiplies their values at six points along each axis,
36 products where the sums take 144. The points 0, 2/3, -2/3, 3/2, -3/2 and infinity
keep rounding near that of the sums (Barabasz et al. 2020), where the usual 0, 1, -1, 2
and -2 lose a digit; and they are their own inverses, so that reversing a kernel only
changes the order of its values: the same values serve the adjoint.

Shapes are those of `convolution`; n is a multiple of 4.
"""

import functools
from fractions import Fraction

import numpy as np
import tensorflow as tf

TILE = 4
POINTS = (Fraction(0), Fraction(2, 3), Fraction(-2, 3), Fraction(3, 2), Fraction(-3, 2))
VALUES = len(POINTS) + 1  # Along each axis: at POINTS, and at infinity.
INVERSE = [5, 3, 4, 1, 2, 0]  # Which value is at one over each point.


def convolve(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """The convolution of x: `(batch, n, n, C)` -> `(batch, n, n, F)`."""
    size = x.shape[1]
    products = tf.matmul(_spread(x, _of_inputs(size)), _values(kernel))
    return _collect(products, x.shape[0], _to_outputs(size))


def convolve_windows(windows: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """Of tiles with a border of one pixel: `(n, 6, 6, C)` -> `(n, 4, 4, F)`."""
    channels, filters = kernel.shape[2:]
    of_inputs, to_outputs = _of_window()
    values = tf.matmul(
        tf.constant(of_inputs, windows.dtype),
        tf.reshape(windows, (-1, VALUES**2, channels)),
    )
    products = tf.matmul(tf.transpose(values, (1, 0, 2)), _values(kernel))
    y = tf.matmul(
        tf.constant(to_outputs, windows.dtype), tf.transpose(products, (1, 0, 2))
    )
    return tf.reshape(y, (-1, TILE, TILE, filters))


def convolve_back(y: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """The adjoint: `(batch, n, n, F)` -> `(batch, n, n, C)`."""
    size = y.shape[1]
    of_inputs, to_outputs = _of_inputs(size), _to_outputs(size)
    products = tf.matmul(
        _spread(y, of_inputs[INVERSE]), _values(kernel), transpose_b=True
    )
    return _collect(products, y.shape[0], to_outputs[:, INVERSE])


def kernel_between(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    """The derivative of `sum(y * convolve(x, kernel))` by the kernel."""
    size = x.shape[1]
    to_outputs = np.transpose(_to_outputs(size), (1, 2, 0))
    products = tf.matmul(
        _spread(x, _of_inputs(size)), _spread(y, to_outputs), transpose_a=True
    )
    _, channels, filters = products.shape
    kernel = tf.matmul(
        tf.constant(_of_kernel(), products.dtype),
        tf.reshape(products, (VALUES**2, channels * filters)),
        transpose_a=True,
    )
    return tf.reshape(kernel, (3, 3, channels, filters))


def _values(kernel: tf.Tensor) -> tf.Tensor:
    """The kernel at every pair of points: `(36, C, F)`."""
    _, _, channels, filters = kernel.shape
    values = tf.matmul(
        tf.constant(_of_kernel(), kernel.dtype),
        tf.reshape(kernel, (9, channels * filters)),
    )
    return tf.reshape(values, (VALUES**2, channels, filters))


def _spread(x: tf.Tensor, matrix: np.ndarray) -> tf.Tensor:
    """`(6, tiles, n)` along both axes: `(batch, n, n, C)` -> `(36, batch * tiles, C)`.

    Here "tiles" of the result are those of both axes.
    """
    batch, size, _, channels = x.shape
    values, tiles, _ = matrix.shape
    along = tf.constant(matrix.reshape(values * tiles, size), x.dtype)
    x = tf.matmul(along, x)
    x = tf.matmul(along, tf.reshape(x, (batch, size, values * tiles * channels)))
    x = tf.reshape(x, (batch, values, tiles, values, tiles * channels))
    x = tf.transpose(x, (1, 3, 0, 2, 4))
    return tf.reshape(x, (values * values, batch * tiles * tiles, channels))


def _collect(products: tf.Tensor, batch: int, matrix: np.ndarray) -> tf.Tensor:
    """`(n, 6, tiles)` along both axes: `(36, batch * tiles, F)` -> an image."""
    size, values, tiles = matrix.shape
    filters = products.shape[-1]
    along = tf.constant(matrix.reshape(size, values * tiles), products.dtype)
    y = tf.reshape(products, (values, values, batch, tiles, tiles * filters))
    y = tf.transpose(y, (2, 0, 3, 1, 4))
    y = tf.reshape(y, (batch, values * tiles, values * tiles * filters))
    y = tf.reshape(tf.matmul(along, y), (batch, size, values * tiles, filters))
    return tf.matmul(along, y)


@functools.cache
def _of_kernel() -> np.ndarray:
    """From the taps of a kernel to its values at pairs of points, `(36, 9)`."""
    rows = [[1, 0, 0]]
    # Divided by |p|: then the reversed kernel has the same values at 1 / p.
    rows += [[1 / abs(p), p / abs(p), abs(p)] for p in POINTS[1:]]
    rows = np.array([*rows, [0, 0, 1]], "float64")
    return np.einsum("pi,qj->pqij", rows, rows).reshape(VALUES**2, 9)


@functools.cache
def _of_inputs(size: int) -> np.ndarray:
    """From a padded line of pixels to each tile's values, `(6, tiles, size)`.

    By the transposition principle, the coefficients of the Lagrange polynomials.
    """
    rows = []
    for point in POINTS:
        others = [p for p in POINTS if p != point]
        # Undoes the division in `_of_kernel`.
        scale = abs(point) if point else Fraction(1)
        for other in others:
            scale /= point - other
        rows.append([scale * c for c in _polynomial(others)] + [Fraction(0)])
    rows.append(_polynomial(POINTS))
    rows = np.array(rows, "float64")
    matrix = np.zeros((VALUES, size // TILE, size + 2))
    for tile in range(size // TILE):
        matrix[:, tile, TILE * tile : TILE * tile + VALUES] = rows
    return matrix[:, :, 1:-1]  # What the padding is multiplied by is zero.


@functools.cache
def _of_window() -> tuple[np.ndarray, np.ndarray]:
    """Both axes at once: to the values of one tile, `(36, 36)`, and back, `(16, 36)`.

    The window is that of the middle tile of three, which the padding does not cut.
    """
    start = TILE - 1
    of_inputs = _of_inputs(3 * TILE)[:, 1, start : start + VALUES]
    to_outputs = _to_outputs(TILE)[:, :, 0]
    return np.kron(of_inputs, of_inputs), np.kron(to_outputs, to_outputs)


@functools.cache
def _to_outputs(size: int) -> np.ndarray:
    """From the products of each tile to a line of outputs, `(size, 6, tiles)`."""
    columns = [[p**power for power in range(TILE)] for p in POINTS]
    columns = np.array([*columns, [0, 0, 0, 1]], "float64")
    tiles = size // TILE
    matrix = np.einsum("po,ti->topi", columns, np.eye(tiles))
    return matrix.reshape(size, VALUES, tiles)


def _polynomial(roots: list[Fraction]) -> list[Fraction]:
    """Coefficients of the product of (x - root), the constant one first."""
    coefficients = [Fraction(1)]
    for root in roots:
        shifted = [Fraction(0), *coefficients]
        scaled = [root * c for c in coefficients] + [Fraction(0)]
        coefficients = [a - b for a, b in zip(shifted, scaled, strict=True)]
    return coefficients
