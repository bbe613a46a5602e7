"""A board of cells: its characters as text, its tokens as shades from dark blue to yellow."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from envs.drawing.marks import CHANGED_FRAME, DIM, ON_ORANGE, RESET, UNDERLINED, marks_of, paler, wrong_cells
from envs.puzzle import View

_CELL = 16
CROSS = np.eye(_CELL, dtype=np.bool_) | np.eye(_CELL, dtype=np.bool_)[::-1]
EDGE = np.pad(np.zeros((_CELL - 4, _CELL - 4), np.bool_), 2, constant_values=True)


def render_text(characters: str, grid_shape: tuple[int, int], view: View) -> str:
    """One puzzle row by row, two columns a cell. A wrong cell has a trailing ! on orange; one that differs
    from the answer before is underlined, with a trailing * if it is not wrong; an assumed one is dimmed, with
    a trailing ~ if it is neither."""
    cells = []
    for token, mark, new, assumed in zip(view.shown, marks_of(view), view.changed, view.dimmed, strict=True):
        style = ON_ORANGE * (mark == "!") + UNDERLINED * bool(new) + DIM * bool(assumed)
        text = characters[token] + mark
        cells.append(f"{style}{text}{RESET}" if style else text)
    rows, columns = grid_shape
    return "\n".join("".join(cells[row * columns : (row + 1) * columns]) for row in range(rows))


def render_rgb(characters: str, grid_shape: tuple[int, int], view: View) -> NDArray[np.uint8]:
    """One puzzle as an image (height, width, 3). A cell is lighter the higher its token, from dark blue to
    yellow, which is told apart with any kind of colour vision; an assumed one is half as strong, a wrong one
    is crossed out, and one that differs from the answer before has a green edge."""
    level = view.shown.astype(np.float64) / max(1, len(characters) - 1)
    colour = np.stack([40 + 213 * level, 50 + 180 * level, 110 - 70 * level], axis=1).astype(np.uint8)
    colour[view.dimmed] = paler(colour[view.dimmed])
    shape = (*grid_shape, 3)
    return patches(
        colour.reshape(shape), wrong_cells(view).reshape(grid_shape), view.changed.reshape(grid_shape)
    )


def patches(
    colour: NDArray[np.uint8], wrong: NDArray[np.bool_], changed: NDArray[np.bool_]
) -> NDArray[np.uint8]:
    """An image of cells of these colours (rows, columns, 3), some crossed out and some with a green edge."""
    grid = colour.repeat(_CELL, axis=0).repeat(_CELL, axis=1)
    crossed = np.kron(wrong, CROSS)
    grid[crossed] = np.where(grid[crossed].mean(axis=1, keepdims=True) > 128, 0, 255)
    grid[np.kron(changed, EDGE).astype(np.bool_)] = CHANGED_FRAME
    return grid
