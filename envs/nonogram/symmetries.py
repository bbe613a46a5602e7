"""The eight rotations and reflections of a nonogram. Each moves cells about, those of clues with their lines.

Legend: N puzzles, L = s * s cells, n rows and columns of the grid, m = s - n of the margin.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from envs.puzzle import PAD, Tokens


class NonogramSymmetries:
    """A symmetry for each of N puzzles, as the cell that goes to each place."""

    def __init__(self, inputs: Tokens, n: int, which: NDArray[np.int64]):
        """which: (N,) 0 to 7: rows reversed (1), columns reversed (2), then both exchanged (4)."""
        s = round(inputs.shape[1] ** 0.5)
        m = s - n
        cells = np.broadcast_to(np.arange(s * s).reshape(s, s), (len(inputs), s, s))
        used = (inputs != PAD).reshape(-1, s, s)
        rows, columns, grid = cells[:, m:, :m], cells[:, :m, m:].transpose(0, 2, 1), cells[:, m:, m:]
        of_rows, of_columns = used[:, m:, :m].sum(axis=2), used[:, :m, m:].sum(axis=1)
        back = np.ascontiguousarray
        for bit in (1, 2):
            on = (which & bit > 0)[:, None, None]
            if bit == 1:
                rows, columns = (
                    np.where(on, rows[:, ::-1], rows),
                    np.where(on, _read_back(columns, of_columns), columns),
                )
                of_rows = np.where(on[..., 0], of_rows[:, ::-1], of_rows)
                grid = np.where(on, grid[:, ::-1], grid)
            else:
                columns, rows = (
                    np.where(on, columns[:, ::-1], columns),
                    np.where(on, _read_back(rows, of_rows), rows),
                )
                of_columns = np.where(on[..., 0], of_columns[:, ::-1], of_columns)
                grid = np.where(on, grid[:, :, ::-1], grid)
        on = (which & 4 > 0)[:, None, None]
        rows, columns = np.where(on, columns, rows), np.where(on, rows, columns)
        grid = np.where(on, grid.transpose(0, 2, 1), grid)
        placed = cells.copy()
        placed[:, m:, :m], placed[:, :m, m:], placed[:, m:, m:] = rows, columns.transpose(0, 2, 1), grid
        self.cells = back(placed.reshape(len(inputs), -1))

    def apply(self, boards: Tokens) -> Tokens:
        """The puzzles (N, L), each under its symmetry."""
        return np.take_along_axis(boards, self.cells, axis=1)

    def undo(self, boards: Tokens) -> Tokens:
        """Answers (N, L) to these, as answers to the puzzles that they were made of."""
        found = np.empty_like(boards)
        np.put_along_axis(found, self.cells, boards, axis=1)
        return found

    def undo_chances(self, chances: NDArray[np.float32]) -> NDArray[np.float32]:
        """The same for the probabilities (N, L, V) of an answer's tokens."""
        found = np.empty_like(chances)
        np.put_along_axis(found, self.cells[..., None], chances, axis=1)
        return found


def _read_back(clues: NDArray[np.int64], used: NDArray[np.int64]) -> NDArray[np.int64]:
    """Clues (N, n, m) read from the other end: of the last `used` (N, n) cells the order turns."""
    m = clues.shape[2]
    place = np.arange(m)
    first = m - used[..., None]
    return np.take_along_axis(clues, np.where(place >= first, m - 1 - (place - first), place), axis=2)


def canonical(inputs: Tokens, n: int) -> Tokens:
    """(N, L) the smallest of the eight forms, cells compared in order."""
    best = inputs
    for which in range(1, 8):
        form = NonogramSymmetries(inputs, n, np.full(len(inputs), which)).apply(inputs)
        first = (form != best).argmax(axis=1)[:, None]
        smaller = np.take_along_axis(form, first, 1) < np.take_along_axis(best, first, 1)
        best = np.where(smaller, form, best)
    return best
