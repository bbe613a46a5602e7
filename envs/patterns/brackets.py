"""Brackets of k kinds: repair one error, say whether they match, mark the partner of one.

    repair      ([]]/....  ->  ([]]/([])    several may be right: of `(((())` three
    balanced    ?([)]      ->  n([)]
    partner     ([])/.^..  ->  ([])/-^^-

Legend: N strings, n brackets of each, W columns, k kinds.
"""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
from numpy.typing import NDArray

from envs.patterns.pattern import BLANK, GIVEN_CHANGED, Lengths, Mask, Pattern
from envs.patterns.sequences import blank_row_under, two_rows_fault
from envs.puzzle import PAD, Tokens

PAIRS = "()[]{}<>"
ASK, YES, NO = 2, 3, 4
OTHER, MARK = 2, 3
"""In the second row of `partner`: no bracket that is meant, and one that is."""


class Brackets(Pattern):
    """What the three have in common. Bracket t opens where t - `first` is even."""

    kinds_range = (1, 4, 2)
    step = 2
    least = 2
    first: int

    def symbols(self) -> tuple[tuple[int, ...], ...]:
        return tuple((self.first + 2 * i, self.first + 2 * i + 1) for i in range(self.kinds))

    @property
    def tokens(self) -> tuple[int, ...]:
        """All brackets."""
        return tuple(range(self.first, self.first + 2 * self.kinds))

    def matching(self, lengths: Lengths, rng: np.random.Generator) -> Tokens:
        """(N, n) balanced strings, uniform among those of a length and one kind, the kinds at random.

        With h open brackets and r places left, a share h (r + h + 2) / (2 r (h + 1)) of the ways to go on
        begin by closing one (Arnold and Sleep, "Uniform random generation of balanced parenthesis strings",
        1980).
        """
        count, columns = len(lengths), int(lengths.max())
        text = np.zeros((count, columns), np.int64)
        stack = np.zeros((count, columns + 1), np.int64)
        height, rows = np.zeros(count, np.int64), np.arange(count)
        kind, luck = rng.integers(0, self.kinds, (count, columns)), rng.random((count, columns))
        for i in range(columns):
            left = np.maximum(lengths - i, 1)
            closes = luck[:, i] < height * (left + height + 2) / (2 * left * (height + 1))
            text[:, i] = np.where(closes, 2 * stack[rows, height - 1] + 1, 2 * kind[:, i])
            stack[rows, height] = np.where(closes, stack[rows, height], kind[:, i])
            height += np.where(closes, -1, 1)
            height = np.maximum(height, 0)
        return np.where(np.arange(columns) < lengths[:, None], self.first + text, PAD).astype(np.uint8)

    def partners(self, text: Tokens) -> NDArray[np.int64]:
        """(N, n) where the partner of each bracket is; -1 for one without, and for what is no bracket. A
        closing bracket of another kind than the open one has none, and leaves that one open."""
        count, columns = text.shape
        partner = np.full((count, columns), -1, np.int64)
        stack, height = np.zeros((count, columns + 1), np.int64), np.zeros(count, np.int64)
        rows = np.arange(count)
        number = text.astype(np.int64) - self.first
        there = (number >= 0) & (number < 2 * self.kinds)
        for i in range(columns):
            opens = there[:, i] & (number[:, i] % 2 == 0)
            top = stack[rows, np.maximum(height - 1, 0)]
            fits = there[:, i] & ~opens & (height > 0) & (number[rows, top] + 1 == number[:, i])
            partner[fits, i] = top[fits]
            partner[rows[fits], top[fits]] = i
            stack[rows[opens], height[opens]] = i
            height += opens.astype(np.int64) - fits
        return partner

    def balanced(self, text: Tokens) -> Mask:
        """(N,) whether all brackets have a partner; other cells are PAD."""
        return ((self.partners(text) >= 0) | (text == PAD)).all(axis=1)

    def spoil(self, text: Tokens, lengths: Lengths, rng: np.random.Generator) -> Tokens:
        """One bracket of each string replaced by another."""
        place = rng.integers(0, lengths)
        rows = np.arange(len(text))
        more = rng.integers(1, 2 * self.kinds, len(text))
        spoilt = text.copy()
        spoilt[rows, place] = self.first + (text[rows, place] - self.first + more) % (2 * self.kinds)
        return spoilt

    @abstractmethod
    def questions(self, lengths: Lengths, rng: np.random.Generator) -> Tokens: ...


class Repair(Brackets):
    """Exchange one bracket for another, so that all match."""

    name = "repair"
    rows = 2
    first = 2
    rules = (GIVEN_CHANGED, "not balanced", "not one bracket exchanged")

    def signs(self) -> str:
        return PAIRS[: 2 * self.kinds]

    def questions(self, lengths: Lengths, rng: np.random.Generator) -> Tokens:
        text = self.spoil(self.matching(lengths, rng), lengths, rng)
        return np.stack([text, np.where(text == PAD, PAD, BLANK).astype(np.uint8)], axis=1)

    def solve(self, boards: Tokens) -> Tokens:
        """The first cell from the left that can be exchanged, and there the first bracket that does; blanks
        where none does."""
        text = boards[:, 0]
        columns = text.shape[1]
        options = 2 * self.kinds
        tried = np.repeat(text[:, None], columns * options, axis=1)  # (N, columns * options, columns)
        at, token = np.divmod(np.arange(columns * options), options)
        tried[:, np.arange(columns * options), at] = self.first + token
        useful = (tried != text[:, None]).any(axis=2) & (text[:, at] != PAD)
        useful[useful] = self.balanced(tried[useful])
        found, which = useful.any(axis=1), useful.argmax(axis=1)
        answer = boards.copy()
        answer[found, 1] = tried[np.flatnonzero(found), which[found]]
        return answer

    def wrong(self, boards: Tokens, answers: Tokens) -> Mask:
        unbalanced = ~self.balanced(answers[:, 1])
        exchanged = (answers[:, 1] != boards[:, 0]).sum(axis=1)
        return np.stack([unbalanced, ~unbalanced & (exchanged != 1)], axis=1)

    def faulty(self, boards: Tokens, answers: Tokens) -> Mask:
        """The brackets without a partner; where all have one, those that were exchanged."""
        text, there = answers[:, 1], boards[:, 0] != PAD
        alone = (self.partners(text) < 0) & there
        exchanged = (text != boards[:, 0]) & there
        under = np.where(alone.any(axis=1)[:, None], alone, exchanged)
        return np.stack([np.zeros_like(under), under], axis=1)

    def fault(self, board: Tokens) -> tuple[str, int, int] | None:
        if (found := two_rows_fault(board, self.characters, self.tokens, (BLANK,))) is not None:
            return found
        if self.balanced(board[:1])[0]:
            return "the brackets are balanced: there is nothing to repair", 0, 0
        return None

    def complete(self, rows: list[str]) -> list[str]:
        return blank_row_under(rows)


class Balanced(Brackets):
    """Say whether all brackets match."""

    name = "balanced"
    columns_more = 1
    first = 5
    rules = (GIVEN_CHANGED, "wrong verdict")

    def signs(self) -> str:
        return "?yn" + PAIRS[: 2 * self.kinds]

    def unknown(self, tokens: Tokens) -> Mask:
        return tokens == ASK

    def questions(self, lengths: Lengths, rng: np.random.Generator) -> Tokens:
        """Half of them balanced; half with one or two brackets replaced."""
        text = self.matching(lengths, rng)
        once = self.spoil(text, lengths, rng)
        twice = self.spoil(once, lengths, rng)
        kind = rng.integers(0, 4, len(text))[:, None]
        text = np.where(kind == 2, once, np.where(kind == 3, twice, text))
        return np.concatenate([np.full((len(text), 1), ASK), text], axis=1).astype(np.uint8)[:, None]

    def solve(self, boards: Tokens) -> Tokens:
        answer = boards.copy()
        answer[:, 0, 0] = np.where(self.balanced(boards[:, 0, 1:]), YES, NO)
        return answer

    def wrong(self, boards: Tokens, answers: Tokens) -> Mask:
        return (answers[:, 0, 0] != self.solve(boards)[:, 0, 0])[:, None]

    def fault(self, board: Tokens) -> tuple[str, int, int] | None:
        for column, token in enumerate(board[0].tolist()):
            if token not in (self.tokens if column else (ASK,)):
                want = "a bracket" if column else "'?'"
                return f"{self.characters[token]!r} stands where {want} should", 0, column
        return None

    def complete(self, rows: list[str]) -> list[str]:
        return [row if "?" in row else f"?{row}" for row in rows]


class Partner(Brackets):
    """Mark the bracket that belongs to a marked one."""

    name = "partner"
    rows = 2
    first = 4
    rules = (GIVEN_CHANGED, "not one bracket marked", "wrong bracket marked")

    def signs(self) -> str:
        return "-^" + PAIRS[: 2 * self.kinds]

    def questions(self, lengths: Lengths, rng: np.random.Generator) -> Tokens:
        text = self.matching(lengths, rng)
        under = np.where(text == PAD, PAD, BLANK).astype(np.uint8)
        under[np.arange(len(text)), rng.integers(0, lengths)] = MARK
        return np.stack([text, under], axis=1)

    def solve(self, boards: Tokens) -> Tokens:
        answer = boards.copy()
        marked = (boards[:, 1] == MARK).argmax(axis=1)
        rows = np.arange(len(boards))
        answer[:, 1] = np.where(boards[:, 1] == BLANK, OTHER, boards[:, 1])
        answer[rows, 1, self.partners(boards[:, 0])[rows, marked]] = MARK
        return answer

    def wrong(self, boards: Tokens, answers: Tokens) -> Mask:
        two = (answers[:, 1] == MARK).sum(axis=1) == 2
        others = ((answers[:, 1] == OTHER) | (answers[:, 1] == MARK) | (boards[:, 1] == PAD)).all(axis=1)
        right = (answers[:, 1] == self.solve(boards)[:, 1]).all(axis=1)
        sound = two & others
        return np.stack([~sound, sound & ~right], axis=1)

    def fault(self, board: Tokens) -> tuple[str, int, int] | None:
        if (found := two_rows_fault(board, self.characters, self.tokens, (BLANK, MARK))) is not None:
            return found
        marks = np.flatnonzero(board[1] == MARK).tolist()
        if len(marks) != 1:
            return f"{len(marks) or 'no'} brackets are marked with '^', not one", 1, marks[1] if marks else 0
        if not self.balanced(board[:1])[0]:
            alone = int(np.flatnonzero(self.partners(board[:1])[0] < 0)[0])
            return "the brackets are not balanced", 0, alone
        return None

    def complete(self, rows: list[str]) -> list[str]:
        return rows
