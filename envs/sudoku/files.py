"""Sudoku files: CSV with `puzzle,solution` or `question,answer` columns, or plain lines of one puzzle each.

Blanks are '.' or '0'. A missing solution is found by the solver; every puzzle is checked to have exactly one
solution, and a given one must be it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from envs.files import (
    ANSWER_COLUMNS,
    QUESTION_COLUMNS,
    read_columns,
    read_text,
    refuse_bad_rows,
    tokens_of,
)
from envs.puzzle import DataError, Tokens
from envs.sudoku.board import BLANK
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
    solutions, counts = solve(inputs)
    failed = np.flatnonzero(counts != 1)
    clashing = np.count_nonzero(conflicting_cells(inputs[failed]), axis=1) > 0
    for i, clash in zip(failed, clashing, strict=True):
        reason = "two equal clues see each other" if clash else "has no solution"
        bad.setdefault(lines[i], "has several solutions" if counts[i] else reason)
    if given is not None:
        rows = np.flatnonzero([len(text) > 0 for text in given])
        answers = tokens_of(
            [given[i] for i in rows], [lines[i] for i in rows], size**2, _codes(size, blanks=False),
            "solution", bad, BLANK,
        )  # fmt: skip
        for i in rows[~is_solved(inputs[rows], answers)]:
            bad.setdefault(lines[i], "the solution does not fit the puzzle")
    refuse_bad_rows(path, bad)
    return inputs, solutions


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
