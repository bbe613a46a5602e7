"""Where strings lie on their canvas, and in which other forms the same puzzle can be written.

The forms of a puzzle: all strings moved along the canvas; symbols, or kinds of brackets, renamed where that
changes nothing (copy, reverse, brackets); and the two numbers of a sum exchanged.

Legend: N canvases, M strings, R rows, W columns of a canvas, L = R * W cells, V token values.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from envs.patterns.pattern import Lengths, Pattern
from envs.puzzle import PAD, Tokens


@dataclass(frozen=True)
class Strings:
    """The M strings on N canvases, a column of padding or more between those of one canvas."""

    owner: NDArray[np.int64]
    """(M,) the canvas of each."""
    start: NDArray[np.int64]
    """(M,) its first column."""
    width: NDArray[np.int64]
    """(M,) its columns."""
    shape: tuple[int, int]
    """Rows and columns of a canvas: R, W."""
    canvases: int
    """N."""

    @staticmethod
    def on(inputs: Tokens, rows: int) -> Strings:
        """Those on canvases (N, L)."""
        count, columns = len(inputs), inputs.shape[1] // rows
        there = (inputs.reshape(count, rows, columns) != PAD).any(axis=1)
        edges = np.diff(np.pad(there, ((0, 0), (1, 1))).astype(np.int8), axis=1)  # (N, W + 1)
        owner, start = np.nonzero(edges == 1)
        end = np.nonzero(edges == -1)[1]
        return Strings(owner, start, end - start, (rows, columns), count)

    def cut(self, tokens: Tokens) -> Tokens:
        """(M, R, W) each string at the left, of puzzles or answers (N, L); PAD behind it."""
        rows, columns = self.shape
        at = np.arange(columns)
        boards = tokens.reshape(self.canvases, rows, columns)[self.owner]
        source = np.minimum(at + self.start[:, None], columns - 1)
        taken = np.take_along_axis(boards, source[:, None], axis=2)
        return np.where((at < self.width[:, None])[:, None], taken, np.uint8(PAD))

    def paste(self, boards: Tokens) -> Tokens:
        """(N, L) canvases with the strings (M, R, W) where they belong, and PAD elsewhere."""
        rows, columns = self.shape
        canvas = np.full((self.canvases, rows, columns), PAD, np.uint8)
        string, column = np.nonzero(np.arange(columns) < self.width[:, None])
        canvas[self.owner[string], :, column + self.start[string]] = boards[string, :, column]
        return canvas.reshape(self.canvases, rows * columns)

    def any_of(self, found: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """(N, ...) whether it is so of any string of a canvas, of (M, ...)."""
        result = np.zeros((self.canvases, *found.shape[1:]), np.bool_)
        np.logical_or.at(result, self.owner, found)
        return result


def pack(boards: Tokens, columns: int, most: int, anywhere: bool, rng: np.random.Generator) -> Tokens:
    """(N, L) strings (M, R, W) side by side on canvases of so many columns, in order: on each a random
    number, 1 to `most`, as long as they fit. anywhere: spread over the canvas at random, not at its left."""
    widths = (boards != PAD).any(axis=1).sum(axis=1)
    rows = boards.shape[1]
    owner, start = np.zeros(len(boards), np.int64), np.zeros(len(boards), np.int64)
    wanted, spare = rng.integers(1, most + 1, len(boards)).tolist(), rng.random((len(boards), most))
    canvas, i = 0, 0
    while i < len(boards):
        end, used = i + 1, int(widths[i])
        while end < len(boards) and end - i < wanted[canvas] and used + 1 + widths[end] <= columns:
            used += 1 + int(widths[end])
            end += 1
        # gaps: how much of the free room lies before each string
        gaps = np.sort((spare[canvas, : end - i] * (columns - used + 1)).astype(np.int64)) * anywhere
        before = np.concatenate([[0], np.cumsum(widths[i : end - 1] + 1)])
        owner[i:end], start[i:end] = canvas, gaps + before
        canvas, i = canvas + 1, end
    padded = np.zeros((len(boards), rows, columns), np.uint8)
    shown = min(columns, boards.shape[2])
    padded[:, :, :shown] = boards[:, :, :shown]
    return Strings(owner, start, widths, (rows, columns), canvas).paste(padded)


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
        old = there.argmax(axis=1)
        width = np.where(there.any(axis=1), columns - there[:, ::-1].argmax(axis=1) - old, 0)
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
        """Puzzles or answers (N, L), each in its other form; PAD outside the strings."""
        taken = np.take_along_axis(boards, np.maximum(self.cells, 0), axis=1)
        named = np.take_along_axis(self.renamed, taken.astype(np.int64), axis=1)
        return np.where(self.cells >= 0, named, np.uint8(PAD))

    def undo(self, boards: Tokens) -> Tokens:
        """The answers (N, L) that `apply` makes these of; PAD outside the strings."""
        back = self.renamed.argsort(axis=1).astype(np.uint8)
        named = np.take_along_axis(back, boards.astype(np.int64), axis=1)
        result = np.full_like(boards, PAD)
        n, cell = np.nonzero(self.cells >= 0)
        result[n, self.cells[n, cell]] = named[n, cell]
        return result

    def undo_chances(self, chances: NDArray[np.float32]) -> NDArray[np.float32]:
        """The same for probabilities (N, L, V) of tokens; PAD for sure outside the strings."""
        named = np.take_along_axis(chances, self.renamed[:, None].astype(np.int64), axis=2)
        result = np.zeros_like(chances)
        result[..., PAD] = 1
        n, cell = np.nonzero(self.cells >= 0)
        result[n, self.cells[n, cell]] = named[n, cell]
        return result


def canonical(inputs: Tokens, pattern: Pattern) -> Tokens:
    """(N, L) one form of each puzzle (N, L), the same for all of its forms: at the left of the canvas, kinds
    in the order in which they first occur, the smaller number first."""
    columns = inputs.shape[1] // pattern.rows
    boards = inputs.reshape(len(inputs), pattern.rows, columns)
    first = (boards != PAD).any(axis=1).argmax(axis=1)
    boards = np.take_along_axis(boards, ((np.arange(columns) + first[:, None]) % columns)[:, None], axis=2)
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
