"""The symmetries of Sudoku: changes of a puzzle that keep its clue count, its uniqueness and its difficulty.

Digits may be renamed; bands (rows of boxes) and the rows within a band may change places, stacks (columns of
boxes) and the columns within a stack likewise; and the board may be transposed, but only where boxes are
square: the 2x3 boxes of a 6x6 board would become 3x2.

Legend: N puzzles, n digits, L = n*n cells.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import factorial

import numpy as np
from numpy.typing import NDArray

from envs.sudoku.board import BLANK, board_of, board_of_size


@dataclass(frozen=True)
class Symmetries:
    """One symmetry for each of N puzzles."""

    cells: NDArray[np.int64]
    """(N, L) the cell from which each cell takes its token."""
    tokens: NDArray[np.uint8]
    """(N, n + 2) the new token of each token; padding and blank stay."""

    def apply(self, boards: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Boards (N, L) of tokens, puzzles or solutions, each under its symmetry."""
        moved = np.take_along_axis(boards, self.cells, axis=1)
        return np.take_along_axis(self.tokens, moved, axis=1)


def group_order(size: int) -> int:
    """The number of different symmetries of a board; 1,218,998,108,160 for 9x9."""
    board = board_of_size(size)
    bands, stacks = size // board.box_rows, size // board.box_columns
    return (
        factorial(size)
        * factorial(bands)
        * factorial(board.box_rows) ** bands
        * factorial(stacks)
        * factorial(board.box_columns) ** stacks
        * (2 if board.box_rows == board.box_columns else 1)
    )


def random_symmetries(size: int, count: int, rng: np.random.Generator) -> Symmetries:
    """`count` symmetries, each uniform over all of the board's.

    Every puzzle takes the same number of random numbers in order, so that 2 + 3 symmetries equal 5.
    """
    board = board_of_size(size)
    bands, stacks = size // board.box_rows, size // board.box_columns
    widths = [size, bands, size, stacks, size, 1]
    draws = np.split(rng.random((count, sum(widths))), np.cumsum(widths)[:-1], axis=1)

    tokens = np.tile(np.arange(size + 2, dtype=np.uint8), (count, 1))
    tokens[:, BLANK + 1 :] = np.argsort(draws[0], axis=1) + BLANK + 1
    rows = _line_order(draws[1], draws[2], board.box_rows)  # (N, n)
    columns = _line_order(draws[3], draws[4], board.box_columns)
    across = rows[:, :, None] * size + columns[:, None, :]  # (N, n, n)
    if board.box_rows == board.box_columns:
        down = rows[:, :, None] + columns[:, None, :] * size
        across = np.where(draws[5][:, :, None] < 0.5, down, across)
    return Symmetries(across.reshape(count, size * size), tokens)


def _line_order(blocks: NDArray[np.float64], lines: NDArray[np.float64], length: int) -> NDArray[np.int64]:
    """(N, n) an order of rows that keeps bands of `length` rows together (or of columns and stacks), from
    random numbers for the bands (N, n / length) and for the rows (N, n)."""
    count, size = lines.shape
    block = np.argsort(blocks, axis=1)
    within = np.argsort(lines.reshape(count, -1, length), axis=2)
    return (block[:, :, None] * length + within).reshape(count, size)


def symmetry_hash(inputs: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """(N,) a hash of each puzzle (N, L) that all its symmetries share, also where transposition is none.

    Colour refinement: a cell starts as clue or blank and is told, again and again, the colours of its row,
    column, box, band and stack and of the clues with its digit, always as sums, so that no order matters; row
    and column enter alike. Puzzles that are no symmetries of each other may share a hash, if rarely.
    """
    board = board_of(inputs)
    size = board.size
    row, column, box = (board.units_of[:, k].astype(np.int64) - k * size for k in range(3))
    digit = inputs.astype(np.int64)
    colour = _mix(np.where(inputs > BLANK, np.uint64(1), np.uint64(2)))  # (N, L)
    for _ in range(4):
        lines = np.zeros_like(colour)
        for line, block in ((row, row // board.box_rows), (column, column // board.box_columns)):
            in_line = _group_sums(colour, line)
            lines += _mix(in_line + np.uint64(3) * _group_sums(in_line, block))
        by_digit = np.stack([(colour * (digit == t)).sum(axis=1) for t in range(size + 2)], axis=1)
        by_digit[:, BLANK] = 0  # blanks are not a digit
        same = np.take_along_axis(_mix(by_digit), digit, axis=1)
        boxes = _group_sums(colour, box)
        colour = _mix(colour * np.uint64(5) + lines + np.uint64(7) * boxes + np.uint64(11) * same)
    return _mix(colour.sum(axis=1))


def _group_sums(colour: NDArray[np.uint64], group: NDArray[np.int64]) -> NDArray[np.uint64]:
    """(N, L) for each cell the mixed sum of the colours (N, L) in its group; group: (L,) number of the group."""
    members = np.arange(group.max() + 1)[:, None] == group  # (groups, L)
    return _mix(colour @ members.T.astype(np.uint64))[:, group]


def _mix(value: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The output function of splitmix64: spreads every bit over all others. Arrays wrap around silently."""
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))
