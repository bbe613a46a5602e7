"""Sudoku files: CSV with `puzzle,solution` or `question,answer` columns, or plain lines of one puzzle each.

Blanks are '.' or '0'. A missing solution is found by the solver; every puzzle is checked to have exactly one
solution, and a given one must be it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from envs.csv_files import (
    ANSWER_COLUMNS,
    QUESTION_COLUMNS,
    read_columns,
    read_text,
    refuse_bad_rows,
    tokens_of,
)
from envs.errors import DataError
from envs.puzzle import Tokens
from envs.sudoku.board import BLANK, board_of
from envs.sudoku.solver import conflicting_cells, is_solved, solve


def read_puzzles(path: Path, size: int) -> tuple[Tokens, Tokens]:
    """All puzzles of a file as tokens: inputs (N, L) and solutions (N, L).

    Raises DataError, in one line that starts with the path, for a file that cannot be read and for rows that
    are no puzzles with one solution.
    """
    path = Path(path)
    lines, puzzles, given = _split(path, read_text(path))
    if not lines:
        raise DataError(f"{path}: has a header but no rows")
    bad: dict[int, str] = {}
    inputs = tokens_of(puzzles, lines, size**2, _codes(size, blanks=True), "puzzle", bad, BLANK)
    answers = np.zeros_like(inputs)
    has_answer = np.array([len(text) > 0 for text in given or [""] * len(lines)])
    if given is not None:
        rows = np.flatnonzero(has_answer)
        answers[rows] = tokens_of(
            [given[i] for i in rows],
            [lines[i] for i in rows],
            size**2,
            _codes(size, blanks=False),
            "solution",
            bad,
            BLANK,
        )
    solutions, reasons = _examine(inputs, answers, has_answer)
    for row, reason in reasons.items():
        bad.setdefault(lines[row], reason)
    refuse_bad_rows(path, bad)
    return inputs, solutions


def parse_puzzle(text: str, size: int) -> tuple[Tokens, Tokens]:
    """One puzzle (1, L) and its solution (1, L), from text in which blanks, line ends, '|' and
    lines of '-' and '+' do not count. Raises DataError for text that is no puzzle and for
    puzzles without exactly one solution."""
    lines = [line for line in text.splitlines() if set(line.strip()) - set("-+")]
    cells = "".join("".join(lines).replace("|", "").split())
    bad: dict[int, str] = {}
    inputs = tokens_of([cells], [1], size**2, _codes(size, blanks=True), "puzzle", bad, BLANK)
    if bad:
        raise DataError(bad[1])
    solutions, reasons = _examine(inputs, np.zeros_like(inputs), np.zeros(1, np.bool_))
    if reasons:
        clash = np.flatnonzero(conflicting_cells(inputs)[0])
        where = " and ".join(
            f"row {cell // size + 1}, column {cell % size + 1}" for cell in _clashing_pair(inputs[0], clash)
        )
        raise DataError(
            f"the puzzle {reasons[0]}" if not where else f"the puzzle has no solution: {where} are equal"
        )
    return inputs, solutions


def _clashing_pair(tokens: Tokens, clash: NDArray[np.int64]) -> tuple[int, ...]:
    """Two of the clashing cells that hold the same digit and see each other; none if nothing clashes."""
    units = board_of(tokens[None]).units_of
    pairs = ((int(a), int(b)) for i, a in enumerate(clash) for b in clash[i + 1 :])
    return next(((a, b) for a, b in pairs if tokens[a] == tokens[b] and (units[a] == units[b]).any()), ())


def faults(inputs: Tokens, solution: Tokens) -> dict[int, str]:
    """Row -> reason, for rows of inputs (N, L) that are no puzzles with one solution or whose solution (N, L)
    is not it. Any uint8 may stand in both."""
    return _examine(inputs, solution, np.ones(len(inputs), np.bool_))[1]


def _examine(inputs: Tokens, answers: Tokens, has_answer: NDArray[np.bool_]) -> tuple[Tokens, dict[int, str]]:
    """The solutions (N, L) that the solver finds, and row -> reason as `faults` gives it, with answers (N, L)
    compared only where `has_answer` (N,)."""
    size = board_of(inputs).size
    reasons: dict[int, str] = {}
    foreign = (inputs < BLANK) | (inputs > BLANK + size)  # (N, L)
    for row in np.flatnonzero(foreign.any(axis=1)):
        cell = int(np.argmax(foreign[row]))
        reasons[int(row)] = (
            f"cell {cell + 1} of the puzzle is token {inputs[row, cell]}, "
            f"not {BLANK} (blank) to {BLANK + size} (digit {size})"
        )
    inputs = np.where(foreign, np.uint8(BLANK), inputs)
    solutions, counts = solve(inputs)
    failed = np.flatnonzero(counts != 1)
    clashing = np.count_nonzero(conflicting_cells(inputs[failed]), axis=1) > 0
    for row, clash in zip(failed, clashing, strict=True):
        reason = "two equal clues see each other" if clash else "has no solution"
        reasons.setdefault(int(row), "has several solutions" if counts[row] else reason)
    for row in np.flatnonzero(has_answer & ~is_solved(inputs, answers)):
        reasons.setdefault(int(row), "the solution does not fit the puzzle")
    return solutions, reasons


def _split(path: Path, text: str) -> tuple[list[int], list[str], list[str] | None]:
    """Line numbers, puzzles and, if the file has them, solutions."""
    first = next(line for line in text.splitlines() if line.strip())
    if "," not in first and first.strip().lower() not in QUESTION_COLUMNS:
        rows = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
        return [number for number, _ in rows], [line for _, line in rows], None
    lines, (puzzles, solutions) = read_columns(path, text, (QUESTION_COLUMNS, ANSWER_COLUMNS))
    assert puzzles is not None
    stripped = None if solutions is None else [text.strip() for text in solutions]
    return lines, [text.strip() for text in puzzles], stripped


def _codes(size: int, blanks: bool) -> dict[str, int]:
    """The token of each character."""
    digits = {str(digit): BLANK + digit for digit in range(1, size + 1)}
    return digits | {".": BLANK, "0": BLANK} if blanks else digits
