"""One puzzle that somebody wants solved, from a file or as text."""

from __future__ import annotations

import re
from pathlib import Path

from envs import DataError, PuzzleBatch
from envs.csv_files import QUESTION_COLUMNS, read_text
from envs.task import PuzzleTask


def puzzle_of_file(path: Path, name: str, number: int, task: PuzzleTask) -> PuzzleBatch:
    """Puzzle `number`, from 1, of a file: CSV as the task reads it, one puzzle a line, or puzzles of several
    lines with empty lines between them. name: what messages call the file. Raises DataError."""
    try:
        text = read_text(path)
        header = next(line for line in text.splitlines() if line.strip()).lower()
        if set(re.split(r"\W+", header)) & set(QUESTION_COLUMNS):
            found = task.read(path)
            _check_number(number, len(found), name)
            return found.take(slice(number - 1, number))
        puzzles = split_puzzles(text, task.length)
        _check_number(number, len(puzzles), name)
    except DataError as error:
        raise DataError(str(error).replace(str(path), name)) from None
    try:
        return task.parse(puzzles[number - 1])
    except DataError as error:
        raise DataError(f"{name}: {error}") from None


def split_puzzles(text: str, length: int) -> list[str]:
    """The puzzles of a text: its lines, if there are some of a puzzle's length, else its blocks of lines."""
    lines = text.splitlines()
    if any(len(line.strip()) == length for line in lines):
        return [line for line in lines if line.strip()]
    return [block for block in re.split(r"(?:\r?\n){2,}", text.strip("\r\n")) if block]


def _check_number(number: int, there: int, name: str) -> None:
    if number > there:
        raise DataError(f"{name}: holds {there} puzzle{'s' * (there > 1)}, there is no --number {number}")
