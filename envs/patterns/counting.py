"""a^n b^n and a^n b^n c^n: does a string belong, or can it be completed to one that does?

    ?aaab....   ->   yaaabbb--

The first cell is the verdict. Where it is y, the blanks hold the rest of a string a^n b^n, n >= 1, and `-`
behind it. Where what is given cannot be the beginning of one that fits, it is n, and the blanks hold `-`.
Several completions may be right: of `aa......`, aabb, aaabbb and aaaabbbb. The label is the shortest.

Legend: N strings, W columns (1 + length), k letters.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from envs.patterns.pattern import BLANK, GIVEN_CHANGED, Lengths, Mask, Pattern
from envs.puzzle import PAD, Tokens

ASK, YES, NO, END, A = 2, 3, 4, 5, 6
"""The verdict that is asked for, its two values, the end mark, and the first letter."""

MEMBERS = 0.3
"""Share of the questions without a blank, where their length allows one."""


class Counting(Pattern):
    """a^n b^n ... with k letters."""

    columns_more = 1
    rules = (GIVEN_CHANGED, "wrong verdict", "blanks filled wrongly")
    letters: ClassVar[str]

    def signs(self) -> str:
        return "?yn-" + self.letters

    @property
    def k(self) -> int:
        return len(self.letters)

    def unknown(self, tokens: Tokens) -> Mask:
        return (tokens == BLANK) | (tokens == ASK)

    def questions(self, lengths: Lengths, rng: np.random.Generator) -> Tokens:
        """Half of them the beginning of a string that fits, or all of it; of the others, a quarter have too
        little room, a quarter too many of a later letter, a quarter one letter exchanged, and a quarter
        letters at random. Some of these can be completed all the same."""
        k, count = self.k, len(lengths)
        most = np.maximum(lengths // k, 1)
        n = rng.integers(1, most + 1)
        cut = rng.integers(1, k * n + 1)
        member = (rng.random(count) < MEMBERS) & (lengths % k == 0)
        n, cut = np.where(member, most, n), np.where(member, lengths, cut)
        kind = rng.integers(0, 8, count)  # 0 too little room, 1 too many, 2 exchanged, 3 random, else sound
        large = rng.integers(most + 1, np.maximum(lengths, most + 1) + 1)
        n = np.where(kind == 0, large, n)
        cut = np.where(kind == 0, rng.integers(1, np.minimum(lengths, k * n) + 1), cut)
        runs = np.clip(cut[:, None] - np.arange(k) * n[:, None], 0, n[:, None])  # (N, k)
        later = rng.integers(1, k, count)
        runs[np.arange(count), later] += np.where(kind == 1, rng.integers(1, 3, count), 0)
        # a whole string with one a too few: as long as a member, and no member
        swapped = (kind == 1) & member & (runs[:, 0] > 1)
        runs[:, 0] -= swapped
        size = np.minimum(runs.sum(axis=1), lengths)
        at = np.arange(int(lengths.max()))
        letter = (at >= np.cumsum(runs, axis=1)[:, :, None]).sum(axis=1)  # (N, W - 1), k behind the runs
        place = rng.integers(0, size)
        spoilt = (kind == 2)[:, None] & (at == place[:, None])
        letter = np.where(spoilt, (letter + later[:, None]) % k, letter)
        letter = np.where((kind == 3)[:, None], rng.integers(0, k, letter.shape), letter)
        tokens = np.where(at < size[:, None], A + np.minimum(letter, k - 1), BLANK)
        tokens = np.where(at < lengths[:, None], tokens, PAD)
        asks = np.full((count, 1), ASK)
        return np.concatenate([asks, tokens], axis=1).astype(np.uint8)[:, None]

    def shortest(self, boards: Tokens) -> NDArray[np.int64]:
        """(N,) the least n with which each question can be completed; 0 where none can."""
        text = boards[:, 0, 1:]
        lengths = self.lengths_of(boards)
        n = (text == A).sum(axis=1)
        runs = np.stack([(text == A + j).sum(axis=1) for j in range(self.k)], axis=1)
        size = runs.sum(axis=1)
        given = np.arange(text.shape[1]) < size[:, None]
        fits = (~given | (text == self._string(n, text.shape[1]))).all(axis=1)
        found: NDArray[np.int64] = np.where(fits & (n > 0) & (self.k * n <= lengths), n, 0)
        return found

    def _string(self, n: Lengths, columns: int) -> Tokens:
        """(N, columns) a^n b^n ... and end marks."""
        letter = np.arange(columns) // np.maximum(n, 1)[:, None]
        return np.where((letter < self.k) & (n > 0)[:, None], A + letter, END).astype(np.uint8)

    def solve(self, boards: Tokens) -> Tokens:
        n = self.shortest(boards)
        answer = np.where(boards == BLANK, self._string(n, boards.shape[2] - 1)[:, None, :1], boards)
        answer[:, 0, 1:] = np.where(
            boards[:, 0, 1:] == BLANK, self._string(n, boards.shape[2] - 1), boards[:, 0, 1:]
        )
        answer[:, 0, 0] = np.where(n > 0, YES, NO)
        return answer

    def wrong(self, boards: Tokens, answers: Tokens) -> Mask:
        can = self.shortest(boards) > 0
        verdict = answers[:, 0, 0] == np.where(can, YES, NO)
        text, blank = answers[:, 0, 1:], boards[:, 0, 1:] == BLANK
        n = np.where(can, (text == A).sum(axis=1), 0)
        there = boards[:, 0, 1:] != PAD
        whole = self._string(n, text.shape[1])
        fits = self.k * n <= self.lengths_of(boards)
        filled = np.where(can, ((text == whole) | ~there).all(axis=1) & fits, ((text == END) | ~blank).all(1))
        return np.stack([~verdict, verdict & ~filled], axis=1)

    def fault(self, board: Tokens) -> tuple[str, int, int] | None:
        row = board[0]
        if row[0] != ASK:
            return "the first cell must be ?", 0, 0
        given = (row[1:] >= A).tolist()
        for column, token in enumerate(row[1:].tolist(), 1):
            if token < A and token != BLANK:
                return f"{self.characters[token]!r} stands in a question", 0, column
            if token >= A and not all(given[:column]):
                return "a letter stands behind a blank", 0, column
        return None if given[0] else ("a question has at least one letter", 0, 1)

    def complete(self, rows: list[str]) -> list[str]:
        return [row if "?" in row else f"?{row}" for row in rows]


class AnBn(Counting):
    name = "anbn"
    letters = "ab"


class AnBnCn(Counting):
    name = "anbncn"
    letters = "abc"
