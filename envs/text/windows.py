"""A text cut into windows, which are the puzzles: what comes after the mark, after the first token, ...

Legend: N windows, L tokens each, T tokens of the text.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.errors import DataError
from envs.puzzle import NO_LEVEL, PAD, PuzzleBatch, Tokens, fingerprint
from envs.text.vocabulary import Vocabulary

SHORTEST = 32
"""Tokens that a text to train on has at least."""
HELD_OUT = 10
"""One part in so many of a text is held out: its end."""
MOST = 2**20
"""Windows of a text that are trained on at most; of a longer text they begin every few tokens."""

CHUNK = 8192
"""Windows that are in memory at a time."""


def window(mark: int, text: Tokens, length: int) -> tuple[Tokens, Tokens]:
    """The inputs (L,) and the solution (L,) of a text of at most L tokens: the mark and all tokens but the
    last; and the tokens themselves. PAD follows both."""
    inputs, solution = np.full((2, length), PAD, np.uint8)
    inputs[0], inputs[1 : len(text)] = mark, text[:-1]
    solution[: len(text)] = text
    return inputs, solution


@dataclass(frozen=True)
class Windows:
    """Windows of one text, cut out when they are asked for."""

    text: Tokens
    """(T,)"""
    starts: NDArray[np.int64]
    """(N,) where each begins."""
    length: int
    mark: int

    def __len__(self) -> int:
        return len(self.starts)

    def take(self, index: NDArray[Any] | slice) -> PuzzleBatch:
        starts = self.starts[index]
        place = starts[:, None] + np.arange(self.length)
        solution = np.where(place < len(self.text), self.text[np.minimum(place, len(self.text) - 1)], PAD)
        marks = np.full((len(starts), 1), self.mark, np.uint8)
        inputs = np.concatenate([marks, solution[:, :-1]], axis=1)
        level, identifier = np.full(len(starts), NO_LEVEL, np.int64), np.zeros(len(starts), np.int64)
        return PuzzleBatch(inputs, solution.astype(np.uint8), level, identifier)

    def keys(self) -> NDArray[np.uint64]:
        """(N,) equal for equal windows."""
        rows = range(0, len(self), CHUNK)
        return np.concatenate([fingerprint(self.take(slice(n, n + CHUNK)).inputs) for n in rows])

    def without(self, others: Windows) -> Windows:
        """Those that are not among the others."""
        return replace(self, starts=self.starts[~np.isin(self.keys(), others.keys())])

    @staticmethod
    def side_by_side(text: Tokens, length: int, mark: int) -> Windows:
        """Every token in one window; a last one that is not full is left out unless it is the only one."""
        return Windows(text, np.arange(max(1, len(text) // length)) * length, length, mark)

    @staticmethod
    def anywhere(text: Tokens, length: int, mark: int) -> Windows:
        """All windows that are full, beginning with any token."""
        starts = np.arange(max(1, len(text) - length + 1))
        return Windows(text, starts[:: 1 + (len(starts) - 1) // MOST], length, mark)


def read_tokens(path: Path, vocabulary: Vocabulary) -> Tokens:
    """(T,) the text of a file. Raises DataError, in one line, for a file that is no text or too short."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    if not data:
        raise DataError(f"{path}: is empty; a text has at least {SHORTEST} bytes")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{path}: line {line} has byte 0x{data[error.start]:02X}, which is no UTF-8: save it as text in "
            "UTF-8"
        ) from None
    try:
        tokens = vocabulary.encode(text)
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
    if len(tokens) < SHORTEST:
        raise DataError(f"{path}: has {len(tokens)} tokens; a text has at least {SHORTEST}")
    return tokens


def split(tokens: Tokens) -> tuple[Tokens, Tokens]:
    """A text's part to train on and the part held out, which is its end."""
    kept = len(tokens) - len(tokens) // HELD_OUT
    return tokens[:kept], tokens[kept:]
