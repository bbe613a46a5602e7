"""Folders as the builders of nano-trm (scripts/data/ there) lay them out, from descriptions of those."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs import PuzzleBatch, PuzzleTask


def _save(folder: Path, arrays: Mapping[str, NDArray[Any]], about: Mapping[str, Any]) -> None:
    folder.mkdir(parents=True)
    for name, array in arrays.items():
        np.save(folder / f"all__{name}.npy", array)
    (folder / "dataset.json").write_text(json.dumps(about, indent=2))


def _root(root: Path, mode: str, canvas: int, vocab_size: int) -> Path:
    about = {
        "mode": mode,
        "max_grid_size": canvas,
        "vocab_size": vocab_size,
        "seq_len": canvas**2,
        "seed": 42,
    }
    (root / "metadata.json").write_text(json.dumps(about, indent=2))
    return root


def extreme(root: Path, splits: Mapping[str, PuzzleBatch]) -> Path:
    """build_sudoku_extreme_dataset.py: 9x9, blank 2, digits from 3, no files of indices."""
    for name, batch in splits.items():
        arrays: dict[str, NDArray[Any]] = {
            "inputs": batch.inputs + 1,
            "labels": batch.solution + 1,
            "puzzle_identifiers": np.zeros(len(batch), np.int32),
        }
        about = {
            "num_puzzles": len(batch),
            "grid_size": 9,
            "max_grid_size": 9,
            "min_givens": 20,
            "max_givens": 40,
            "seq_len": 81,
            "vocab_size": 12,
        }
        _save(root / name, arrays, about)
    return _root(root, "extreme", 9, 12)


def generated(
    root: Path, size: int, canvas: int, splits: Mapping[str, PuzzleBatch], vocab_size: int | None = None
) -> Path:
    """generate_sudoku_data.py: the same on a larger canvas, an end mark of 1 behind the board, -100 where a
    cell has no label. vocab_size: of its --cross-size, which has that of the larger board."""
    for name, batch in splits.items():
        inputs = np.zeros((len(batch), canvas, canvas), np.int32)
        labels = np.full((len(batch), canvas, canvas), -100, np.int32)
        inputs[:, :size, :size] = batch.inputs.reshape(-1, size, size) + 1
        labels[:, :size, :size] = batch.solution.reshape(-1, size, size) + 1
        if canvas > size:
            inputs[:, size, 0] = labels[:, size, 0] = 1
        arrays: dict[str, NDArray[Any]] = {
            "inputs": inputs.reshape(len(batch), -1),
            "labels": labels.reshape(len(batch), -1),
            "puzzle_identifiers": np.zeros(len(batch), np.int32),
        }
        about = {
            "num_puzzles": len(batch),
            "grid_size": size,
            "max_grid_size": canvas,
            "min_givens": 5,
            "max_givens": 21,
            "seq_len": canvas**2,
            "vocab_size": vocab_size or size + 3,
        }
        _save(root / name, arrays, about)
    return _root(root, "standard", canvas, vocab_size or size + 3)


def mazes(root: Path, task: PuzzleTask, splits: Mapping[str, PuzzleBatch], per_group: int) -> Path:
    """build_maze_dataset.py: the tokens of sapientinc/HRM, files of indices, and no `sets`."""
    size = task.grid_shape[0]
    for name, batch in splits.items():
        arrays: dict[str, NDArray[Any]] = {
            "inputs": batch.inputs,
            "labels": batch.solution,
            "puzzle_identifiers": np.zeros(len(batch), np.int32),
            "puzzle_indices": np.arange(len(batch) + 1, dtype=np.int32),
            "group_indices": np.arange(0, len(batch) + 1, per_group, dtype=np.int32),
        }
        about = {
            "num_puzzles": len(batch),
            "num_groups": len(batch) // per_group,
            "num_augmentations": per_group - 1,
            "mean_puzzles_per_group": float(per_group),
            "grid_size": size,
            "max_grid_size": size,
            "seq_len": size**2,
            "vocab_size": 6,
        }
        _save(root / name, arrays, about)
    return _root(root, "maze", size, 6)
