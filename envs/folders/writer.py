"""Writing data sets in the layout of envs/folders/folder.py: whole or not at all, and never whole in memory.

Examples of a group that follow each other with the same identity make one puzzle; without an identity, 0,
each is a puzzle of its own.

Legend: n examples of a chunk, L tokens a puzzle.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.errors import DataError
from envs.folders.metadata import METADATA_FILE
from envs.puzzle import PAD, PuzzleBatch
from envs.task import PuzzleTask

SET_NAME = "all"


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A temporary folder next to `path` that becomes `path` at the end; after an error or Ctrl-C nothing is
    left. Raises DataError if there is something at `path` other than an empty folder."""
    refuse_existing(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)  # of a process with this number that was killed
    temporary.mkdir()
    try:
        yield temporary
        temporary.replace(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def refuse_existing(path: Path) -> None:
    """Raise DataError if there is something at `path` other than an empty folder, or if it would lie in a
    file."""
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise DataError(f"{path}: exists already; name another folder or remove this one")
    for parent in path.parents:
        if parent.exists() and not parent.is_dir():
            raise DataError(f"{path}: {parent} is a file; name another folder")


def write_split(
    path: Path,
    task: PuzzleTask,
    chunks: Iterable[tuple[PuzzleBatch, NDArray[np.int64]]],
    identifiers: int | None = None,
) -> None:
    """Write one split.

    chunks: examples, and the number of examples (G,) of each group among them, one group after the other.
    identifiers: rows of the puzzle-embedding table, those of the task if not given; every identifier is below
        that.
    Raises DataError where something is at `path`, ValueError for no examples at all.
    """
    groups = puzzles = examples = 0
    identifiers = identifiers or task.identifiers
    with new_folder(path) as folder, ExitStack() as open_files:

        def start(part: str, dtype: Any, *row: int) -> _GrowingArray:
            file = folder / f"{SET_NAME}__{part}.npy"
            return open_files.enter_context(_GrowingArray(file, np.dtype(dtype), row))

        inputs = start("inputs", np.uint8, task.length)
        labels = start("labels", np.uint8, task.length)
        puzzle_identifiers = start("puzzle_identifiers", np.int32)
        puzzle_indices = start("puzzle_indices", np.int32)
        group_indices = start("group_indices", np.int32)
        puzzle_indices.append(np.zeros(1))
        group_indices.append(np.zeros(1))
        for batch, sizes in chunks:
            assert sizes.sum() == len(batch)
            assert len(batch) == 0 or batch.identifier.max() < identifiers
            inputs.append(batch.inputs)
            labels.append(batch.solution)
            ends = np.cumsum(sizes)
            first = np.ones(len(batch), np.bool_)
            first[1:] = (batch.identifier[1:] != batch.identifier[:-1]) | (batch.identifier[1:] == 0)
            first[ends[ends < len(batch)]] = True
            starts = np.flatnonzero(first)
            puzzle_identifiers.append(batch.identifier[starts])
            puzzle_indices.append(examples + np.append(starts[1:], [len(batch)] * bool(len(batch))))
            group_indices.append(puzzles + np.cumsum(first)[ends - 1])
            examples += len(batch)
            puzzles += len(starts)
            groups += len(sizes)
        if not examples:
            raise ValueError("a split needs at least one example")
        metadata = {
            "seq_len": task.length,
            "vocab_size": task.vocab_size,
            "pad_id": PAD,
            "ignore_label_id": PAD,
            "blank_identifier_id": 0,
            "num_puzzle_identifiers": identifiers,
            "total_groups": groups,
            "mean_puzzle_examples": 1 if examples == puzzles else examples / puzzles,
            "total_puzzles": puzzles,
            "sets": [SET_NAME],
        }
        (folder / METADATA_FILE).write_text(json.dumps(metadata))


def write_identifiers(root: Path, names: Iterable[str]) -> None:
    """identifiers.json next to the splits: what each identifier stands for; only for people to read."""
    (root / "identifiers.json").write_text(json.dumps(list(names)))


def write_json(root: Path, files: Mapping[str, Any]) -> None:
    """Further files of a data set, by name."""
    for name, content in files.items():
        (root / name).write_text(json.dumps(content))


class _GrowingArray:
    """A .npy file that rows are appended to; its header tells how many once it is closed."""

    def __init__(self, path: Path, dtype: np.dtype[Any], row: tuple[int, ...]) -> None:
        self._file = path.open("wb")
        self._dtype, self._row, self._rows = dtype, row, 0
        self._write_header()
        self._header_size = self._file.tell()

    def append(self, rows: NDArray[Any]) -> None:
        self._file.write(np.ascontiguousarray(rows, self._dtype).tobytes())
        self._rows += len(rows)

    def __enter__(self) -> _GrowingArray:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._file.seek(0)
                self._write_header()
                # NumPy pads headers so that the number of rows can grow in place.
                assert self._file.tell() == self._header_size
                self._file.flush()
                os.fsync(self._file.fileno())
        finally:
            self._file.close()

    def _write_header(self) -> None:
        np.lib.format.write_array_header_1_0(
            self._file,
            {
                "descr": np.lib.format.dtype_to_descr(self._dtype),
                "fortran_order": False,
                "shape": (self._rows, *self._row),
            },
        )
