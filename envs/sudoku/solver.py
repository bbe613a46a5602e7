"""Solves Sudoku, counts solutions and guesses, and applies the rule to answers.

Naked singles, hidden singles, then branching at the cell with the fewest candidates.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from envs.sudoku.board import BLANK, board_of
from envs.sudoku.kernels import contradicts_all, search_all, solved_all


def check_tokens(puzzles: NDArray[np.uint8]) -> None:
    """Raises ValueError unless puzzles (N, L) hold blanks and digits only: compiled code checks no index."""
    size = board_of(puzzles).size
    if len(puzzles) and not (puzzles.min() >= 1 and puzzles.max() <= size + 1):
        raise ValueError(f"puzzles hold tokens outside 1 (blank) .. {size + 1} (digit {size})")


def _run(
    puzzles: NDArray[np.uint8], limit: int
) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64]]:
    """Solutions (N, L), numbers of solutions (N,), guesses (N,)."""
    if limit < 1:
        raise ValueError(f"limit is {limit}; it must be at least 1")
    board = board_of(puzzles)
    check_tokens(puzzles)
    solutions = np.zeros(puzzles.shape, np.uint8)
    counts = np.zeros(len(puzzles), np.int64)
    guesses = np.zeros(len(puzzles), np.int64)
    search_all(board, np.ascontiguousarray(puzzles, np.uint8), limit, solutions, counts, guesses)
    return solutions, counts, guesses


def solve(puzzles: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Solve puzzles (N, L) of tokens.

    Returns (N, L) one solution each, all 0 where there is none, and (N,) the number of solutions: 0, 1, or 2
    for "several". Clues that clash count as no solution. Raises ValueError for tokens that are no digits.
    """
    solutions, counts, _ = _run(puzzles, limit=2)
    return solutions, counts


def count_solutions(puzzles: NDArray[np.uint8], limit: int = 2) -> NDArray[np.int64]:
    """(N,) how many solutions each puzzle (N, L) has, counted up to `limit`."""
    return _run(puzzles, limit)[1]


def count_guesses(puzzles: NDArray[np.uint8]) -> NDArray[np.int64]:
    """(N,) how hard each puzzle (N, L) is for this solver: the cells at which it has to guess, that is where
    neither naked nor hidden singles are left, while it finds the solution and proves that there is no
    other."""
    return _run(puzzles, limit=2)[2]


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
