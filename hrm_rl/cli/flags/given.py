"""The one puzzle that `solve` is given, as text, in a file or on standard input."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from envs import PuzzleBatch
from envs.task import PuzzleTask
from hrm_rl.data.one_puzzle import puzzle_of_file
from hrm_rl.utils.errors import UserError

STANDARD_INPUT = "standard input"


@dataclass(frozen=True)
class GivenPuzzle:
    """A puzzle of which it is not known yet what task it is of."""

    text: str
    """What was given; empty where the file cannot be read, which `read` then says."""
    read: Callable[[PuzzleTask], PuzzleBatch]
    """The puzzle as one of a task. Raises DataError."""


def given_puzzle(
    puzzle: str | None, file: str | None, number: int | None, levels: Sequence[str]
) -> GivenPuzzle:
    """What --puzzle, --file and --number name. levels: those that --random could name instead. Raises
    UserError where nothing is given."""
    which = number or 1
    if puzzle is not None:
        return GivenPuzzle(puzzle, lambda task: task.parse(puzzle))
    if file is not None and file != "-":
        path = Path(file)
        text = path.read_text("utf-8", "replace") if path.is_file() else ""
        return GivenPuzzle(text, lambda task: puzzle_of_file(path, file, which, task))
    if file is None and sys.stdin.isatty():
        raise UserError(
            "say which puzzle: --puzzle TEXT, --file FILE, --random LEVEL "
            f"(levels: {', '.join(levels)}), or pipe one in"
        )
    piped = sys.stdin.buffer.read()

    def read(task: PuzzleTask) -> PuzzleBatch:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "puzzle.txt"
            path.write_bytes(piped)
            return puzzle_of_file(path, STANDARD_INPUT, which, task)

    return GivenPuzzle(piped.decode("utf-8", "replace"), read)
