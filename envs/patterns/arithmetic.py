"""Addition, as on paper: two numbers, one under the other, and blanks for their sum.

    019     019
    073  -> 073
    ...     092

A string of length n has numbers of n digits, with a column before them for what is carried.

Legend: N strings, W columns (1 + length).
"""

from __future__ import annotations

import numpy as np

from envs.patterns.pattern import BLANK, GIVEN_CHANGED, Lengths, Mask, Pattern
from envs.puzzle import PAD, Tokens

ZERO = 2
DIGITS = "0123456789"


class Addition(Pattern):
    name = "addition"
    rows = 3
    columns_more = 1
    kinds_range = (2, 10, 10)
    rules = (GIVEN_CHANGED, "wrong sum")
    swaps_rows = True

    def signs(self) -> str:
        return DIGITS[: self.kinds]

    def questions(self, lengths: Lengths, rng: np.random.Generator) -> Tokens:
        """Digits at random; in half of the questions many columns carry, since their digits add up to one
        less than the base, where a carry runs through."""
        count, columns = len(lengths), self.width(int(lengths.max()))
        digits = rng.integers(0, self.kinds, (count, 2, columns))
        chain = (rng.random((count, 1)) < 0.5) & (rng.random((count, columns)) < 0.7)
        digits[:, 1] = np.where(chain, self.kinds - 1 - digits[:, 0], digits[:, 1])
        digits[:, :, 0] = 0
        boards = np.concatenate([digits + ZERO, np.full((count, 1, columns), BLANK)], axis=1)
        there = np.arange(columns) < self.width(0) + lengths[:, None, None]
        return np.where(there, boards, PAD).astype(np.uint8)

    def solve(self, boards: Tokens) -> Tokens:
        answer = boards.copy()
        there = boards[:, 0] != PAD
        total = np.where(there, boards[:, 0].astype(np.int64) + boards[:, 1] - 2 * ZERO, 0)
        carry = np.zeros(len(boards), np.int64)
        for column in reversed(range(boards.shape[2])):
            total[:, column] += carry
            carry = total[:, column] // self.kinds
        answer[:, 2] = np.where(there, ZERO + total % self.kinds, PAD)
        return answer

    def wrong(self, boards: Tokens, answers: Tokens) -> Mask:
        return (answers[:, 2] != self.solve(boards)[:, 2]).any(axis=1)[:, None]

    def fault(self, board: Tokens) -> tuple[str, int, int] | None:
        for row in range(3):
            for column, token in enumerate(board[row].tolist()):
                if (token == BLANK) != (row == 2):
                    want = "a digit" if row < 2 else "a blank"
                    return f"{self.characters[token]!r} stands where {want} should", row, column
        for row in (0, 1):
            if board[row, 0] != ZERO:
                return "the first column must be 0, for what is carried", row, 0
        return None

    def complete(self, rows: list[str]) -> list[str]:
        """`9+73` is two numbers; they are filled up with zeros to the same length, and one more."""
        if len(rows) == 1 and "+" in rows[0]:
            rows = rows[0].split("+")
            columns = max(map(len, rows)) + 1
            rows = [row.rjust(columns, "0") for row in rows]
        return [*rows, "." * len(rows[0])] if len(rows) == 2 else rows
