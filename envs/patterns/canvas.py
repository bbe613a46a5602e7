"""Where a string lies on its canvas, and in which other forms the same puzzle can be written.

The forms of a puzzle: the string moved along the canvas; symbols, or kinds of brackets, renamed where that
changes nothing (copy, reverse, brackets); and the two numbers of a sum exchanged.

Legend: N strings, R rows, W columns of the canvas, L = R * W cells, V token values.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from envs.patterns.pattern import Lengths, Pattern
from envs.puzzle import PAD, Tokens


def place(boards: Tokens, columns: int, offsets: Lengths) -> Tokens:
    """(N, L) strings (N, R, w) on canvases of so many columns, the first cell at offsets (N,)."""
    count, rows, width = boards.shape
    if width > columns:
        boards = boards[:, :, :columns]
    elif width < columns:
        boards = np.pad(boards, ((0, 0), (0, 0), (0, columns - width)))
    return moved(boards, -offsets).reshape(count, rows * columns)


def offsets_of(inputs: Tokens, rows: int) -> Lengths:
    """(N,) the first column of each puzzle (N, L) that holds anything; 0 where none does."""
    found: Lengths = (_in_rows(inputs, rows) != PAD).any(axis=1).argmax(axis=1)
    return found


def at_left(tokens: Tokens, rows: int, offsets: Lengths) -> Tokens:
    """(N, R, W) puzzles or answers (N, L) moved to the left by offsets (N,)."""
    return moved(_in_rows(tokens, rows), offsets)


def _in_rows(tokens: Tokens, rows: int) -> Tokens:
    """(N, L) as (N, R, W), also where N is 0."""
    return tokens.reshape(len(tokens), rows, tokens.shape[1] // rows)


def moved(boards: Tokens, by: Lengths) -> Tokens:
    """(N, R, W) each string (N, R, W) moved to the left by so many columns, or to the right by negative ones;
    PAD comes in."""
    columns = boards.shape[2]
    source = np.arange(columns) + by[:, None]  # (N, W)
    inside = (source >= 0) & (source < columns)
    taken = np.take_along_axis(boards, np.clip(source, 0, columns - 1)[:, None], axis=2)
    return np.where(inside[:, None], taken, np.uint8(PAD))


@dataclass(frozen=True)
class PatternSymmetries:
    """Another form of each of N puzzles."""

    cells: NDArray[np.int64]
    """(N, L) the cell from which each cell takes its token; -1 for what is padding afterwards."""
    renamed: Tokens
    """(N, V) what each token is called afterwards."""

    @staticmethod
    def of(inputs: Tokens, pattern: Pattern, rng: np.random.Generator) -> PatternSymmetries:
        """A random form of each puzzle (N, L)."""
        count, rows, columns = len(inputs), pattern.rows, inputs.shape[1] // pattern.rows
        there = (inputs.reshape(count, rows, columns) != PAD).any(axis=1)
        width, old = there.sum(axis=1), there.argmax(axis=1)
        kinds = pattern.symbols()
        luck = rng.random((count, 2 + len(kinds)))  # one row a puzzle, so that 2 + 3 puzzles are 5
        new = (luck[:, 0] * (columns - width + 1)).astype(np.int64)

        source = np.arange(columns) - new[:, None] + old[:, None]
        inside = (np.arange(columns) >= new[:, None]) & (np.arange(columns) < (new + width)[:, None])
        row = np.broadcast_to(np.arange(rows), (count, rows)).copy()
        if pattern.swaps_rows:
            swapped = luck[:, 1] < 0.5
            row[swapped, 0], row[swapped, 1] = 1, 0
        cells = row[:, :, None] * columns + np.clip(source, 0, columns - 1)[:, None]
        cells = np.where(inside[:, None], cells, -1).reshape(count, rows * columns)

        renamed = np.tile(np.arange(len(pattern.characters), dtype=np.uint8), (count, 1))
        if kinds:
            order = luck[:, 2:].argsort(axis=1)  # kind i becomes order[i]
            members = np.array(kinds, np.uint8)  # (kinds, tokens of each)
            renamed[:, members] = members[order]
        return PatternSymmetries(cells, renamed)

    def apply(self, boards: Tokens) -> Tokens:
        """Puzzles or answers (N, L), each in its other form; PAD outside the string."""
        taken = np.take_along_axis(boards, np.maximum(self.cells, 0), axis=1)
        named = np.take_along_axis(self.renamed, taken.astype(np.int64), axis=1)
        return np.where(self.cells >= 0, named, np.uint8(PAD))

    def undo(self, boards: Tokens) -> Tokens:
        """The answers (N, L) that `apply` makes these of; PAD outside the string."""
        back = self.renamed.argsort(axis=1).astype(np.uint8)
        named = np.take_along_axis(back, boards.astype(np.int64), axis=1)
        result = np.full_like(boards, PAD)
        n, cell = np.nonzero(self.cells >= 0)
        result[n, self.cells[n, cell]] = named[n, cell]
        return result

    def undo_chances(self, chances: NDArray[np.float32]) -> NDArray[np.float32]:
        """The same for probabilities (N, L, V) of tokens; PAD for sure outside the string."""
        named = np.take_along_axis(chances, self.renamed[:, None].astype(np.int64), axis=2)
        result = np.zeros_like(chances)
        result[..., PAD] = 1
        n, cell = np.nonzero(self.cells >= 0)
        result[n, self.cells[n, cell]] = named[n, cell]
        return result


def canonical(inputs: Tokens, pattern: Pattern) -> Tokens:
    """(N, L) one form of each puzzle (N, L), the same for all of its forms: at the left of the canvas, kinds
    in the order in which they first occur, the smaller number first."""
    boards = at_left(inputs, pattern.rows, offsets_of(inputs, pattern.rows))
    count, rows, columns = boards.shape
    if kinds := pattern.symbols():
        flat = boards.reshape(count, -1)
        first = np.stack([_first(np.isin(flat, kind)) for kind in kinds], axis=1)  # (N, kinds)
        rank = first.argsort(axis=1, kind="stable").argsort(axis=1)
        members = np.array(kinds, np.uint8)
        renamed = np.tile(np.arange(len(pattern.characters), dtype=np.uint8), (count, 1))
        renamed[:, members] = members[rank]
        boards = np.take_along_axis(renamed, flat.astype(np.int64), axis=1).reshape(boards.shape)
    if pattern.swaps_rows:
        less = boards[:, 1].astype(np.int64) - boards[:, 0]
        sign = np.take_along_axis(less, _first(less != 0, columns - 1)[:, None], axis=1)[:, 0]
        swapped = sign < 0
        boards[swapped, 0], boards[swapped, 1] = boards[swapped, 1].copy(), boards[swapped, 0].copy()
    return boards.reshape(count, rows * columns)


def _first(mask: NDArray[np.bool_], none: int | None = None) -> Lengths:
    """(N,) the first place in each row of a mask (N, M); `none`, or M, where there is none."""
    missing = mask.shape[1] if none is None else none
    found: Lengths = np.where(mask.any(axis=1), mask.argmax(axis=1), missing)
    return found
