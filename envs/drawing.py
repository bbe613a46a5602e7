"""Pictures of a puzzle of any task: its characters as text, its tokens as coloured cells."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from envs.puzzle import PAD, Tokens

_CELL = 16
_ON_ORANGE, _UNDERLINED, _RESET = "\033[30;48;5;215m", "\033[4m", "\033[0m"
_CHANGED = (0, 158, 115)
_CROSS = np.eye(_CELL, dtype=np.bool_) | np.eye(_CELL, dtype=np.bool_)[::-1]
_EDGE = np.pad(np.zeros((_CELL - 4, _CELL - 4), np.bool_), 2, constant_values=True)


def _shown(
    inputs: Tokens, answer: Tokens | None, solution: Tokens | None
) -> tuple[Tokens, NDArray[np.bool_]]:
    """The tokens to show (L,) and which of them are wrong (L,)."""
    if answer is None:
        return inputs, np.zeros(len(inputs), np.bool_)
    if solution is None:
        return answer, np.zeros(len(inputs), np.bool_)
    return answer, (answer != solution) & (solution != PAD)


def changed_cells(inputs: Tokens, answer: Tokens | None, before: Tokens | None) -> NDArray[np.bool_]:
    """(L,) the cells in which an answer differs from the one before it; none where one of them is missing."""
    if answer is None or before is None:
        return np.zeros(len(inputs), np.bool_)
    return answer != before


def render_text(
    characters: str,
    grid_shape: tuple[int, int],
    inputs: Tokens,
    answer: Tokens | None = None,
    solution: Tokens | None = None,
    before: Tokens | None = None,
) -> str:
    """One puzzle (L,) row by row, two columns a cell; a wrong cell has a trailing ! on orange, one that
    differs from the answer before is underlined, with a trailing * if it is not wrong."""
    shown, wrong = _shown(inputs, answer, solution)
    changed = changed_cells(inputs, answer, before)
    cells = []
    for token, bad, new in zip(shown, wrong, changed, strict=True):
        style = (_ON_ORANGE if bad else "") + (_UNDERLINED if new else "")
        text = characters[token] + ("!" if bad else "*" if new else " ")
        cells.append(f"{style}{text}{_RESET}" if style else text)
    rows, columns = grid_shape
    return "\n".join("".join(cells[row * columns : (row + 1) * columns]) for row in range(rows))


def render_rgb(
    characters: str,
    grid_shape: tuple[int, int],
    inputs: Tokens,
    answer: Tokens | None = None,
    solution: Tokens | None = None,
    before: Tokens | None = None,
) -> NDArray[np.uint8]:
    """One puzzle (L,) as an image (height, width, 3): a cell is lighter the higher its token, from dark blue
    to yellow, which is told apart with any kind of colour vision; a wrong one is crossed out, one that
    differs from the answer before has a green edge."""
    shown, wrong = _shown(inputs, answer, solution)
    level = shown.astype(np.float64) / max(1, len(characters) - 1)
    colour = np.stack([40 + 213 * level, 50 + 180 * level, 110 - 70 * level], axis=1).astype(np.uint8)
    grid = colour.reshape(*grid_shape, 3).repeat(_CELL, axis=0).repeat(_CELL, axis=1)
    crossed = np.kron(wrong.reshape(grid_shape), _CROSS)
    grid[crossed] = np.where(grid[crossed].mean(axis=1, keepdims=True) > 128, 0, 255)
    edge = np.kron(changed_cells(inputs, answer, before).reshape(grid_shape), _EDGE)
    grid[edge.astype(np.bool_)] = _CHANGED
    return grid
