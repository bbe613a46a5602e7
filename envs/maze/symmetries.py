"""The eight symmetries of a square: what maps a maze to one that is as hard.

A maze that is smaller than its canvas is rotated or mirrored within the rectangle it fills and stays at the
top left. A solution must not be: which of the shortest paths is the label depends on the directions (see
`label`).

Legend: N mazes, L = size * size cells of a square canvas.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from envs.maze.kernels import canonical_all, extents_all, transform_all
from envs.puzzle import PAD, Tokens

SYMMETRIES = 8


@dataclass(frozen=True)
class MazeSymmetries:
    """One symmetry for each of N mazes."""

    cells: NDArray[np.int64]
    """(N, L) the cell from which each cell takes its token; -1 for what is padding afterwards."""

    @staticmethod
    def of(inputs: Tokens, size: int, which: NDArray[np.int64]) -> MazeSymmetries:
        """What `transform` does to mazes (N, L)."""
        there = (inputs != PAD).reshape(-1, size, size)
        rows, columns = there.any(axis=2), there.any(axis=1)  # each (N, size)
        top, left = rows.argmax(axis=1), columns.argmax(axis=1)
        height = np.where(rows.any(axis=1), size - rows[:, ::-1].argmax(axis=1) - top, 0)
        width = np.where(columns.any(axis=1), size - columns[:, ::-1].argmax(axis=1) - left, 0)

        swapped = (which & 4 > 0)[:, None, None]
        # row, column (1, size, size): of the cell that takes a token; i, j: in the rectangle it comes from
        row, column = np.indices((size, size))[:, None]
        i, j = np.where(swapped, column, row), np.where(swapped, row, column)
        top, left, height, width = (edge[:, None, None] for edge in (top, left, height, width))
        inside = (i < height) & (j < width)
        i = np.where((which & 1 > 0)[:, None, None], height - 1 - i, i)
        j = np.where((which & 2 > 0)[:, None, None], width - 1 - j, j)
        return MazeSymmetries(np.where(inside, (top + i) * size + left + j, -1).reshape(inputs.shape))

    def apply(self, boards: Tokens) -> Tokens:
        """Mazes or answers (N, L), each under its symmetry; PAD outside the maze."""
        moved = np.take_along_axis(boards, np.maximum(self.cells, 0), axis=1)
        return np.where(self.cells >= 0, moved, np.uint8(PAD))

    def undo(self, boards: Tokens) -> Tokens:
        """The answers (N, L) that `apply` makes these of; PAD outside the maze."""
        result = np.full_like(boards, PAD)
        n, cell = np.nonzero(self.cells >= 0)
        result[n, self.cells[n, cell]] = boards[n, cell]
        return result

    def undo_chances(self, chances: NDArray[np.float32]) -> NDArray[np.float32]:
        """Probabilities (N, L, V) of tokens, as `undo` does to the tokens; PAD for sure outside the maze."""
        result = np.zeros_like(chances)
        result[..., PAD] = 1
        n, cell = np.nonzero(self.cells >= 0)
        result[n, self.cells[n, cell]] = chances[n, cell]
        return result


def transform(inputs: Tokens, size: int, which: NDArray[np.int64]) -> Tokens:
    """Each maze (N, L) under the symmetry which (N,), 0..7: rows reversed (1), columns reversed (2), then
    rows and columns exchanged (4). 0 moves a maze to the top left and changes nothing else."""
    moved = np.empty_like(inputs)
    transform_all(np.ascontiguousarray(inputs), size, which, moved)
    return moved


def canonical(inputs: Tokens, size: int) -> Tokens:
    """(N, L) the smallest of the eight transforms of each maze, cells compared in order: the same exactly for
    mazes that are symmetric."""
    smallest = np.empty_like(inputs)
    canonical_all(np.ascontiguousarray(inputs), size, smallest)
    return smallest


def extents(inputs: Tokens, size: int) -> NDArray[np.int64]:
    """(N, 2) rows and columns of each maze (N, L) without its padding."""
    result = np.empty((len(inputs), 2), np.int64)
    extents_all(np.ascontiguousarray(inputs), size, result)
    return result
