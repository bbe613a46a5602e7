"""The symmetries of Sudoku: changes of a puzzle that keep its clue count, its uniqueness and its difficulty.

Digits may be renamed; bands (rows of boxes) and the rows within a band may change places, stacks (columns of
boxes) and the columns within a stack likewise; and the board may be transposed, but only where boxes are
square: the 2x3 boxes of a 6x6 board would become 3x2.

Legend: N puzzles, n digits, L = n*n cells.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from envs.compiling import compiled
from envs.sudoku.board import BLANK, board_of, board_of_size


@dataclass(frozen=True)
class SudokuSymmetries:
    """One symmetry for each of N puzzles."""

    cells: NDArray[np.int64]
    """(N, L) the cell from which each cell takes its token."""
    tokens: NDArray[np.uint8]
    """(N, n + 2) the new token of each token; padding and blank stay."""

    def apply(self, boards: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Boards (N, L) of tokens, puzzles or solutions, each under its symmetry."""
        moved = np.take_along_axis(boards, self.cells, axis=1)
        return np.take_along_axis(self.tokens, moved, axis=1)

    def undo(self, boards: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The boards (N, L) that `apply` makes these of."""
        named = np.take_along_axis(np.argsort(self.tokens, axis=1).astype(np.uint8), boards, axis=1)
        result = np.empty_like(boards)
        np.put_along_axis(result, self.cells, named, axis=1)
        return result

    def undo_chances(self, chances: NDArray[np.float32]) -> NDArray[np.float32]:
        """Probabilities (N, L, n + 2) of tokens, as `undo` does to the tokens."""
        named = np.take_along_axis(chances, self.tokens[:, None].astype(np.int64), axis=2)
        result = np.empty_like(chances)
        np.put_along_axis(result, self.cells[:, :, None], named, axis=1)
        return result


def random_symmetries(size: int, count: int, rng: np.random.Generator) -> SudokuSymmetries:
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
    return SudokuSymmetries(across.reshape(count, size * size), tokens)


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
    and column enter alike. Puzzles that are no symmetries of each other may share a hash, if rarely; where
    that matters there is `envs.sudoku.canonical`. The split of a catalogue rests on the values: they must not
    change. A 9x9 puzzle takes 3 µs on one core. Raises ValueError for a token above that of the last digit.
    """
    board = board_of(inputs)
    if len(inputs) and inputs.max() > board.size + 1:
        raise ValueError(f"puzzles hold tokens above {board.size + 1} (digit {board.size})")
    hashes = np.zeros(len(inputs), np.uint64)
    _hash_all(board, np.ascontiguousarray(inputs, np.uint8), hashes)
    return hashes


@compiled
def _hash_all(board, puzzles, hashes):
    """Fill hashes (N,). Sums wrap around at 64 bits."""
    n = board.size
    colour = np.zeros(n * n, np.uint64)
    units = np.zeros(3 * n, np.uint64)  # of the rows, columns and boxes: the sum of the colours, mixed
    bands = np.zeros(n, np.uint64)  # of the bands or stacks
    lines = np.zeros(2 * n, np.uint64)  # of the rows and columns: what the cells are told of line and band
    digits = np.zeros(n + 2, np.uint64)  # of the cells with each token
    for i in range(len(puzzles)):
        puzzle = puzzles[i]
        for cell in range(n * n):
            colour[cell] = _mix(np.uint64(1) if puzzle[cell] > BLANK else np.uint64(2))
        for _ in range(4):
            units[:] = 0
            digits[:] = 0
            for cell in range(n * n):
                for k in range(3):
                    units[board.units_of[cell, k]] += colour[cell]
                if puzzle[cell] != BLANK:
                    digits[puzzle[cell]] += colour[cell]
            for unit in range(3 * n):
                units[unit] = _mix(units[unit])
            for token in range(n + 2):
                digits[token] = _mix(digits[token])
            for k, length in ((0, board.box_rows), (1, board.box_columns)):
                bands[:] = 0
                for line in range(n):
                    bands[line // length] += np.uint64(n) * units[k * n + line]  # once for each cell
                for line in range(n):
                    band = _mix(bands[line // length])
                    lines[k * n + line] = _mix(units[k * n + line] + np.uint64(3) * band)
            for cell in range(n * n):
                row, column, box = board.units_of[cell]
                colour[cell] = _mix(
                    np.uint64(5) * colour[cell]
                    + lines[row]
                    + lines[column]
                    + np.uint64(7) * units[box]
                    + np.uint64(11) * digits[puzzle[cell]]
                )
        for cell in range(n * n):
            hashes[i] += colour[cell]
        hashes[i] = _mix(hashes[i])


@compiled
def _mix(value):
    """The output function of splitmix64: spreads every bit over all others."""
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))
