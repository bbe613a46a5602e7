"""The geometry of a Sudoku board as tables that compiled code can walk.

Legend: n digits (also rows and columns), L = n*n cells, row by row; a *unit* is a row, a column or a box.
Tokens: 0 padding, 1 blank, digit d = d + 1.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.errors import UserError

BLANK = 1
"""Token of a cell that is to be found."""

BOX_SHAPES = {4: (2, 2), 6: (2, 3), 9: (3, 3)}
"""Rows and columns of a box, by board size."""


class Board(NamedTuple):
    """Tables of one board size (a NamedTuple because Numba takes those as arguments)."""

    size: int
    box_rows: int
    box_columns: int
    units_of: NDArray[np.uint8]
    """(L, 3) the row, the column and the box of each cell, numbered 0..3n-1."""
    cells_of: NDArray[np.uint8]
    """(3n, n) the cells of each unit."""


@cache
def board_of_size(size: int) -> Board:
    """The board with `size` digits. Raises UserError for a size that has no box shape here."""
    if size not in BOX_SHAPES:
        raise UserError(f"sudoku size is {size!r}; it must be one of {', '.join(map(str, BOX_SHAPES))}")
    box_rows, box_columns = BOX_SHAPES[size]
    row, column = np.divmod(np.arange(size * size), size)
    box = row // box_rows * (size // box_columns) + column // box_columns
    units_of = np.stack([row, size + column, 2 * size + box], axis=1).astype(np.uint8)
    cells_of = np.stack([np.flatnonzero((units_of == unit).any(axis=1)) for unit in range(3 * size)])
    return Board(size, box_rows, box_columns, units_of, cells_of.astype(np.uint8))


def board_of(puzzles: NDArray[np.uint8]) -> Board:
    """The board on which puzzles (N, L) are played."""
    if puzzles.ndim != 2:
        raise ValueError(f"puzzles have shape {puzzles.shape}; it must be (N, cells)")
    size = round(puzzles.shape[1] ** 0.5)
    if size * size != puzzles.shape[1]:
        raise ValueError(f"puzzles have {puzzles.shape[1]} cells; that is no square board")
    return board_of_size(size)
