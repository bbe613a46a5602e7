"""Pictures of a puzzle of any task: its characters as text, its tokens as coloured cells."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from envs.puzzle import PAD, View

_CELL = 16
_ON_ORANGE, _UNDERLINED, _RESET = "\033[30;48;5;215m", "\033[4m", "\033[0m"
DIM = "\033[22;2m"
"""Not bold, but dim: how a terminal shows what is assumed."""
_CHANGED = (0, 158, 115)
_CROSS = np.eye(_CELL, dtype=np.bool_) | np.eye(_CELL, dtype=np.bool_)[::-1]
_EDGE = np.pad(np.zeros((_CELL - 4, _CELL - 4), np.bool_), 2, constant_values=True)


def _wrong(view: View) -> NDArray[np.bool_]:
    """(L,) the cells of an answer that differ from the label."""
    if view.answer is None or view.solution is None:
        return np.zeros(len(view.inputs), np.bool_)
    return (view.answer != view.solution) & (view.solution != PAD)


def render_text(characters: str, grid_shape: tuple[int, int], view: View) -> str:
    """One puzzle row by row, two columns a cell. A wrong cell has a trailing ! on orange; one that differs
    from the answer before is underlined, with a trailing * if it is not wrong; an assumed one is dimmed, with
    a trailing ~ if it is neither."""
    cells = []
    for token, bad, new, assumed in zip(view.shown, _wrong(view), view.changed, view.dimmed, strict=True):
        style = (_ON_ORANGE if bad else "") + (_UNDERLINED if new else "") + (DIM if assumed else "")
        text = characters[token] + ("!" if bad else "*" if new else "~" if assumed else " ")
        cells.append(f"{style}{text}{_RESET}" if style else text)
    rows, columns = grid_shape
    return "\n".join("".join(cells[row * columns : (row + 1) * columns]) for row in range(rows))


def render_rgb(characters: str, grid_shape: tuple[int, int], view: View) -> NDArray[np.uint8]:
    """One puzzle as an image (height, width, 3). A cell is lighter the higher its token, from dark blue to
    yellow, which is told apart with any kind of colour vision; an assumed one is half as strong, a wrong one
    is crossed out, and one that differs from the answer before has a green edge."""
    level = view.shown.astype(np.float64) / max(1, len(characters) - 1)
    colour = np.stack([40 + 213 * level, 50 + 180 * level, 110 - 70 * level], axis=1).astype(np.uint8)
    colour[view.dimmed] = paler(colour[view.dimmed])
    grid = colour.reshape(*grid_shape, 3).repeat(_CELL, axis=0).repeat(_CELL, axis=1)
    crossed = np.kron(_wrong(view).reshape(grid_shape), _CROSS)
    grid[crossed] = np.where(grid[crossed].mean(axis=1, keepdims=True) > 128, 0, 255)
    edge = np.kron(view.changed.reshape(grid_shape), _EDGE)
    grid[edge.astype(np.bool_)] = _CHANGED
    return grid


def paler(colour: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Colours (..., 3) half-way to white, for what is assumed."""
    return colour // 2 + 128
