"""What a puzzle and a source of puzzles are: with envs/task.py, the seam between tasks and training.

Legend: N puzzles, L tokens a puzzle (the cells of a grid, row by row), V token values. Nothing here knows a
particular task; nothing in envs/ knows torch or Ray.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Tokens = NDArray[np.uint8]

PAD = 0
"""The token of a cell that is not there. In a solution: a cell without a label."""

NO_LEVEL = -1
"""`PuzzleBatch.level` of a puzzle that lies in none of its task's levels."""


@dataclass(frozen=True)
class PuzzleBatch:
    """N puzzles of one task, as arrays."""

    inputs: Tokens
    """(N, L) the question."""
    solution: Tokens
    """(N, L) the label; PAD where a cell has none."""
    level: NDArray[np.int64]
    """(N,) index into the task's `levels`, or NO_LEVEL."""
    identifier: NDArray[np.int64]
    """(N,) row of the puzzle-embedding table; 0 is shared by all puzzles without an identity of their own."""

    def __len__(self) -> int:
        return len(self.inputs)

    def take(self, index: NDArray[Any] | slice) -> PuzzleBatch:
        """The puzzles at `index` (integers, a mask or a slice)."""
        return PuzzleBatch(
            self.inputs[index], self.solution[index], self.level[index], self.identifier[index]
        )

    @staticmethod
    def concatenate(batches: Sequence[PuzzleBatch]) -> PuzzleBatch:
        return PuzzleBatch(
            np.concatenate([b.inputs for b in batches]),
            np.concatenate([b.solution for b in batches]),
            np.concatenate([b.level for b in batches]),
            np.concatenate([b.identifier for b in batches]),
        )


@dataclass(frozen=True)
class Collection:
    """All the puzzles that a task's data hold, as a folder of the field has them (envs/folders/folder.py)."""

    train: Iterable[tuple[PuzzleBatch, NDArray[np.int64]]]
    """The examples to train on, chunk by chunk, with the number of examples of each group."""
    test: Iterable[tuple[PuzzleBatch, NDArray[np.int64]]]
    """Those held out."""
    files: Mapping[str, Any]
    """Further files: what to write as JSON, by name."""


@dataclass(frozen=True)
class View:
    """One puzzle as a picture shows it; each part has (L,) tokens. Raises ValueError for an answer of another
    length."""

    inputs: Tokens
    """The question."""
    answer: Tokens | None = None
    """Filled in, if there is one; wrong cells are marked."""
    solution: Tokens | None = None
    """What wrong cells are told by; PAD where a cell has no label."""
    before: Tokens | None = None
    """An earlier answer; the cells in which the two differ are marked."""
    assumed: NDArray[np.bool_] | None = None
    """The cells of the answer that a search agent has assumed; they are shown dimmed."""

    def __post_init__(self) -> None:
        if self.answer is not None and self.answer.shape != self.inputs.shape:
            raise ValueError(f"answer has shape {self.answer.shape}; the puzzle has {self.inputs.shape}")

    @property
    def shown(self) -> Tokens:
        """(L,) the answer, or the question alone."""
        return self.inputs if self.answer is None else self.answer

    @property
    def dimmed(self) -> NDArray[np.bool_]:
        """(L,) the cells that are assumed, none without an answer."""
        if self.answer is None or self.assumed is None:
            return np.zeros(len(self.inputs), np.bool_)
        return self.assumed

    @property
    def changed(self) -> NDArray[np.bool_]:
        """(L,) the cells in which the answer differs from the one before."""
        if self.answer is None or self.before is None:
            return np.zeros(len(self.inputs), np.bool_)
        return self.answer != self.before


class Puzzles(Protocol):
    """N puzzles that may lie in memory (`PuzzleBatch`) or on disk (`PuzzleFolder`)."""

    def __len__(self) -> int: ...

    def take(self, index: NDArray[Any] | slice) -> PuzzleBatch:
        """The puzzles at `index` (integers, a mask or a slice), in memory."""


@dataclass(frozen=True)
class Selection:
    """Some of a pool's puzzles, by reference."""

    puzzles: Puzzles
    rows: NDArray[np.int64]
    """(N,) their numbers in the pool."""

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, index: NDArray[Any] | slice) -> PuzzleBatch:
        return self.puzzles.take(self.rows[index])


class PuzzleSource(Protocol):
    """An endless, deterministic stream of puzzles.

    `draw(2)` then `draw(3)` gives the puzzles of `draw(5)`; after `load_state_dict(state_dict())` the stream
    continues where it stood. Neither depends on how fast a background thread is.
    """

    @property
    def data_wait_seconds(self) -> float:
        """Time that draws have spent waiting for puzzles, in all."""

    def draw(self, count: int) -> PuzzleBatch: ...

    def reseed(self, seed: int) -> None:
        """Start the stream of another seed from its beginning."""

    def set_level_weights(self, weights: Mapping[str, float]) -> None:
        """From the next draw on, choose levels in these proportions. Raises UserError for a level that the
        source does not have."""

    def state_dict(self) -> dict[str, Any]:
        """JSON-compatible position in the stream."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None: ...

    def close(self) -> None:
        """Stop background work."""


def fingerprint(tokens: Tokens) -> NDArray[np.uint64]:
    """(N,) 64-bit polynomial hash of each row of tokens (N, L): equal rows have equal fingerprints; 100,000
    different rows collide with probability about 3e-10."""
    multiplier = np.uint64(0x9E3779B97F4A7C15)
    value = np.zeros(len(tokens), np.uint64)
    with np.errstate(over="ignore"):
        for column in tokens.T:
            value = (value ^ column.astype(np.uint64)) * multiplier
            value ^= value >> np.uint64(29)
    return value


def distinct(puzzles: PuzzleBatch) -> PuzzleBatch:
    """The first of each set of equal puzzles, in order. Equal questions of different identities are different
    puzzles."""
    keys = np.stack([fingerprint(puzzles.inputs), puzzles.identifier.astype(np.uint64)], axis=1)
    _, first = np.unique(keys, axis=0, return_index=True)
    return puzzles.take(np.sort(first))
