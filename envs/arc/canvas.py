"""Grids of colours on a square canvas of tokens, as sapientinc/HRM and TinyRecursiveModels lay them out.

PAD fills the canvas, colour c is token c + 2, and END marks the row under the grid and the column beside it,
as far as they lie on the canvas. The corner where the two would meet stays PAD.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from envs.puzzle import PAD, Tokens

Grid = NDArray[np.uint8]
"""(rows, columns) of colours 0-9."""

END = 1
"""The token behind a grid's last column and under its last row."""
FIRST_COLOUR = 2
"""The token of colour 0."""
COLOURS = 10
LARGEST = 30
"""Rows and columns of the largest grids of ARC."""


def paint(grid: Grid, size: int, top: int = 0, left: int = 0) -> Tokens:
    """(size*size,) a grid with its end marks on an empty canvas, its first cell at row `top`, column `left`.
    The grid must fit."""
    rows, columns = grid.shape
    bottom, right = top + rows, left + columns
    canvas = np.full((size, size), PAD, np.uint8)
    canvas[top:bottom, left:right] = grid + FIRST_COLOUR
    canvas[bottom : bottom + 1, left:right] = END
    canvas[top:bottom, right : right + 1] = END
    return canvas.reshape(-1)


def crop(tokens: Tokens, size: int) -> Grid | None:
    """The grid on a canvas (size*size,) whose first cell is the first cell with a colour, row by row. It goes
    on to the right and down as far as there are colours without a gap; None where that leaves a hole in the
    rectangle, or no colour at all."""
    canvas = tokens.reshape(size, size)
    coloured = canvas >= FIRST_COLOUR
    cells = np.flatnonzero(coloured)
    if not len(cells):
        return None
    top, left = divmod(int(cells[0]), size)
    columns = _run(coloured[top, left:])
    rows = _run(coloured[top:, left])
    inside = canvas[top : top + rows, left : left + columns]
    if (inside < FIRST_COLOUR).any():
        return None
    return inside - FIRST_COLOUR


def _run(mask: NDArray[np.bool_]) -> int:
    """How many True there are before the first False."""
    return int(np.argmin(mask)) if not mask.all() else len(mask)
