"""The puzzles at a path, whether a file or a folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from envs.errors import DataError
from envs.folders.folder import PuzzleFolder, find_splits, is_folder
from envs.puzzle import Puzzles
from envs.task import PuzzleTask

CHECKED_EXAMPLES = 1000
"""Examples of a folder that are looked at before it is trained on."""


def open_puzzles(task: PuzzleTask, path: Path) -> Puzzles:
    """Puzzles to evaluate on: a file, or a folder in the field's format (its test split, if it has one).
    Raises DataError."""
    if not is_folder(path):
        return task.read(path)
    splits = find_splits(path)
    return PuzzleFolder(splits.test or splits.train, task)


def open_training(task: PuzzleTask, path: Path) -> tuple[Puzzles, Puzzles | None]:
    """The training puzzles at `path`, and the test puzzles that a folder may have as well."""
    if not is_folder(path):
        return task.read(path), None
    splits = find_splits(path)
    return PuzzleFolder(splits.train, task), PuzzleFolder(splits.test, task) if splits.test else None


def check_sample(task: PuzzleTask, folder: PuzzleFolder) -> None:
    """Look at some examples of a folder, or all of a small one; check.py looks at all. Raises DataError."""
    rows = np.unique(np.linspace(0, len(folder) - 1, CHECKED_EXAMPLES).astype(np.int64))
    sample = folder.take(rows)
    faults = task.faults(sample.inputs, sample.solution)
    if faults:
        first = min(faults)
        raise DataError(f"{folder.path}: example {rows[first]}: {faults[first]}")
