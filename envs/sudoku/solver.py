"""Solves Sudoku, counts solutions and guesses, and applies the rule to answers.

Naked singles, hidden singles, then branching at the cell with the fewest candidates.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from envs.sudoku.board import BLANK, board_of
from envs.sudoku.kernels import GAVE_UP, contradicts_all, search_all, solved_all

UNBOUNDED = 1 << 62
"""Guesses."""


def check_tokens(puzzles: NDArray[np.uint8]) -> None:
    """Raises ValueError unless puzzles (N, L) hold blanks and digits only: compiled code checks no index."""
    size = board_of(puzzles).size
    if len(puzzles) and not (puzzles.min() >= 1 and puzzles.max() <= size + 1):
        raise ValueError(f"puzzles hold tokens outside 1 (blank) .. {size + 1} (digit {size})")


def _run(
    puzzles: NDArray[np.uint8], limit: int, most_guesses: int = UNBOUNDED
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64]]:
    """A first and a second solution (N, L), numbers of solutions (N,), guesses (N,)."""
    if limit < 1:
        raise ValueError(f"limit is {limit}; it must be at least 1")
    board = board_of(puzzles)
    check_tokens(puzzles)
    solutions, others = np.zeros((2, *puzzles.shape), np.uint8)
    counts, guesses = np.zeros((2, len(puzzles)), np.int64)
    puzzles = np.ascontiguousarray(puzzles, np.uint8)
    search_all(board, puzzles, limit, most_guesses, solutions, others, counts, guesses)
    return solutions, others, counts, guesses


def solve(puzzles: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Solve puzzles (N, L) of tokens.

    Returns (N, L) one solution each, all 0 where there is none, and (N,) the number of solutions: 0, 1, or 2
    for "several". Clues that clash count as no solution. Raises ValueError for tokens that are no digits.
    """
    solutions, _, counts, _ = _run(puzzles, limit=2)
    return solutions, counts


def two_solutions(puzzle: NDArray[np.uint8], most_guesses: int) -> list[NDArray[np.uint8]] | None:
    """The solutions (L,) of one puzzle (L,), two of them if there are more; None where so many guesses do not
    tell how many there are. Raises ValueError for tokens that are no digits."""
    first, second, counts, _ = _run(puzzle[None], 2, most_guesses)
    return None if counts[0] == GAVE_UP else [first[0], second[0]][: counts[0]]


def count_solutions(puzzles: NDArray[np.uint8], limit: int = 2) -> NDArray[np.int64]:
    """(N,) how many solutions each puzzle (N, L) has, counted up to `limit`."""
    return _run(puzzles, limit)[2]


def count_guesses(puzzles: NDArray[np.uint8]) -> NDArray[np.int64]:
    """(N,) how hard each puzzle (N, L) is for this solver: the cells at which it has to guess, that is where
    neither naked nor hidden singles are left, while it finds the solution and proves that there is no
    other."""
    return _run(puzzles, limit=2)[3]


def is_solved(inputs: NDArray[np.uint8], answer: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """(N,) whether each answer (N, L) keeps the clues of `inputs` (N, L) and has every digit once in each
    row, column and box. Any uint8 may stand in an answer; what is no digit is wrong."""
    board = board_of(inputs)
    if answer.shape != inputs.shape:
        raise ValueError(f"answer has shape {answer.shape}; inputs have {inputs.shape}")
    result = np.empty(len(inputs), np.bool_)
    solved_all(board, np.ascontiguousarray(inputs, np.uint8), np.ascontiguousarray(answer, np.uint8), result)
    return result


def broken_rules(inputs: NDArray[np.uint8], answer: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """(N, 5) whether each answer (N, L) changes a clue, leaves a cell without a digit, or has a digit twice
    in a row, a column, a box. None of them is what `is_solved` asks for."""
    board = board_of(inputs)
    changed = (inputs > BLANK) & (answer != inputs)
    missing = (answer <= BLANK) | (answer > board.size + 1)
    found = [changed.any(axis=1), missing.any(axis=1)]
    for units in board.cells_of.reshape(3, board.size, board.size):  # rows, columns, boxes
        tokens = np.sort(answer[:, units], axis=-1)  # (N, n units, n)
        twice = (tokens[..., 1:] == tokens[..., :-1]) & (tokens[..., 1:] > BLANK)
        found.append(twice.any(axis=(1, 2)))
    return np.stack(found, axis=1)


def violations(inputs: NDArray[np.uint8], answer: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """(N, L) the cells of each answer (N, L) that change a clue, hold no digit, or hold one that their row,
    column or box has twice."""
    changed = (inputs > BLANK) & (answer != inputs)
    missing = (answer <= BLANK) | (answer > board_of(inputs).size + 1)
    return changed | missing | conflicting_cells(answer)


def contradicts(boards: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """(N,) whether each board (N, L), with blanks, has a digit twice in a unit or a blank that no digit fits.

    That is the rule at a glance: it looks at one cell and its units at a time, and places nothing. A digit
    without a place in a unit is left to whoever solves the board: to find it means to go through all cells
    of the unit for every digit, which is how the solver above reasons (hidden singles). Raises ValueError
    for tokens that are neither blank nor digit.
    """
    check_tokens(boards)
    result = np.empty(len(boards), np.bool_)
    contradicts_all(board_of(boards), np.ascontiguousarray(boards, np.uint8), result)
    return result


def conflicting_cells(boards: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """(N, L) the digits of each board that occur twice in one of their units."""
    conflict = np.zeros(boards.shape, np.bool_)
    for unit in board_of(boards).cells_of:  # (n,) cells
        tokens = boards[:, unit]  # (N, n)
        equal = (tokens[:, :, None] == tokens[:, None, :]).sum(axis=2) > 1
        conflict[:, unit] |= equal & (tokens > BLANK)
    return conflict
