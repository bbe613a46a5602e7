"""Maze files: CSV with `question,answer` or `puzzle,solution` columns, or text.

Walls are '#', free cells ' ', and 'S', 'G' and (in answers) 'o' stand for start, goal and path. Blanks are
never stripped. A CSV field holds a maze as one string, all rows of a square one after the other, or with a
line for each row. In a text, empty lines stand between mazes that have a line for each row; a line on its
own, and every line that is longer than the canvas is wide, is a square in one string. A maze smaller than the
canvas lies at its top left; the rest is padding.

A missing answer is made by the rule. A given one has to be a shortest path, but not the one that the rule
would choose: who trains on a file means its labels.

Legend: N mazes, `size` rows and columns of the canvas, L = size * size cells, row by row.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import isqrt
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

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
from envs.maze.grid import CHARACTERS, FREE, GOAL, PAD, PATH, START
from envs.maze.rule import judge, label
from envs.puzzle import Tokens

_ALLOWED = {"question": CHARACTERS[1:PATH], "maze": CHARACTERS[1:PATH], "answer": CHARACTERS[1:]}
_FOREIGN = 255
_TOKEN_OF = np.full(256, _FOREIGN, np.uint8)
_TOKEN_OF[[ord(character) for character in CHARACTERS[1:]]] = np.arange(1, len(CHARACTERS))


def read_mazes(path: Path, size: int) -> tuple[Tokens, Tokens]:
    """All mazes of a file as tokens on the canvas: inputs (N, L) and solutions (N, L).

    Raises DataError, in one line that starts with the path, for a file that cannot be read and for rows that
    are no maze or whose answer is no shortest path. A maze is named by the line in which it begins.
    """
    path = Path(path)
    lines, questions, answers = _split(path, read_text(path), size)
    if not lines:
        raise DataError(f"{path}: has a header but no rows")
    reasons: dict[int, str] = {}
    mazes = _rows_of_all(questions, range(len(questions)), size, "question", reasons)
    inputs = _encode(mazes, size, "question", reasons)
    solutions, _ = label(inputs, (size, size))
    given = [i for i, answer in enumerate(answers) if answer and i not in reasons]
    solved_mazes = _rows_of_all(answers, given, size, "answer", reasons)
    for i in given:
        theirs, ours = _extent(solved_mazes[i]), _extent(mazes[i])
        if theirs != ours:
            reasons.setdefault(
                i, f"the answer has {theirs[0]}x{theirs[1]} cells, the question {ours[0]}x{ours[1]}"
            )
    given_tokens = _encode(solved_mazes, size, "answer", reasons)
    given = [i for i in given if i not in reasons]
    solutions[given] = given_tokens[given]
    reasons = faults(inputs, solutions, size) | reasons
    refuse_bad_rows(path, {lines[i]: reason for i, reason in reasons.items()})
    return inputs, solutions


def encode(text: str, size: int) -> Tokens:
    """One maze (L,) on the canvas, from a text with a line for each row or of a square's cells in one line.
    Raises DataError for text that is no maze; whether G can be reached is not asked."""
    reasons: dict[int, str] = {}
    _, found = mazes_of(text.strip("\r\n"), size)
    if len(found) != 1:
        raise DataError(
            f"there are {len(found)} mazes in the text; give one" if found else "the text is empty"
        )
    inputs = _encode(_rows_of_all(found, [0], size, "maze", reasons), size, "maze", reasons)[0]
    refuse_first(reasons)
    check(inputs, size)
    return inputs


def check(inputs: Tokens, size: int) -> None:
    """Raises DataError, with a cell where one is at fault, for tokens (L,) below V that are no maze: a path
    is marked, there is not one S and one G, or padding lies elsewhere than to the right and below."""
    grid = inputs.reshape(size, size) != PAD
    height, width = int(grid.any(axis=1).sum()), int(grid.any(axis=0).sum())
    for cell in np.flatnonzero(inputs == PATH)[:1].tolist():
        raise DataError(
            f"{_place(cell, size)} of the maze is {CHARACTERS[PATH]!r}, which only answers have", cell
        )
    for token in (START, GOAL):
        cells = np.flatnonzero(inputs == token).tolist()
        if len(cells) != 1:
            which = f": {_place(cells[0], size)} and {_place(cells[1], size)}" if cells else ""
            raise DataError(
                f"the maze has {len(cells) or 'no'} {CHARACTERS[token]}{which}", cells[1] if cells else None
            )
    whole = np.zeros_like(grid)
    whole[:height, :width] = True
    for cell in np.flatnonzero(whole != grid)[:1].tolist():
        what = "padding within" if whole.flat[cell] else "outside of"
        raise DataError(
            f"{_place(cell, size)} is {what} the maze of {height}x{width} cells at the top left", cell
        )


def prove(inputs: Tokens, size: int) -> Tokens:
    """A shortest path (L,) of a maze (L,), the one of the rule. Raises DataError, with the cell of G, where
    there is none."""
    solution, lengths = label(inputs[None], (size, size))
    if lengths[0] == 0:
        goal = int(np.flatnonzero(inputs == GOAL)[0])
        raise DataError(f"G cannot be reached from S: {_place(goal, size)}", goal)
    return solution[0]


def write_maze(tokens: Tokens, size: int) -> str:
    """One maze (L,) without its padding, as a CSV field that `read_mazes` reads: one string for a square, a
    line for each row for any other shape."""
    grid = tokens.reshape(size, size)
    rows, columns = np.nonzero(grid != PAD)
    height, width = int(rows.max(initial=-1)) + 1, int(columns.max(initial=-1)) + 1
    written = ["".join(CHARACTERS[token] for token in row[:width]) for row in grid[:height]]
    return "".join(written) if height == width else "".join(f"{row}\n" for row in written)


def faults(inputs: Tokens, solution: Tokens, size: int) -> dict[int, str]:
    """What is wrong with mazes (N, L) and their solutions (N, L), whose tokens are below V: row -> reason,
    the first one found of each row that has any."""
    reasons: dict[int, str] = {}
    for n, cell in _first_of_each(inputs == PATH):
        reasons[n] = f"{_place(cell, size)} of the question is {CHARACTERS[PATH]!r}, which only answers have"
    for token in (START, GOAL):
        counts = (inputs == token).sum(axis=1)
        for n in np.flatnonzero(counts != 1).tolist():
            reasons.setdefault(n, f"the question has {counts[n] or 'no'} {CHARACTERS[token]}")
    shape = (size, size)
    _, lengths = label(inputs, shape)
    for n in np.flatnonzero(lengths == 0).tolist():
        reasons.setdefault(n, "G cannot be reached from S")

    answered = (inputs == FREE) & ((solution == FREE) | (solution == PATH))
    for n, cell in _first_of_each((solution != inputs) & ~answered):
        theirs, ours = _named(solution[n, cell]), _named(inputs[n, cell])
        reasons.setdefault(n, f"{_place(cell, size)} of the answer is {theirs}, in the question {ours}")
    solved, excess = judge(inputs, solution, shape)
    for n in np.flatnonzero(~solved).tolist():
        if np.isnan(excess[n]):
            reason = f"the cells marked {CHARACTERS[PATH]!r} in the answer are no path from S to G"
        else:
            length, more = lengths[n] + int(excess[n]), int(excess[n])
            reason = f"the path of the answer has {length} cells, {more} more than a shortest one"
        reasons.setdefault(n, reason)
    return reasons


def _split(path: Path, text: str, size: int) -> tuple[list[int], list[str], list[str]]:
    """First lines, questions and answers ("" for a missing one), each as a CSV field has it."""
    first = next(line for line in text.split("\n") if line.strip())
    row_of_cells = set(first) <= set(
        CHARACTERS[1:] + ",\r"
    )  # with a stray comma, named as a foreign character
    if row_of_cells or ("," not in first and first.strip().lower() not in QUESTION_COLUMNS):
        lines, mazes = mazes_of(text, size)
        return lines, mazes, [""] * len(mazes)
    ends, (questions, answers) = read_columns(path, text, (QUESTION_COLUMNS, ANSWER_COLUMNS))
    assert questions is not None
    answers = answers or [""] * len(questions)
    # read_columns tells where a row ends, which is not where it begins if its fields have several lines.
    lines = [
        end - question.count("\n") - answer.count("\n")
        for end, question, answer in zip(ends, questions, answers, strict=True)
    ]
    return lines, questions, answers


def mazes_of(text: str, size: int) -> tuple[list[int], list[str]]:
    """First lines and mazes of a text, each as a CSV field has it. A line of blanks is a row of free
    cells."""
    blocks: list[list[tuple[int, str]]] = [[]]
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), 1):
        if line:
            blocks[-1].append((number, line))
        elif blocks[-1]:
            blocks.append([])
    lines: list[int] = []
    mazes: list[str] = []
    for block in blocks:
        if len(block) == 1 or any(len(line) > size for _, line in block):
            lines += [number for number, _ in block]
            mazes += [_square(line, size) for _, line in block]
        elif block:
            lines.append(block[0][0])
            mazes.append("".join(f"{line}\n" for _, line in block))
    return lines, mazes


def _square(line: str, size: int) -> str:
    """A maze in one line: a square, or a corridor if it cannot be one and is not too long for the canvas."""
    return line if isqrt(len(line)) ** 2 == len(line) or len(line) > size else f"{line}\n"


def _rows_of_all(
    texts: Sequence[str], wanted: Iterable[int], size: int, what: str, reasons: dict[int, str]
) -> list[list[str]]:
    """The rows of the wanted mazes, none for the others and for those with a fault, which goes to
    `reasons`."""
    mazes: list[list[str]] = [[] for _ in texts]
    for i in wanted:
        rows = _rows_of(texts[i])
        reason = _shape_fault(rows, texts[i], size, what)
        if reason is None:
            mazes[i] = rows
        else:
            reasons[i] = reason
    return mazes


def _rows_of(text: str) -> list[str]:
    """The rows of a maze: the lines of a text with line ends, else the text cut into a square."""
    if "\n" in text:
        return text.replace("\r\n", "\n").strip("\n").split("\n")
    width = isqrt(len(text))
    return [text[start : start + width] for start in range(0, len(text), width)] if text else []


def _shape_fault(rows: list[str], text: str, size: int, what: str) -> str | None:
    if not any(rows):
        return f"the {what} is empty"
    uneven = next((i for i, row in enumerate(rows) if len(row) != len(rows[0])), None)
    if "\n" not in text and (uneven is not None or len(rows) != len(rows[0])):
        return Misfit(f"the {what} has {len(text)} characters, which make no square")
    if uneven is not None:
        return (
            f"row {uneven + 1} of the {what} has {len(rows[uneven])} characters, row 1 has {len(rows[0])} "
            "(blanks count: they are free cells)"
        )
    if len(rows) > size or len(rows[0]) > size:
        return Misfit(
            f"the {what} has {len(rows)}x{len(rows[0])} cells, more than the canvas of {size}x{size}"
        )
    return None


def _extent(rows: list[str]) -> tuple[int, int]:
    """Height and width."""
    return len(rows), len(rows[0]) if rows else 0


def _encode(mazes: list[list[str]], size: int, what: str, reasons: dict[int, str]) -> Tokens:
    """Mazes as tokens (N, L), at the top left of the canvas. Foreign characters go to `reasons` and become
    padding."""
    wall_row = "#" * size
    text = "".join(
        "".join(row.ljust(size, "#") for row in rows) + wall_row * (size - len(rows)) for rows in mazes
    )
    tokens = _TOKEN_OF[np.frombuffer(text.encode("latin-1", "replace"), np.uint8)]
    tokens = tokens.reshape(len(mazes), size, size)
    heights, widths = np.array([_extent(rows) for rows in mazes]).T[:, :, None]
    across = np.arange(size)
    tokens[~((across < heights)[:, :, None] & (across < widths)[:, None, :])] = PAD
    tokens = tokens.reshape(len(mazes), size * size)
    for n, cell in _first_of_each(tokens == _FOREIGN):
        character = mazes[n][cell // size][cell % size]
        reasons.setdefault(
            n, f"{_place(cell, size)} of the {what} is {character!r}, not one of '{_ALLOWED[what]}'"
        )
    tokens[tokens == _FOREIGN] = PAD
    return tokens


def _first_of_each(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """(row, first column) of the rows of a mask (N, L) that hold any."""
    rows = np.flatnonzero(mask.any(axis=1))
    return [(int(row), int(column)) for row, column in zip(rows, mask[rows].argmax(axis=1), strict=True)]


def _place(cell: int, size: int) -> str:
    return f"row {cell // size + 1}, column {cell % size + 1}"


def _named(token: int) -> str:
    return "padding" if token == PAD else repr(CHARACTERS[token])
