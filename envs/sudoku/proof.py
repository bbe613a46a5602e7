"""Whether one puzzle has exactly one solution, within a bound of work, and the cell to name if not."""

from __future__ import annotations

import numpy as np

from envs.errors import DataError
from envs.puzzle import Tokens
from envs.sudoku.board import BLANK, board_of_size
from envs.sudoku.solver import conflicting_cells, two_solutions

MOST_GUESSES = 100_000
"""What a proof may take: less than a tenth of a second for 9x9. The hardest puzzles known need some hundred;
boards without a solution can be made that need millions."""


def prove(inputs: Tokens, size: int) -> Tokens:
    """The solution (L,) of a puzzle (L,) of blanks and digits. Raises DataError, which names a cell, for
    puzzles without exactly one solution; and for those of which MOST_GUESSES do not tell."""
    clash = _clashing_pair(inputs, size)
    if clash:
        where = " and ".join(place(cell, size) for cell in clash)
        raise DataError(f"the puzzle has no solution: {where} are equal", clash[-1])
    found = two_solutions(inputs, MOST_GUESSES)
    if found is None:
        raise DataError(
            f"the puzzle is too hard to prove: {MOST_GUESSES:,} guesses do not tell its solutions"
        )
    if not found:
        raise _unsolvable(inputs, size)
    if len(found) > 1:
        first, other = found
        cell = int(np.argmax(first != other))
        low, high = sorted((int(first[cell]) - BLANK, int(other[cell]) - BLANK))
        raise DataError(f"the puzzle has several solutions: {place(cell, size)} can be {low} or {high}", cell)
    return found[0]


def place(cell: int, size: int) -> str:
    return f"row {cell // size + 1}, column {cell % size + 1}"


def _clashing_pair(inputs: Tokens, size: int) -> tuple[int, ...]:
    """Two cells that hold the same digit and see each other; none if nothing clashes."""
    clash = np.flatnonzero(conflicting_cells(inputs[None])[0])
    units = board_of_size(size).units_of
    pairs = ((int(a), int(b)) for i, a in enumerate(clash) for b in clash[i + 1 :])
    return next(((a, b) for a, b in pairs if inputs[a] == inputs[b] and (units[a] == units[b]).any()), ())


def _unsolvable(inputs: Tokens, size: int) -> DataError:
    """What to say of a puzzle without clashes and without a solution: the blank that the fewest digits fit,
    by what it sees, and that none of them does."""
    board = board_of_size(size)
    digits = range(BLANK + 1, BLANK + size + 1)
    fitting: dict[int, list[int]] = {}
    for cell in map(int, np.flatnonzero(inputs == BLANK)):
        seen = {int(token) for unit in board.units_of[cell] for token in inputs[board.cells_of[unit]]}
        fitting[cell] = [token - BLANK for token in digits if token not in seen]
    cell = min(fitting, key=lambda blank: len(fitting[blank]))
    listed = ", ".join(map(str, fitting[cell]))
    cannot = f"cannot be {listed}, and what it sees excludes the rest" if listed else "can be no digit"
    return DataError(f"the puzzle has no solution: {place(cell, size)} {cannot}", cell)
