"""The check of a whole split on disk, example by example, against the rules of its task."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from envs.errors import DataError
from envs.folders.folder import PuzzleFolder
from envs.folders.metadata import METADATA_FILE
from envs.puzzle import NO_LEVEL, PAD, PuzzleBatch, Tokens
from envs.task import PuzzleTask, ReportProgress

CHUNK = 4096
"""Examples in memory at a time."""

OUTSIDE = "outside all levels"


@dataclass(frozen=True)
class FolderSummary:
    """What a sound split holds."""

    path: Path
    examples: int
    puzzles: int
    groups: int
    levels: dict[str, int]
    """Examples of each level that has any, the easiest first, then those OUTSIDE."""
    ambiguous: int
    """Examples with more answers than their label (see `label_faults`)."""


def check_folder(path: Path | str, task: PuzzleTask, progress: ReportProgress) -> FolderSummary:
    """Read a split from end to end. Raises DataError naming the file and the first example that is no puzzle
    of the task or whose label is wrong; `all__{inputs,labels}.npy` where only the two together show it."""
    folder = PuzzleFolder(path, task)
    groups = sum(len(examples.group_indices) - 1 for examples in folder.sets)
    stated = folder.metadata.total_groups
    if stated is not None and stated != groups:
        raise DataError(
            f"{folder.path / METADATA_FILE}: total_groups is {stated}, but there are {groups} groups"
        )
    levels = np.zeros(len(task.levels) + 1, np.int64)
    ambiguous = 0
    for start in range(0, len(folder), CHUNK):
        rows = np.arange(start, min(start + CHUNK, len(folder)))
        try:
            batch = folder.take(rows)
        except DataError:
            # Some token is foreign, but an example before it may have another fault.
            for row in rows:
                _refuse_faults(folder, task, folder.take(np.array([row])), int(row))
            raise
        ambiguous += _refuse_faults(folder, task, batch, start)
        levels += np.bincount(
            np.where(batch.level == NO_LEVEL, len(task.levels), batch.level), minlength=len(levels)
        )
        progress(f"checking {folder.path.name}", start + len(batch), len(folder))
    counts = {name: int(count) for name, count in zip((*task.levels, OUTSIDE), levels, strict=True) if count}
    puzzles = sum(len(examples.puzzle_indices) - 1 for examples in folder.sets)
    return FolderSummary(folder.path, len(folder), puzzles, groups, counts, ambiguous)


def label_faults(folder: PuzzleFolder, inputs: Tokens, labels: Tokens) -> tuple[dict[int, str], int]:
    """What is wrong with examples of a folder (n, L) and their labels (n, L), row -> reason; and how many are
    let pass although they have several answers. nano-trm's generator does not see to it that a puzzle has
    only one; a label of its folders that the rule accepts is as good as any."""
    faults = folder.task.faults(inputs, labels)
    if folder.metadata.board is None or not faults:
        return faults, 0
    rows = np.array(sorted(faults))
    right = rows[folder.task.right(inputs[rows], labels[rows], labels[rows])]
    return {row: reason for row, reason in faults.items() if row not in set(right.tolist())}, len(right)


def _refuse_faults(folder: PuzzleFolder, task: PuzzleTask, batch: PuzzleBatch, first: int) -> int:
    """Raise DataError for the first fault of a batch whose first example is number `first` of the split.
    Returns how many of its examples have several answers."""
    faults: dict[int, tuple[str, str]] = {}
    for row in np.flatnonzero((batch.inputs == PAD).all(axis=1)).tolist():
        faults[row] = "inputs", "holds nothing but padding"
    unlabelled = batch.solution == PAD
    asked = task.unknown(batch.inputs) & (not task.label_decides)  # else an answer may end before the canvas
    for row in np.flatnonzero((unlabelled & asked).any(axis=1)).tolist():
        cell = int(np.argmax(unlabelled[row] & asked[row]))
        faults.setdefault(row, ("labels", f"position {cell} has to be found but has no label"))
    # A cell that is given may go without a label; a rule wants to see it answered.
    given = unlabelled & ~asked & (not task.label_decides)
    whole = np.where(given, batch.inputs, batch.solution)
    found, ambiguous = label_faults(folder, batch.inputs, whole)
    for row, reason in found.items():
        faults.setdefault(row, ("{inputs,labels}", reason))
    if faults:
        row = min(faults)
        part, reason = faults[row]
        examples, number = folder.place_of(first + row)
        raise DataError(f"{examples.file(part)}: example {number}: {reason}")
    return ambiguous
