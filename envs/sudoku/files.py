"""Sudoku files: CSV with `puzzle,solution` or `question,answer` columns, or text as people write it (see
envs/sudoku/text.py).

A missing solution is found by the solver; every puzzle is checked to have exactly one solution, and a given
one must be it.
"""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from envs.csv_files import (
    ANSWER_COLUMNS,
    QUESTION_COLUMNS,
    Place,
    no_column,
    read_columns,
    read_text,
    refuse_bad_rows,
    refuse_first,
    tokens_of,
)
from envs.errors import DataError
from envs.puzzle import Tokens
from envs.sudoku.board import BLANK, board_of
from envs.sudoku.solver import conflicting_cells, is_solved, solve
from envs.sudoku.text import MARKS, PastedBoard, boards, is_remark


def read_puzzles(path: Path, size: int) -> tuple[Tokens, Tokens]:
    """All puzzles of a file as tokens: inputs (N, L) and solutions (N, L).

    Raises DataError, in one line that starts with the path, for a file that cannot be read and for rows that
    are no puzzles with one solution.
    """
    path = Path(path)
    text = read_text(path)
    bad: dict[int, str] = {}
    if _is_csv(text):
        lines, inputs, answers, has_answer = _from_columns(path, text, size, bad)
    else:
        found, bad = boards(text, size)
        if not found and not bad:
            raise DataError(f"{path}: holds no puzzles")
        inputs = _tokens_of_boards(found, size, bad)
        sound = np.array([not any(number in bad for number, _ in board.rows) for board in found], np.bool_)
        lines = [board.line for board in itertools.compress(found, sound)]
        inputs = inputs[sound]
        answers, has_answer = np.zeros_like(inputs), np.zeros(len(inputs), np.bool_)
    solutions, reasons = _examine(inputs, answers, has_answer)
    for row, reason in reasons.items():
        bad.setdefault(lines[row], reason)
    refuse_bad_rows(path, bad)
    return inputs, solutions


def encode(text: str, size: int) -> Tokens:
    """One puzzle (L,) from text as envs/sudoku/text.py reads it; how many solutions it has is not asked.
    Raises DataError for text that is no puzzle."""
    found, bad = boards(text, size)
    if not bad and len(found) != 1:
        raise DataError(
            f"there are {len(found)} puzzles in the text; give one"
            if found
            else "no line of the text is a row of a board"
            if text.strip()
            else "the text is empty"
        )
    inputs = _tokens_of_boards(found, size, bad)
    several = "\n" in text
    refuse_first({line: _in_line(line, reason) if several else reason for line, reason in bad.items()})
    return inputs[0]


def split_puzzles(text: str, size: int) -> list[str]:
    """The puzzles of a text without a header, each as `parse_puzzle` takes it. Raises DataError for lines
    that are no part of one."""
    if _is_csv(text):
        header = next(line for line in text.splitlines() if not is_remark(line))
        raise DataError(no_column([name.strip().lower() for name in header.split(",")], QUESTION_COLUMNS))
    found, bad = boards(text, size)
    refuse_first({line: _in_line(line, reason) for line, reason in bad.items()})
    return [board.text for board in found]


def _in_line(line: int, reason: str) -> str:
    """A reason that names its line, still of its class."""
    return type(reason)(f"line {line}: {reason}")


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


def _is_csv(text: str) -> bool:
    """Whether the text has a header line: one with names in it."""
    first = next((line for line in text.splitlines() if not is_remark(line)), "").strip().lower()
    names = any(character.isalpha() and character != "x" for character in first)
    return first in QUESTION_COLUMNS or ("," in first and names)


def _from_columns(
    path: Path, text: str, size: int, bad: dict[int, str]
) -> tuple[list[int], Tokens, Tokens, NDArray[np.bool_]]:
    """Line numbers, puzzles (N, L), solutions (N, L) and where one is given (N,)."""
    before = sum(1 for _ in itertools.takewhile(is_remark, text.splitlines()))
    table = "\n" * before + "".join(text.splitlines(keepends=True)[before:])
    lines, (puzzles, given) = read_columns(path, table, (QUESTION_COLUMNS, ANSWER_COLUMNS))
    if not lines:
        raise DataError(f"{path}: has a header but no rows")
    assert puzzles is not None
    puzzles = [text.strip() for text in puzzles]
    inputs = tokens_of(puzzles, lines, size**2, _codes(size, blanks=True), "puzzle", bad, BLANK)
    _refuse_mixed_marks(puzzles, lambda row, cell: (lines[row], f"character {cell + 1} of the puzzle"), bad)
    solutions = [text.strip() for text in given or [""] * len(lines)]
    has_answer = np.array([len(text) > 0 for text in solutions])
    answers = np.zeros_like(inputs)
    rows = np.flatnonzero(has_answer)
    answers[rows] = tokens_of(
        [solutions[i] for i in rows],
        [lines[i] for i in rows],
        size**2,
        _codes(size, blanks=False),
        "solution",
        bad,
        BLANK,
    )
    return lines, inputs, answers, has_answer


def _tokens_of_boards(found: list[PastedBoard], size: int, bad: dict[int, str]) -> Tokens:
    """Tokens (N, L); characters that are no cells go to `bad`, by their line."""

    def place(row: int, cell: int) -> tuple[int, str]:
        line, character = found[row].place(cell)
        return line, f"character {character}"

    texts, lines = [board.cells for board in found], [board.line for board in found]
    tokens = tokens_of(texts, lines, size**2, _codes(size, blanks=True), "puzzle", bad, BLANK, place)
    _refuse_mixed_marks(texts, place, bad)
    return tokens


def _refuse_mixed_marks(texts: list[str], place: Place, bad: dict[int, str]) -> None:
    """A board whose blanks are written in two ways goes to `bad`: one of them may mean something else."""
    for row, text in enumerate(texts):
        first = [min(found) for marks in MARKS if (found := [text.find(m) for m in marks if m in text])]
        if len(first) > 1:
            cells = sorted(first)
            line, name = place(row, cells[1])
            bad.setdefault(
                line,
                f"{name} is {text[cells[1]]!r}, but a blank was {text[cells[0]]!r} before: write all alike",
            )


def _codes(size: int, blanks: bool) -> dict[str, int]:
    """The token of each character."""
    digits = {str(digit): BLANK + digit for digit in range(1, size + 1)}
    return digits | dict.fromkeys("".join(MARKS), BLANK) if blanks else digits
