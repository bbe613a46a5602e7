"""Pattern files: CSV with `question,answer` columns, or text with a question in each line.

The rows of a question stand one after the other with `/` between: `0110/....`. `_` is padding: in front of
a string it says where that lies on the canvas, behind it may be left out. A person may type less: `0110`,
`cab`, `aab...`, `(()]`, `9+73`; what is missing is put in.

A missing answer is made by the rule. A given one has to be right, but not the one that the rule would choose.

Legend: N puzzles, R rows, W columns of the canvas, L = R * W cells.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from envs.csv_files import (
    ANSWER_COLUMNS,
    QUESTION_COLUMNS,
    Misfit,
    read_columns,
    read_text,
    refuse_bad_rows,
    refuse_first,
)
from envs.errors import DataError
from envs.patterns.pattern import Pattern
from envs.puzzle import Tokens


def write(tokens: Tokens, pattern: Pattern) -> str:
    """One puzzle or answer (L,) as text, without the padding behind it."""
    rows = tokens.reshape(pattern.rows, -1)
    there = np.flatnonzero((rows != 0).any(axis=0))
    end = int(there[-1]) + 1 if len(there) else 1
    return "/".join("".join(pattern.characters[token] for token in row[:end]) for row in rows)


def encode(text: str, pattern: Pattern, columns: int) -> Tokens:
    """(L,) the question that `text` is, its rows with `/` or line ends between. Raises DataError for text
    that is none; its sense is not looked at."""
    bad: dict[int, str] = {}
    tokens = _tokens(pattern.complete(_rows(text)), pattern, columns, "question", bad, 1)
    refuse_first(bad)
    return tokens


def read(path: Path, pattern: Pattern, columns: int) -> tuple[list[int], Tokens, Tokens, list[bool]]:
    """Line numbers, questions (N, L) and answers (N, L) of a file, and which answers were given. Raises
    DataError, in one line that names the lines at fault."""
    text = read_text(path)
    lines, questions, answers = _split(path, text)
    if not lines:
        raise DataError(f"{path}: has a header but no rows")
    bad: dict[int, str] = {}
    inputs = [
        _tokens(pattern.complete(_rows(question)), pattern, columns, "question", bad, line)
        for line, question in zip(lines, questions, strict=True)
    ]
    given = [bool(answer) for answer in answers]
    solution = [
        _tokens(_rows(answer), pattern, columns, "answer", bad, line) if answer else np.zeros_like(inputs[0])
        for line, answer in zip(lines, answers, strict=True)
    ]
    refuse_bad_rows(path, bad)
    return lines, np.stack(inputs), np.stack(solution), given


def _split(path: Path, text: str) -> tuple[list[int], Sequence[str], Sequence[str]]:
    """Line numbers, questions and answers ("" for a missing one)."""
    first = next(line for line in text.splitlines() if line.strip())
    if {name.strip().lower() for name in first.split(",")} & set(QUESTION_COLUMNS):
        lines, (questions, answers) = read_columns(path, text, (QUESTION_COLUMNS, ANSWER_COLUMNS))
        assert questions is not None
        return lines, questions, answers or [""] * len(questions)
    numbered = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    return [number for number, _ in numbered], [line for _, line in numbered], [""] * len(numbered)


def _rows(text: str) -> list[str]:
    return text.strip().replace("\r\n", "/").replace("\n", "/").split("/")


def _tokens(
    rows: list[str], pattern: Pattern, columns: int, what: str, bad: dict[int, str], line: int
) -> Tokens:
    """(L,) the rows on the canvas. A fault goes to `bad`, by line, and leaves padding."""
    tokens = np.zeros((pattern.rows, columns), np.uint8)
    if len(rows) != pattern.rows:
        found = f"{len(rows)} row{'s' * (len(rows) > 1)} ('/' between), but {pattern.name} has {pattern.rows}"
        bad.setdefault(line, f"the {what} has {found}")
        return tokens.reshape(-1)
    if len(set(map(len, rows))) > 1:
        sizes = " and ".join(str(len(row)) for row in rows)
        bad.setdefault(line, f"the rows of the {what} have {sizes} characters, not equally many")
        return tokens.reshape(-1)
    if len(rows[0]) > columns:
        found = f"the {what} has {len(rows[0])} columns, more than the canvas of {columns}"
        bad.setdefault(line, Misfit(found))
        return tokens.reshape(-1)
    for number, row in enumerate(rows):
        for column, character in enumerate(row):
            token = pattern.characters.find(character)
            if token < 0:
                where = f"{f'row {number + 1}, ' * (len(rows) > 1)}character {column + 1}"
                bad.setdefault(
                    line, f"{where} of the {what} is {character!r}, not one of '{pattern.characters}'"
                )
            tokens[number, column] = max(token, 0)
    return tokens.reshape(-1)
