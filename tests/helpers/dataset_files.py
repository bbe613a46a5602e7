"""Folders and files of puzzles, for the tests of scripts/build_dataset.py and of what reads them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from envs import PuzzleBatch, PuzzleTask, fingerprint, make_task
from envs.folders.folder import PuzzleFolder, find_splits
from hrm_rl.cli import dataset as dataset_command
from hrm_rl.data import builder
from hrm_rl.utils.errors import UserError

SUDOKU6 = make_task("sudoku", size=6)
MAZE = make_task("maze", size=7)


def quiet(what: str, done: int, total: int) -> None:
    pass


def run(flags: str, *more: object) -> None:
    assert dataset_command.main([*flags.split(), *map(str, more)]) == 0


def refused(flags: str, *more: object) -> str:
    with pytest.raises(UserError) as error:
        run(flags, *more)
    assert "\n" not in str(error.value)
    return str(error.value)


def opened(root: Path, task: PuzzleTask) -> tuple[PuzzleFolder, PuzzleFolder]:
    splits = find_splits(root)
    assert splits.test is not None
    return PuzzleFolder(splits.train, task), PuzzleFolder(splits.test, task)


def everything(folder: PuzzleFolder) -> PuzzleBatch:
    return folder.take(slice(None))


def forms(task: PuzzleTask, batch: PuzzleBatch) -> set[int]:
    """One number for all symmetric versions of a puzzle."""
    return set(fingerprint(task.canonical(batch.inputs)).tolist())


def content(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def csv_of(path: Path, task: PuzzleTask, batch: PuzzleBatch, ratings: Sequence[object] | None = None) -> Path:
    """A file with the columns of sapientinc's data sets."""
    lines = ["source,question,answer,rating"]
    for i, (question, answer) in enumerate(zip(batch.inputs, batch.solution, strict=True)):
        rating = i if ratings is None else ratings[i]
        lines.append(f"test,{task.write_text(question)},{task.write_text(answer)},{rating}")
    path.write_text("\n".join(lines) + "\n")
    return path


def different_puzzles() -> dict[str, PuzzleBatch]:
    """60 puzzles of each task, no two of them symmetric versions of one another."""
    found = {}
    for task, level in ((SUDOKU6, "easy"), (MAZE, "medium")):
        found[task.name] = builder.generate(task, {level: 1.0}, 60, 0, 7, quiet).train
    return found
