"""Shapes that scenes are drawn of: those of dSprites, tetrominoes, and stripes.

The measures of the three dSprites shapes were fitted to the animated picture in the
repository of the data set (google-deepmind/dsprites-dataset), because its archive is
in no package: the square is exact, the ellipse nearly so, and the heart is visibly not
the official outline. tests/data/test_sprites.py has the official areas.
"""

import numpy as np

SIZE = 64
SHAPES = ("square", "ellipse", "heart")
SCALES = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
# As in dSprites, the first and the last are the same.
ANGLES = tuple(np.linspace(0, 2 * np.pi, 40))
# Centres, in pixels, of x and of y: no shape leaves the frame.
PLACES = tuple(16 + 32 * np.linspace(0, 1, 32))

_CENTRES = np.arange(SIZE) + 0.5

# Side of a tetromino's cell: the published 5 pixels of 35 become 8 of 56.
CELL = 8
# Brightness of the published cell of 5x5 pixels, as in its one example picture.
_BEVEL_5 = np.array(
    [
        [191, 255, 255, 255, 223],
        [127, 159, 159, 159, 191],
        [127, 159, 159, 159, 191],
        [127, 159, 159, 159, 191],
        [128, 66, 66, 66, 127],
    ],
    np.uint8,
)

_ONE_SIDED = {
    "I": [[1, 1, 1, 1]],
    "O": [[1, 1], [1, 1]],
    "T": [[1, 1, 1], [0, 1, 0]],
    "S": [[0, 1, 1], [1, 1, 0]],
    "Z": [[1, 1, 0], [0, 1, 1]],
    "J": [[1, 0, 0], [1, 1, 1]],
    "L": [[0, 0, 1], [1, 1, 1]],
}


def sprite(shape: str, scale: float, angle: float, x: float, y: float) -> np.ndarray:
    """The pixels whose centre lies inside a dSprites shape.

    Args:
        shape: one of `SHAPES`.
        scale: 1 is the largest of dSprites.
        angle: in radians; it turns clockwise.
        x: of its centre, in pixels from the left edge.
        y: of its centre, in pixels from the upper edge.

    Returns:
        bool `(64, 64)`.

    Raises:
        ValueError: there is no such shape.
    """
    across, down = _CENTRES - x, (_CENTRES - y)[:, np.newaxis]
    cosine, sine = np.cos(angle), np.sin(angle)
    u = cosine * across + sine * down
    v = cosine * down - sine * across
    if shape == "square":
        return np.maximum(np.abs(u), np.abs(v)) <= 9.6 * scale
    if shape == "ellipse":
        return (u / (12.75 * scale)) ** 2 + (v / (7.25 * scale)) ** 2 <= 1
    if shape == "heart":
        return _in_heart(np.abs(u), v - 0.25 * scale, 11.2 * scale)
    raise ValueError(f"`shape` must be one of {', '.join(SHAPES)}. Received: {shape}")


def _in_heart(aside: np.ndarray, v: np.ndarray, side: float) -> np.ndarray:
    """A square on its corner, with half a disc on each of its two upper sides."""
    quarter = side / (2 * np.sqrt(2))
    diamond = aside + np.abs(v) <= 2 * quarter
    disc = (aside - quarter) ** 2 + (v + quarter) ** 2 <= (side / 2) ** 2
    return diamond | disc


def stripes(angle: float, period: float, phase: float) -> np.ndarray:
    """Two kinds of stripes of equal width, in turn.

    Args:
        angle: of the direction across them, in radians.
        period: width of two stripes, in pixels.
        phase: where they begin, in periods.

    Returns:
        int `(64, 64)`: 0 and 1.
    """
    across = np.cos(angle) * _CENTRES + np.sin(angle) * _CENTRES[:, np.newaxis]
    return np.floor(2 * (across / period + phase)).astype(int) % 2


def _fixed_tetrominoes() -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    for letter, cells in _ONE_SIDED.items():
        turns: list[np.ndarray] = []
        for quarter in range(4):
            turned = np.rot90(np.array(cells, bool), quarter)
            if not any(np.array_equal(turned, one) for one in turns):
                turns.append(turned)
        found |= {f"{letter}{number}": one for number, one in enumerate(turns)}
    return found


# The 19 tetrominoes that differ when they are not turned, by letter and turn: cells,
# bool (rows, columns).
TETROMINOES = _fixed_tetrominoes()


def bevel(cell: int = CELL) -> np.ndarray:
    """Brightness of a cell, enlarged by nearest neighbour: uint8 `(cell, cell)`."""
    nearest = (np.arange(cell) * 2 + 1) * len(_BEVEL_5) // (2 * cell)
    return _BEVEL_5[np.ix_(nearest, nearest)]


def tetromino(
    name: str, top: int, left: int, *, cell: int = CELL, side: int = SIZE
) -> np.ndarray:
    """A piece of bevelled cells.

    Args:
        name: one of `TETROMINOES`.
        top: first row of its box, in pixels.
        left: first column of its box.
        cell: side of a cell.
        side: of the image.

    Returns:
        Its brightness, uint8 `(side, side)`, 0 outside.
    """
    cells = TETROMINOES[name].astype(np.uint8)
    shade = np.zeros((side, side), np.uint8)
    height, width = cells.shape[0] * cell, cells.shape[1] * cell
    shade[top : top + height, left : left + width] = np.kron(cells, bevel(cell))
    return shade
