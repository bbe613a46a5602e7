"""The puzzles at a path, whether a file or a folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from envs.errors import DataError
from envs.folders.check import label_faults
from envs.folders.folder import PuzzleFolder, find_splits, is_folder
from envs.folders.rows import CHUNK, PuzzleFile
from envs.puzzle import PuzzleBatch, Puzzles
from envs.task import PuzzleTask

CHECKED_EXAMPLES = 1000
"""Examples of a folder that are looked at before it is trained on."""


def open_puzzles(task: PuzzleTask, path: Path) -> Puzzles:
    """Puzzles to evaluate on: a file, or a folder in the field's format (its split test, else val or train).
    Raises DataError."""
    if not is_folder(path):
        return task.read(path)
    splits = find_splits(path)
    return PuzzleFolder(splits.test or splits.val or splits.train, task)


def open_training(task: PuzzleTask, path: Path) -> tuple[Puzzles, Puzzles | None]:
    """The training puzzles at `path`, and those that a folder may hold out (`Splits.held_out`)."""
    if not is_folder(path):
        return task.read_training(path)
    splits = find_splits(path)
    train = PuzzleFolder(splits.train, task)
    if splits.held_out is None:
        return train, None
    try:
        return train, PuzzleFolder(splits.held_out, task)
    except DataError as error:
        raise type(error)(f"{error}; or give {splits.train} alone, which holds out some of its own") from None


LARGE = 2**24
"""Bytes of a file, or cells of a folder, from which puzzles to evaluate on are read batch by batch."""


def stream_puzzles(task: PuzzleTask, path: Path) -> tuple[int, Iterator[PuzzleBatch]] | None:
    """How many puzzles to evaluate on there are, and the puzzles in batches that are read when they are asked
    for; None for what is not LARGE, and for text without a header, which is read whole. Raises DataError."""
    if is_folder(path):
        puzzles = open_puzzles(task, path)
        if len(puzzles) * task.length < LARGE:
            return None
        starts = range(0, len(puzzles), CHUNK)
        return len(puzzles), (puzzles.take(slice(start, start + CHUNK)) for start in starts)
    if task.next_token or not path.is_file() or path.stat().st_size < LARGE:
        return None
    file = PuzzleFile(task, path)
    return None if file.is_whole else (len(file.rows), file.read(file.rows))


def check_sample(folder: PuzzleFolder) -> tuple[str, ...]:
    """Look at some examples of a folder, or all of a small one; check.py looks at all. Returns what the user
    should know. Raises DataError."""
    rows = np.unique(np.linspace(0, len(folder) - 1, CHECKED_EXAMPLES).astype(np.int64))
    sample = folder.take(rows)
    faults, ambiguous = label_faults(folder, sample.inputs, sample.solution)
    if faults:
        first = min(faults)
        raise DataError(f"{folder.path}: example {rows[first]}: {faults[first]}")
    if not ambiguous:
        return ()
    return (
        f"{folder.path}: {ambiguous:,} of {len(rows):,} examples looked at have several answers: any right "
        "one counts as solved, the label is one of them",
    )
