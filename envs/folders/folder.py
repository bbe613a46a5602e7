"""Data sets on disk in the layouts of sapientinc/HRM, TinyRecursiveModels and nano-trm, memory-mapped.

    ROOT/train/dataset.json                      what follows, in numbers (see `Metadata`)
    ROOT/train/SET__inputs.npy                   (N, L) questions, one example a row; any integer type
    ROOT/train/SET__labels.npy                   (N, L) answers
    ROOT/train/SET__puzzle_indices.npy           (P + 1,) first example of each puzzle, and N
    ROOT/train/SET__group_indices.npy            (G + 1,) first puzzle of each group, and P
    ROOT/train/SET__puzzle_identifiers.npy       (P,) row of the puzzle-embedding table
    ROOT/test/, ROOT/val/                        the same; optional

A puzzle's examples share an identifier; a group is a puzzle and its symmetric versions. Sudokus and mazes
have one example a puzzle and identifier 0; nano-trm's Sudokus have no files of indices. Examples, puzzles and
groups are counted from 0, in messages too.
Writing is in envs/folders/writer.py, the check of every example in envs/folders/check.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.errors import DataError, MisfitError
from envs.folders.metadata import METADATA_FILE, Metadata, encoding_of, misfit, read_metadata
from envs.puzzle import PAD, PuzzleBatch, Tokens
from envs.task import PuzzleTask

PARTS = ("inputs", "labels", "puzzle_identifiers", "puzzle_indices", "group_indices")


@dataclass(frozen=True)
class Splits:
    """The split folders that a user's path stands for."""

    train: Path
    test: Path | None
    val: Path | None = None
    """Held out beside the test split, as nano-trm's builders do: for choosing while training."""

    @property
    def held_out(self) -> Path | None:
        """What a run that trains on `train` holds out: nothing that a later test is to be kept for."""
        return self.val or self.test


def is_folder(path: Path | str) -> bool:
    """Whether `path` is to be read as a data set in folders rather than as a file of puzzles."""
    return Path(path).is_dir()


def find_splits(path: Path | str) -> Splits:
    """The splits at `path`: a split folder itself, or a root with train/ and perhaps test/ and val/. Raises
    DataError."""
    path = Path(path)
    if not path.is_dir():
        raise DataError(f"{path}: {'is no folder' if path.exists() else 'no such folder'}")
    if (path / METADATA_FILE).exists():
        return Splits(path, None)
    if not (path / "train" / METADATA_FILE).exists():
        raise DataError(
            f"{path}: holds neither {METADATA_FILE} nor train/{METADATA_FILE}; give a folder that the "
            "command dataset has written"
        )
    others: list[Path | None] = []
    for name in ("test", "val"):
        split = path / name
        if split.is_dir() and not (split / METADATA_FILE).exists():
            raise DataError(
                f"{split / METADATA_FILE}: no such file; remove the folder {name} if there is no {name} split"
            )
        others.append(split if split.is_dir() else None)
    return Splits(path / "train", *others)


class ExampleSet:
    """One set of a split: its five arrays, memory-mapped, their structure checked."""

    def __init__(self, folder: Path, name: str, metadata: Metadata) -> None:
        """Raises DataError naming the file."""
        self._folder, self._name = folder, name
        length = metadata.seq_len
        missing = [part for part in PARTS[3:] if not self.file(part).exists()]
        plain = metadata.board is not None and missing == list(PARTS[3:])
        found = PARTS[:3] if plain else PARTS
        arrays = {part: _open_array(self.file(part), 2 if part in PARTS[:2] else 1) for part in found}
        if plain:  # every example is a puzzle, and every puzzle a group
            arrays |= {part: np.arange(len(arrays["inputs"]) + 1) for part in missing}
        self.inputs, self.labels, self.identifiers, self.puzzle_indices, self.group_indices = arrays.values()
        for part in PARTS[:2]:
            if arrays[part].shape[1] != length:
                self._refuse(
                    part, f"has {arrays[part].shape[1]} tokens a row, but {METADATA_FILE} says {length}"
                )
        if len(self.inputs) != len(self.labels):
            self._refuse("labels", f"has {len(self.labels):,} rows, but inputs has {len(self.inputs):,}")
        if not len(self.inputs):
            self._refuse("inputs", "holds no examples")
        self._check_indices("puzzle_indices", self.puzzle_indices, len(self.inputs), "examples")
        puzzles = len(self.puzzle_indices) - 1
        if len(self.identifiers) != puzzles:
            self._refuse(
                "puzzle_identifiers", f"has {len(self.identifiers):,} entries for {puzzles:,} puzzles"
            )
        self._check_indices("group_indices", self.group_indices, puzzles, "puzzles")
        wrong = self.identifiers < 0
        if metadata.num_puzzle_identifiers is not None:
            wrong |= self.identifiers >= metadata.num_puzzle_identifiers
        if wrong.any():
            puzzle = int(np.argmax(wrong))
            limit = metadata.num_puzzle_identifiers
            bound = "0 or more" if limit is None else f"0 to {limit - 1} (num_puzzle_identifiers is {limit})"
            self._refuse(
                "puzzle_identifiers",
                f"puzzle {puzzle} has identifier {self.identifiers[puzzle]}; it must be {bound}",
            )

    def __len__(self) -> int:
        return len(self.inputs)

    def file(self, part: str) -> Path:
        return self._folder / f"{self._name}__{part}.npy"

    def puzzle_of(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """(n,) the puzzle that each example belongs to."""
        # In the file's own type, or NumPy would convert the whole file for each search.
        return np.searchsorted(self.puzzle_indices, rows.astype(self.puzzle_indices.dtype), side="right") - 1

    def groups(self) -> NDArray[np.int64]:
        """(N,) the group of each example."""
        first_examples = np.asarray(self.puzzle_indices)[np.asarray(self.group_indices)]
        return np.repeat(np.arange(len(first_examples) - 1), np.diff(first_examples.astype(np.int64)))

    def _check_indices(self, part: str, indices: NDArray[Any], closing: int, what: str) -> None:
        if len(indices) < 2 or indices[0] != 0:
            self._refuse(part, "must begin with 0 and have a closing entry")
        falls = indices[1:] <= indices[:-1]
        if falls.any():
            place = int(np.argmax(falls))
            self._refuse(
                part,
                f"entry {place + 1} is {indices[place + 1]} after {indices[place]}; entries must increase",
            )
        if indices[-1] != closing:
            self._refuse(part, f"ends with {indices[-1]}, but there are {closing:,} {what}")

    def _refuse(self, part: str, reason: str) -> None:
        raise DataError(f"{self.file(part)}: {reason}")


def _open_array(file: Path, dimensions: int) -> NDArray[Any]:
    """A .npy file as a read-only memory map of whole numbers. Raises DataError."""
    try:
        # Unlike np.load, this opens nothing but arrays: neither archives nor pickles.
        array = np.lib.format.open_memmap(file, mode="r")
    except FileNotFoundError:
        raise DataError(f"{file}: no such file") from None
    except (OSError, ValueError, EOFError, SyntaxError, TypeError, OverflowError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{file}: is truncated or no .npy array ({reason[:120]})") from None
    if array.dtype.kind not in "iu":
        raise DataError(f"{file}: is of type {array.dtype}; it must hold whole numbers")
    if array.ndim != dimensions:
        raise DataError(f"{file}: has shape {array.shape}; it must have {dimensions} dimensions")
    return array


class PuzzleFolder:
    """One split of a data set as `Puzzles`: what `take` asks for is read from disk, the rest stays there."""

    def __init__(self, path: Path | str, task: PuzzleTask) -> None:
        """
        path: the split's folder (see `find_splits`).
        task: what the examples are puzzles of; it must have their length and vocabulary.
        Raises DataError naming the file where the structure is not sound. The examples themselves are looked
        at when they are taken; `check_folder` looks at all.
        """
        self.path = Path(path)
        self.task = task
        self.metadata = read_metadata(self.path)
        encoding = encoding_of(self.metadata, task)
        if encoding is None:
            raise MisfitError(f"{self.path / METADATA_FILE}: {misfit(self.metadata, task)}")
        self._encoding = encoding
        self.sets = [ExampleSet(self.path, name, self.metadata) for name in self.metadata.sets]
        self._starts = np.cumsum([0, *map(len, self.sets)])
        stated = self.metadata.num_puzzle_identifiers
        largest = max(int(examples.identifiers.max()) for examples in self.sets)
        self.identifiers: int = largest + 1 if stated is None else stated
        """Rows that the puzzle-embedding table needs."""

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __reduce__(self) -> tuple[Any, ...]:
        # A pickled memory map would carry the whole file; another process may stand in another folder.
        return PuzzleFolder, (self.path.absolute(), self.task)

    @cached_property
    def groups(self) -> NDArray[np.int64]:
        """(N,) the group of each example; the groups of one set follow those of the set before."""
        parts, first = [], 0
        for examples in self.sets:
            parts.append(examples.groups() + first)
            first += len(examples.group_indices) - 1
        return np.concatenate(parts)

    def take(self, index: NDArray[Any] | slice) -> PuzzleBatch:
        """The examples at `index` (integers, a mask or a slice), in memory.

        A label equal to ignore_label_id becomes PAD, which is no label either. Raises DataError naming the
        example where a token is not one of the task's, and IndexError as NumPy does.
        """
        rows = self._rows(index)
        inputs = np.empty((len(rows), self.task.length), np.uint8)
        solution = np.empty_like(inputs)
        identifier = np.empty(len(rows), np.int64)
        owner = np.searchsorted(self._starts, rows, side="right") - 1
        for number, examples in enumerate(self.sets):
            mine = np.flatnonzero(owner == number)
            if not len(mine):
                continue
            own = rows[mine] - self._starts[number]
            cells = self._encoding.cells
            inputs[mine] = self._tokens(examples, "inputs", examples.inputs[own][:, cells], own)
            labels = examples.labels[own][:, cells]
            ignored = self.metadata.ignore_label_id
            if ignored is not None:
                labels[labels == ignored] = PAD
            solution[mine] = self._tokens(examples, "labels", labels, own)
            identifier[mine] = examples.identifiers[examples.puzzle_of(own)]
        return PuzzleBatch(inputs, solution, self.task.level_of(inputs), identifier)

    def place_of(self, row: int) -> tuple[ExampleSet, int]:
        """The set that holds example `row` of the split, and the example's number there."""
        number = int(np.searchsorted(self._starts, row, side="right")) - 1
        return self.sets[number], row - int(self._starts[number])

    def _rows(self, index: NDArray[Any] | slice) -> NDArray[np.int64]:
        """(n,) numbers of examples, none negative."""
        count = len(self)
        if isinstance(index, slice):
            return np.arange(*index.indices(count))
        index = np.asarray(index)
        if index.dtype == np.bool_:
            if index.shape != (count,):
                raise IndexError(f"a mask of shape {index.shape} does not fit {count} examples")
            return np.flatnonzero(index)
        rows = index.astype(np.int64)
        rows = np.where(rows < 0, rows + count, rows)
        if ((rows < 0) | (rows >= count)).any():
            raise IndexError(f"an index is out of bounds for {count} examples")
        return rows

    def _tokens(
        self, examples: ExampleSet, part: str, tokens: NDArray[Any], rows: NDArray[np.int64]
    ) -> Tokens:
        """The board's tokens (n, L) of examples `rows` as the task's, once it is sure that they are that."""
        decoded, foreign = self._encoding.decode(tokens)
        if foreign.any():
            row, cell = (int(i) for i in np.argwhere(foreign)[0])
            raise DataError(
                f"{examples.file(part)}: example {rows[row]}: token {tokens[row, cell]} at position "
                f"{self._encoding.cells[cell]}; tokens are {self._encoding.known}"
            )
        return decoded
