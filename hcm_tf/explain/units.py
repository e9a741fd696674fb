"""Units: single active entries of a sparse code, and what part of a picture they reach.

A unit at one cell of a level reaches only the cells around it in the image and in the
levels above (`Generator.reach`). Units that far apart never meet, so one replay can
decode many of them at once.
"""

import dataclasses
from typing import NamedTuple

import numpy as np


class Units(NamedTuple):
    """Units of one level of one image, as arrays of equal length.

    Attributes:
        row: from the top, int `(n,)`.
        column: from the left.
        basis: channel: the attribute (of its location) or the feature map.
        value: activation, float32; not zero for an active unit.
    """

    row: np.ndarray
    column: np.ndarray
    basis: np.ndarray
    value: np.ndarray

    def take(self, index: np.ndarray) -> "Units":
        """The units at positions, or under a boolean mask."""
        return Units(*(field[index] for field in self))

    @property
    def count(self) -> int:
        """Number of units."""
        return len(self.value)

    def code(self, shape: tuple[int, int, int]) -> np.ndarray:
        """The code that holds just these units: float32 `(height, width, channels)`."""
        code = np.zeros(shape, "float32")
        code[self.row, self.column, self.basis] = self.value
        return code


def active_units(code: np.ndarray) -> Units:
    """The units of a code that are not zero.

    Args:
        code: `(height, width, channels)`.
    """
    row, column, basis = np.nonzero(code)
    return Units(row, column, basis, code[row, column, basis])


class Packing(NamedTuple):
    """Which units are decoded together.

    Attributes:
        order: unit indices sorted by pass, int `(n,)`.
        starts: where each pass begins in `order`, and the end, int `(passes + 1,)`.
    """

    order: np.ndarray
    starts: np.ndarray


def pack(units: Units, spacing: int) -> Packing:
    """Divides units into passes, in each of which no two are closer than `spacing`.

    Units at cells of one residue class modulo `spacing` may share a pass; those of the
    same cell may not.
    """
    if not units.count:
        return Packing(np.zeros(0, int), np.zeros(1, int))
    width = int(units.column.max()) + 1
    cell = units.row * width + units.column
    residue = (units.row % spacing) * spacing + units.column % spacing
    by_cell = np.argsort(cell, kind="stable")
    _, first, sizes = np.unique(cell[by_cell], return_index=True, return_counts=True)
    turn = np.empty(units.count, int)
    turn[by_cell] = np.arange(units.count) - np.repeat(first, sizes)
    pass_key = residue * (turn.max() + 1) + turn
    order = np.argsort(pass_key, kind="stable")
    _, starts = np.unique(pass_key[order], return_index=True)
    return Packing(order, np.append(starts, units.count))


@dataclasses.dataclass(frozen=True)
class Windows:
    """The part of a larger map that each unit of a level can reach.

    Attributes:
        cell: height and width of a unit's cell in the map.
        reach: cells reached to every side.
        size: height and width of the map.
    """

    cell: int
    reach: int
    size: int

    @property
    def side(self) -> int:
        """Height and width of a window; it may stick out over the map's border."""
        return (2 * self.reach + 1) * self.cell

    def corners(self, units: Units) -> tuple[np.ndarray, np.ndarray]:
        """Top and left edge of each unit's window in the map; can be negative."""
        return (
            (units.row - self.reach) * self.cell,
            (units.column - self.reach) * self.cell,
        )

    def cut(self, maps: np.ndarray, which: np.ndarray, units: Units) -> np.ndarray:
        """Cuts each unit's window out of its map; zero beyond the border.

        Args:
            maps: `(passes, size, size, channels)`.
            which: for each unit the index of its map.

        Returns:
            `(n, side, side, channels)`.
        """
        margin = self.reach * self.cell
        padded = np.pad(maps, [(0, 0), (margin, margin), (margin, margin), (0, 0)])
        views = np.lib.stride_tricks.sliding_window_view(
            padded, (self.side, self.side), axis=(1, 2)
        )
        top, left = self.corners(units)
        return np.moveaxis(views[which, top + margin, left + margin], 1, -1)

    def add(self, total: np.ndarray, patches: np.ndarray, units: Units) -> None:
        """Adds windows into one map `(size, size, channels)`, in place."""
        for patch, top, left in zip(patches, *self.corners(units), strict=True):
            low = max(-top, 0), max(-left, 0)
            high = min(self.side, self.size - top), min(self.side, self.size - left)
            total[top + low[0] : top + high[0], left + low[1] : left + high[1]] += (
                patch[low[0] : high[0], low[1] : high[1]]
            )

    def place(self, patch: np.ndarray, row: int, column: int) -> np.ndarray:
        """One window in an otherwise empty map: `(size, size, channels)`."""
        units = Units(*(np.array([value]) for value in (row, column, 0, 0.0)))
        total = np.zeros((self.size, self.size, patch.shape[-1]), patch.dtype)
        self.add(total, patch[None], units)
        return total
