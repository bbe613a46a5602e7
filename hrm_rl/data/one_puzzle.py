"""One puzzle that somebody wants solved, from a file."""

from __future__ import annotations

import re
from pathlib import Path

from envs import DataError, PuzzleBatch, PuzzleTask
from envs.csv_files import QUESTION_COLUMNS, read_text
from envs.folders.rows import PuzzleFile

HEAD = 1000
"""Characters of a file within which a header line is looked for; comments may stand before it."""


def puzzle_of_file(path: Path, name: str, number: int, task: PuzzleTask) -> PuzzleBatch:
    """Puzzle `number`, from 1, of a file: CSV, or text as the task splits it. Only this puzzle is checked.
    name: what messages call the file. Raises DataError."""
    try:
        text = read_text(path)
        if set(re.split(r"\W+", text[:HEAD].lower())) & set(QUESTION_COLUMNS):
            file = PuzzleFile(task, path)
            _check_number(number, len(file.rows))
            return next(file.read(file.rows[number - 1 : number]))
        puzzles = task.split(text)
        _check_number(number, len(puzzles))
        return task.parse(puzzles[number - 1])
    except DataError as error:
        raise type(error)(f"{name}: {str(error).removeprefix(f'{path}: ')}") from None


def _check_number(number: int, there: int) -> None:
    if number > there:
        raise DataError(f"holds {there} puzzle{'s' * (there != 1)}, there is no --number {number}")
