"""What a pattern is: how its strings are written, made, answered and judged.

A string stands in a rectangle of cells: one row, or several of the same number of columns. A pattern sees it
at the left of its cells; where it lies on the canvas is the task's business (envs/patterns/canvas.py).

Legend: N strings, R rows, W columns, V token values. A string of length n has `width(n)` columns, and PAD to
the right of them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from envs.errors import UserError
from envs.puzzle import PAD, Tokens

BLANK = 1
"""The token of a cell that an answer has to fill."""

GIVEN_CHANGED = "given cell changed, or one left blank"

Mask = NDArray[np.bool_]
Lengths = NDArray[np.int64]


class Pattern(ABC):
    """One kind of puzzle on strings."""

    name: ClassVar[str]
    rows: ClassVar[int] = 1
    """R."""
    columns_more: ClassVar[int] = 0
    """Columns that a string has beside those of its length."""
    columns_each: ClassVar[int] = 1
    """Columns for each unit of length."""
    least: ClassVar[int] = 1
    """The shortest string."""
    step: ClassVar[int] = 1
    """Lengths are multiples of this."""
    rules: ClassVar[tuple[str, ...]]
    """What can be wrong with an answer, in words; the first is GIVEN_CHANGED."""
    kinds_range: ClassVar[tuple[int, int, int]] = (0, 0, 0)
    """Fewest, most and usual number of kinds (of symbols, of brackets); 0 where there is no choice."""
    swaps_rows: ClassVar[bool] = False
    """Whether the first two rows may be exchanged."""

    def __init__(self, kinds: int = 0) -> None:
        """kinds: 0 for the usual number. Raises UserError."""
        fewest, most, usual = self.kinds_range
        if kinds and not most:
            raise UserError(f"kinds is {kinds}, but {self.name} has nothing to choose: leave it out")
        if kinds and not fewest <= kinds <= most:
            raise UserError(f"kinds is {kinds}; {self.name} takes {fewest} to {most}")
        self.kinds = kinds or usual
        self.characters = "_." + self.signs()
        """How token t is written; the first two are PAD and BLANK."""

    @abstractmethod
    def signs(self) -> str:
        """The characters of tokens 2, 3, ..."""

    @abstractmethod
    def questions(self, lengths: Lengths, rng: np.random.Generator) -> Tokens:
        """(N, R, W) a random question of each length (N,), W that of the longest."""

    @abstractmethod
    def solve(self, boards: Tokens) -> Tokens:
        """(N, R, W) the answer that is the label of each question (N, R, W)."""

    @abstractmethod
    def wrong(self, boards: Tokens, answers: Tokens) -> Mask:
        """(N, len(rules) - 1) which rules but the first each answer breaks, given that it keeps what is given
        and has no blanks. None of them exactly where it is right."""

    @abstractmethod
    def complete(self, rows: list[str]) -> list[str]:
        """The rows of a question in full, of those that a person types."""

    def fault(self, board: Tokens) -> tuple[str, int, int] | None:
        """What is wrong with a question (R, w) without padding, of a sound number of columns, and the row and
        column to blame; None if nothing is."""
        return None

    def symbols(self) -> tuple[tuple[int, ...], ...]:
        """Tokens that may change places with each other: a tuple for each kind, all of one size."""
        return ()

    def unknown(self, tokens: Tokens) -> Mask:
        """The cells that an answer has to fill."""
        return tokens == BLANK

    def faulty(self, boards: Tokens, answers: Tokens) -> Mask:
        """(N, R, W) the cells to blame in answers that keep what is given and are wrong; at least one of
        each."""
        return (answers != self.solve(boards)) & (boards != PAD)

    def width(self, length: int) -> int:
        """Columns of a string of that length."""
        return self.columns_each * length + self.columns_more

    def lengths_of(self, boards: Tokens) -> Lengths:
        """(N,) lengths of strings (N, R, W)."""
        columns = (boards != PAD).any(axis=1).sum(axis=1)
        return (columns - self.columns_more) // self.columns_each

    def lengths(self, fewest: int, most: int) -> Lengths:
        """The lengths there are in a range."""
        found = np.arange(max(fewest, self.least), most + 1)
        return found[found % self.step == 0]

    def spoilt(self, boards: Tokens, answers: Tokens) -> Mask:
        """(N, R, W) what is given and changed, and blanks left."""
        left = self.unknown(answers) | (answers == PAD)
        found: Mask = (boards != PAD) & np.where(self.unknown(boards), left, answers != boards)
        return found

    def broken(self, boards: Tokens, answers: Tokens) -> Mask:
        """(N, len(rules)) which rules each answer breaks; where something given is changed or left blank,
        that alone. What stands at padding does not matter."""
        answers = np.where(boards != PAD, answers, np.uint8(PAD))
        spoilt = np.asarray(self.spoilt(boards, answers).any(axis=(1, 2)))
        rest = self.wrong(boards, answers) & ~spoilt[:, None]
        return np.concatenate([spoilt[:, None], rest], axis=1)

    def violations(self, boards: Tokens, answers: Tokens) -> Mask:
        """(N, R, W) the cells to blame: none of an answer that is right, at least one of every other."""
        answers = np.where(boards != PAD, answers, np.uint8(PAD))
        spoilt = self.spoilt(boards, answers)
        wrong = np.asarray(self.broken(boards, answers).any(axis=1))
        rest: Mask = self.faulty(boards, answers) & wrong[:, None, None]
        return np.where(spoilt.any(axis=(1, 2), keepdims=True), spoilt, rest)

    def reason(self, board: Tokens) -> tuple[str, int, int] | None:
        """As `fault`, for a question (R, w) of any number of columns."""
        width = board.shape[1]
        length = (width - self.columns_more) // self.columns_each
        if length < self.least or length % self.step or self.width(length) != width:
            first, second = (self.width(n) for n in self.lengths(1, 9 * self.step)[:2].tolist())
            return f"a question of {self.name} has {first}, {second}, ... columns, not {width}", 0, 0
        return self.fault(board)
