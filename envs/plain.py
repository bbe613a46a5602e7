"""Pictures of a puzzle of any task: its characters as text, its tokens as coloured cells."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from envs.puzzle import PAD, Tokens

_CELL = 16
_ON_ORANGE, _RESET = "\033[30;48;5;215m", "\033[0m"
_CROSS = np.eye(_CELL, dtype=np.bool_) | np.eye(_CELL, dtype=np.bool_)[::-1]


def _shown(
    inputs: Tokens, answer: Tokens | None, solution: Tokens | None
) -> tuple[Tokens, NDArray[np.bool_]]:
    """The tokens to show (L,) and which of them are wrong (L,)."""
    if answer is None:
        return inputs, np.zeros(len(inputs), np.bool_)
    if solution is None:
        return answer, np.zeros(len(inputs), np.bool_)
    return answer, (answer != solution) & (solution != PAD)


def render_text(
    characters: str,
    grid_shape: tuple[int, int],
    inputs: Tokens,
    answer: Tokens | None = None,
    solution: Tokens | None = None,
) -> str:
    """One puzzle (L,) row by row, two columns a cell; a wrong cell has a trailing ! on orange."""
    shown, wrong = _shown(inputs, answer, solution)
    cells = [
        f"{_ON_ORANGE}{characters[token]}!{_RESET}" if bad else f"{characters[token]} "
        for token, bad in zip(shown, wrong, strict=True)
    ]
    rows, columns = grid_shape
    return "\n".join("".join(cells[row * columns : (row + 1) * columns]) for row in range(rows))


def render_rgb(
    characters: str,
    grid_shape: tuple[int, int],
    inputs: Tokens,
    answer: Tokens | None = None,
    solution: Tokens | None = None,
) -> NDArray[np.uint8]:
    """One puzzle (L,) as an image (height, width, 3): a cell is lighter the higher its token, from dark blue to
    yellow, which is told apart with any kind of colour vision; a wrong one is crossed out."""
    shown, wrong = _shown(inputs, answer, solution)
    level = shown.astype(np.float64) / max(1, len(characters) - 1)
    colour = np.stack([40 + 213 * level, 50 + 180 * level, 110 - 70 * level], axis=1).astype(np.uint8)
    grid = colour.reshape(*grid_shape, 3).repeat(_CELL, axis=0).repeat(_CELL, axis=1)
    crossed = np.kron(wrong.reshape(grid_shape), _CROSS)
    grid[crossed] = np.where(grid[crossed].mean(axis=1, keepdims=True) > 128, 0, 255)
    return grid
