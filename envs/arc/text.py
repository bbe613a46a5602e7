"""Grids as text: what a person types, a CSV file holds and a terminal shows.

A grid is its rows, a digit a cell, with line ends or `/` between them: `012/345`. A row of its own before
them says whose puzzle it is: `67a3c6ac/012/345`. A canvas that holds no whole grid, as a wrong answer may be,
is written cell by cell with `_` for padding and `|` for end marks.

Legend: L = size * size cells.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np

from envs.arc.canvas import FIRST_COLOUR, Grid, crop, paint
from envs.csv_files import ANSWER_COLUMNS, QUESTION_COLUMNS, read_columns, read_text, refuse_bad_rows
from envs.errors import DataError, MisfitError, UserError
from envs.puzzle import Tokens

CHARACTERS = "_|0123456789"
"""Of each token."""
IDENTITY_COLUMNS = ("identity",)
_ROW = re.compile(r"\r?\n|/")

Named = Callable[[str], int]
"""The identifier of a name. Raises UserError."""


def read_puzzle(text: str, size: int, named: Named) -> tuple[Tokens, int]:
    """The canvas (L,) that `text` is, and its identifier, 0 if it names none. Raises DataError."""
    rows = [row.strip() for row in _ROW.split(text)]
    while rows and not rows[-1]:
        rows.pop()
    while rows and not rows[0]:
        rows.pop(0)
    if not rows:
        raise DataError("there is no grid; write its rows as digits, as in 012/345")
    identifier = 0
    name = rows[0]
    if not set(_cells(name)) <= set(CHARACTERS) or (
        len(rows) > 1 and len(_cells(rows[1])) != len(_cells(name))
    ):
        try:
            identifier = named(name)
        except UserError as error:
            if set(_cells(name)) <= set(CHARACTERS):
                raise DataError(
                    f"row 2 has {len(_cells(rows[1]))} cells, row 1 {len(_cells(name))}"
                ) from None
            raise DataError(f"row 1 is neither digits nor a puzzle: {error}") from None
        rows.pop(0)
        if not rows:
            raise DataError(
                f"there is no grid after the name {name}; write its rows as digits, as in {name}/012/345"
            )
    return _canvas([_cells(row) for row in rows], size), identifier


def _cells(row: str) -> str:
    """A row without the blanks or commas that may stand between its cells."""
    return re.sub(r"[\s,]", "", row)


def _canvas(rows: list[str], size: int) -> Tokens:
    columns = len(rows[0])
    for number, row in enumerate(rows, 1):
        if len(row) != columns:
            raise DataError(f"row {number} has {len(row)} cells, row 1 {columns}")
        for column, character in enumerate(row, 1):
            if character not in CHARACTERS:
                raise DataError(
                    f"row {number}, cell {column} is {character!r}; colours are the digits 0 to 9"
                )
    if columns == 0:
        raise DataError("there is no grid; write its rows as digits, as in 012/345")
    if max(len(rows), columns) > size:
        raise MisfitError(f"the grid has {len(rows)} x {columns} cells; the canvas has {size} x {size}")
    tokens = np.array([[CHARACTERS.index(character) for character in row] for row in rows], np.uint8)
    if (tokens >= FIRST_COLOUR).all():
        return paint(tokens - FIRST_COLOUR, size)
    if tokens.shape != (size, size):
        raise DataError(f"a canvas with '_' and '|' has {size} rows of {size} cells; a grid is digits alone")
    return tokens.reshape(-1)


def write_tokens(tokens: Tokens, size: int) -> str:
    """A canvas (L,) in one line, as `read_puzzle` reads it."""
    grid = crop(tokens, size)
    if grid is not None:
        return write_grid(grid)
    canvas = tokens.reshape(size, size)
    return "/".join("".join(CHARACTERS[token] for token in row) for row in canvas)


def write_grid(grid: Grid) -> str:
    """A grid in one line: `012/345`."""
    return "/".join("".join(map(str, row)) for row in grid.tolist())


def split(text: str) -> list[str]:
    """The puzzles of a text: lines with `/`, if there are any, else blocks of lines with an empty one
    between."""
    lines = text.splitlines()
    if any("/" in line for line in lines):
        return [line for line in lines if line.strip()]
    return [block for block in re.split(r"(?:\r?\n[ \t]*){2,}", text.strip()) if block]


def read_csv(path: Path, size: int, named: Named) -> tuple[Tokens, Tokens, list[int]]:
    """Inputs (N, L), outputs (N, L) and identifiers of a CSV file with columns question,answer and, if there
    is one, identity. Raises DataError."""
    names = (QUESTION_COLUMNS, ANSWER_COLUMNS, IDENTITY_COLUMNS)
    lines, (questions, answers, identities) = read_columns(path, read_text(path), names)
    if not lines:
        raise DataError(f"{path}: has a header but no rows")
    if questions is None or answers is None:
        raise DataError(f"{path}: has no column {' or '.join(ANSWER_COLUMNS)}")
    inputs = np.zeros((len(lines), size * size), np.uint8)
    outputs = np.zeros_like(inputs)
    identifiers: list[int] = []
    bad: dict[int, str] = {}
    for row, line in enumerate(lines):
        identifier = 0
        for what, texts, into in (("question", questions, inputs), ("answer", answers, outputs)):
            try:
                into[row], found = read_puzzle(texts[row], size, named)
                identifier = identifier or found
                if identities is not None and identities[row].strip():
                    identifier = named(identities[row].strip())
            except UserError as error:
                bad.setdefault(line, f"{what}: {error}")
        identifiers.append(identifier)
    refuse_bad_rows(path, bad)
    return inputs, outputs, identifiers


def has_header(text: str) -> bool:
    """Whether a text begins with the header line of a CSV file of puzzles."""
    first = next(csv.reader(text.splitlines()[:1]), [])
    return bool({name.strip().lower() for name in first} & set(QUESTION_COLUMNS))
