"""A data set on disk as upstream's scripts save it, for the tests of envs.folder."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from envs import PuzzleBatch, make_task

TASK = make_task("sudoku", size=4)
BATCH = TASK.generate("medium", 12, np.random.default_rng(0))
METADATA = {
    "pad_id": 0,
    "ignore_label_id": 0,
    "blank_identifier_id": 0,
    "vocab_size": 6,
    "seq_len": 16,
    "num_puzzle_identifiers": 1,
    "total_groups": 4,
    "mean_puzzle_examples": 1.0,
    "sets": ["all"],
}


def quiet(what: str, done: int, total: int) -> None:
    pass


def upstream(folder: Path, batch: PuzzleBatch = BATCH, dtype: type = np.uint8, **changes: object) -> Path:
    """A split as the scripts of sapientinc/HRM save it: every puzzle one example, here three to a group."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {
        "inputs": batch.inputs.astype(dtype),
        "labels": batch.solution.astype(dtype),
        "puzzle_identifiers": np.zeros(len(batch), np.int32),
        "puzzle_indices": np.arange(len(batch) + 1, dtype=np.int32),
        "group_indices": np.arange(0, len(batch) + 1, 3, dtype=np.int32),
    }
    for name, array in arrays.items():
        np.save(folder / f"all__{name}.npy", array)
    (folder / "dataset.json").write_text(json.dumps(METADATA | changes))
    return folder
