"""Makes Sudoku puzzles with one solution: a random full board, then clues taken away one by one.

Every removal is proven: either the digit is forced by a naked or hidden single, or a search finds no solution
with another digit in that cell. A board is walked once, in random order, so it ends where no clue can go any
more or where the wanted number of clues is reached.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from envs.errors import UserError
from envs.sudoku.board import board_of_size
from envs.sudoku.kernels import generate_all

FEWEST_CLUES = {4: 4, 6: 8, 9: 20}
"""The fewest clues this generator reaches. For 4x4 and 6x6 these are the fewest that any puzzle has; for 9x9
removing clues stopped at 20 in 10 of 150,000 boards and never below, while puzzles with 17 exist."""

MAX_BOARDS = 20_000
"""Boards tried for one puzzle before the request is refused (about 6 s for 9x9)."""


def generate_puzzles(
    size: int, clues: tuple[int, int], count: int, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """`count` new puzzles with one solution each, as tokens: inputs (N, L) and solutions (N, L).

    The number of clues aimed at is uniform in `clues` (both ends included) as far as the generator reaches; a
    board that cannot be brought down to it is kept if it lies in the range, so that low ranges lean to their
    upper end. Raises UserError for a range that is empty, out of reach or too rare.
    """
    board = board_of_size(size)
    fewest, most = clues
    floor = FEWEST_CLUES[size]
    if not 0 <= fewest <= most <= size * size:
        raise UserError(f"clues are {clues}; they must be a range within 0..{size * size}")
    if most < floor:
        raise UserError(
            f"{most} clues are out of reach: this generator makes {size}x{size} puzzles with {floor} or more"
            + ("; give a file of 17-clue puzzles as `catalogue` for fewer" if size == 9 else "")
        )
    seeds = rng.integers(0, 2**64, size=count, dtype=np.uint64)
    targets = rng.integers(max(fewest, floor), most + 1, size=count)
    puzzles = np.empty((count, size * size), np.uint8)
    solutions = np.empty((count, size * size), np.uint8)
    made = generate_all(board, seeds, targets, most, MAX_BOARDS, puzzles, solutions)
    if made < count:
        raise UserError(
            f"{most} clues or fewer are too rare: none in {MAX_BOARDS:,} boards of {size}x{size} in a row "
            f"({made} of {count} puzzles made)"
        )
    return puzzles, solutions
