"""Sudoku files: CSV with `puzzle,solution` or `question,answer` columns, or plain lines of one puzzle each.

Blanks are '.' or '0'. A missing solution is found by the solver; every puzzle is checked to have exactly one
solution, and a given one must be it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from envs.files import read_columns, read_text, refuse_bad_rows
from envs.puzzle import DataError, Tokens
from envs.sudoku.board import BLANK, board_of_size
from envs.sudoku.solver import conflicting_cells, is_solved, solve

PUZZLE_COLUMNS = ("puzzle", "question")
SOLUTION_COLUMNS = ("solution", "answer")
_NO_TOKEN = 255


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
    inputs = _tokens(puzzles, lines, size, "puzzle", bad, blanks=True)
    solutions, counts = solve(inputs)
    failed = np.flatnonzero(counts != 1)
    clashing = np.count_nonzero(conflicting_cells(inputs[failed]), axis=1) > 0
    for i, clash in zip(failed, clashing, strict=True):
        reason = "two equal clues see each other" if clash else "has no solution"
        bad.setdefault(lines[i], "has several solutions" if counts[i] else reason)
    if given is not None:
        rows = np.flatnonzero([len(text) > 0 for text in given])
        answers = _tokens([given[i] for i in rows], [lines[i] for i in rows], size, "solution", bad)
        for i in rows[~is_solved(inputs[rows], answers)]:
            bad.setdefault(lines[i], "the solution does not fit the puzzle")
    refuse_bad_rows(path, bad)
    return inputs, solutions


def _split(path: Path, text: str) -> tuple[list[int], list[str], list[str] | None]:
    """Line numbers, puzzles and, if the file has them, solutions."""
    first = next(line for line in text.splitlines() if line.strip())
    if "," not in first and first.strip().lower() not in PUZZLE_COLUMNS:
        rows = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
        return [number for number, _ in rows], [line for _, line in rows], None
    lines, (puzzles, solutions) = read_columns(path, text, (PUZZLE_COLUMNS, SOLUTION_COLUMNS))
    assert puzzles is not None
    return lines, puzzles, solutions


def _tokens(
    texts: list[str], lines: list[int], size: int, what: str, bad: dict[int, str], blanks: bool = False
) -> Tokens:
    """Rows of characters as tokens (N, L). Faults go to `bad` and leave a row of blanks."""
    length = board_of_size(size).size ** 2
    table = np.full(256, _NO_TOKEN, np.uint8)
    for digit in range(1, size + 1):
        table[ord(str(digit))] = BLANK + digit
    if blanks:
        table[[ord("."), ord("0")]] = BLANK
    tokens = np.full((len(texts), length), BLANK, np.uint8)
    for i, text in enumerate(texts):
        if len(text) != length:
            bad.setdefault(lines[i], f"the {what} has {len(text)} characters, not {length}")
            continue
        row = table[np.frombuffer(text.encode("latin-1", "replace"), np.uint8)]
        if (row == _NO_TOKEN).any():
            place = int(np.argmax(row == _NO_TOKEN))
            allowed = f"1-{size}" + (", '.' or '0'" if blanks else "")
            bad.setdefault(lines[i], f"character {place + 1} of the {what} is {text[place]!r}, not {allowed}")
            continue
        tokens[i] = row
    return tokens
