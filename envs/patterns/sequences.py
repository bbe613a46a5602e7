"""Copy, reverse and sort, `cab=...`, and the parity of bits, `0110/....`.

Copy, reverse and sort stand in one row: the string, `=`, and as many blanks. Parity has two rows: the bits,
and under each a blank for the parity of the bits up to it, so that the last is that of all.

Legend: N strings, R rows, W columns.
"""

from __future__ import annotations

from abc import abstractmethod

import numpy as np

from envs.patterns.pattern import BLANK, GIVEN_CHANGED, Lengths, Mask, Pattern
from envs.puzzle import PAD, Tokens

EQUALS, FIRST = 2, 3
"""What stands between a string and its answer, and the first symbol."""
ZERO, ONE = 2, 3
SYMBOLS = "abcdefghijklmnopqrstuvwxyz"


class Rearranging(Pattern):
    """The symbols of a string in another order."""

    columns_more = 1
    columns_each = 2
    kinds_range = (2, 26, 10)

    def signs(self) -> str:
        return "=" + SYMBOLS[: self.kinds]

    def questions(self, lengths: Lengths, rng: np.random.Generator) -> Tokens:
        text = rng.integers(FIRST, FIRST + self.kinds, (len(lengths), int(lengths.max())), dtype=np.uint8)
        return self._rows(text, lengths, np.full_like(text, BLANK))

    @abstractmethod
    def rearranged(self, text: Tokens, lengths: Lengths) -> Tokens:
        """(N, W) the answer to strings (N, W) with PAD behind them."""

    def solve(self, boards: Tokens) -> Tokens:
        text, lengths = self._text(boards)
        return self._rows(text, lengths, self.rearranged(text, lengths), boards.shape[2])

    def wrong(self, boards: Tokens, answers: Tokens) -> Mask:
        return (answers != self.solve(boards)).any(axis=(1, 2))[:, None]

    def fault(self, board: Tokens) -> tuple[str, int, int] | None:
        row, middle = board[0], board.shape[1] // 2
        for column, token in enumerate(row.tolist()):
            right = token >= FIRST if column < middle else token == (EQUALS if column == middle else BLANK)
            if not right:
                want = "a letter" if column < middle else repr("=" if column == middle else ".")
                return f"{self.characters[token]!r} stands where {want} should", 0, column
        return None

    def complete(self, rows: list[str]) -> list[str]:
        return [row if "=" in row else f"{row}={'.' * len(row)}" for row in rows]

    def _text(self, boards: Tokens) -> tuple[Tokens, Lengths]:
        """The strings (N, W // 2), PAD behind them, and their lengths."""
        lengths = self.lengths_of(boards)
        half = boards[:, 0, : boards.shape[2] // 2]
        return np.where(np.arange(half.shape[1]) < lengths[:, None], half, PAD).astype(np.uint8), lengths

    def _rows(self, text: Tokens, lengths: Lengths, answer: Tokens, columns: int = 0) -> Tokens:
        """(N, 1, W) strings, `=` and answers, each (N, W // 2) and valid up to its length."""
        columns = columns or self.width(int(lengths.max()))
        at, n = np.arange(columns), lengths[:, None]
        behind = np.clip(at - n - 1, 0, text.shape[1] - 1)
        row = np.where(at < n, text[:, np.minimum(at, text.shape[1] - 1)], EQUALS)
        row = np.where(at > n, np.take_along_axis(answer, behind, axis=1), row)
        return np.where(at <= 2 * n, row, PAD).astype(np.uint8)[:, None]


class Copy(Rearranging):
    name = "copy"
    rules = (GIVEN_CHANGED, "not the string again")

    def rearranged(self, text: Tokens, lengths: Lengths) -> Tokens:
        return text

    def symbols(self) -> tuple[tuple[int, ...], ...]:
        return tuple((FIRST + i,) for i in range(self.kinds))


class Reverse(Copy):
    name = "reverse"
    rules = (GIVEN_CHANGED, "not the string backwards")

    def rearranged(self, text: Tokens, lengths: Lengths) -> Tokens:
        back = np.maximum(lengths[:, None] - 1 - np.arange(text.shape[1]), 0)
        return np.take_along_axis(text, back, axis=1)


class Sort(Rearranging):
    name = "sort"
    rules = (GIVEN_CHANGED, "not in order", "other symbols than given")

    def rearranged(self, text: Tokens, lengths: Lengths) -> Tokens:
        last = np.where(text == PAD, 255, text)  # padding behind all
        found: Tokens = np.sort(last, axis=1).astype(np.uint8)
        return found

    def wrong(self, boards: Tokens, answers: Tokens) -> Mask:
        lengths = self.lengths_of(boards)[:, None]
        at = np.arange(boards.shape[2])
        row = answers[:, 0].astype(np.int64)
        inside = (at > lengths + 1) & (at <= 2 * lengths)
        falls = (np.diff(row, axis=1, prepend=0) < 0) & inside
        theirs, ours = (np.sort(np.where(at > lengths, r, 0)) for r in (row, self.solve(boards)[:, 0]))
        return np.stack([falls.any(axis=1), (theirs != ours).any(axis=1)], axis=1)


class Parity(Pattern):
    name = "parity"
    rows = 2
    rules = (GIVEN_CHANGED, "wrong parity")

    def signs(self) -> str:
        return "01"

    def questions(self, lengths: Lengths, rng: np.random.Generator) -> Tokens:
        columns = int(lengths.max())
        bits = rng.integers(ZERO, ONE + 1, (len(lengths), columns), dtype=np.uint8)
        boards = np.stack([bits, np.full_like(bits, BLANK)], axis=1)
        return np.where(np.arange(columns) < lengths[:, None, None], boards, PAD).astype(np.uint8)

    def solve(self, boards: Tokens) -> Tokens:
        answer = boards.copy()
        parity = ZERO + np.cumsum(boards[:, 0] == ONE, axis=1) % 2
        answer[:, 1] = np.where(boards[:, 0] == PAD, PAD, parity)
        return answer

    def wrong(self, boards: Tokens, answers: Tokens) -> Mask:
        return (answers[:, 1] != self.solve(boards)[:, 1]).any(axis=1)[:, None]

    def fault(self, board: Tokens) -> tuple[str, int, int] | None:
        return two_rows_fault(board, self.characters, (ZERO, ONE), (BLANK,))

    def complete(self, rows: list[str]) -> list[str]:
        return blank_row_under(rows)


def two_rows_fault(
    board: Tokens, characters: str, above: tuple[int, ...], under: tuple[int, ...]
) -> tuple[str, int, int] | None:
    """What is wrong with a question of two rows that may hold these tokens."""
    for row, allowed in enumerate((above, under)):
        for column, token in enumerate(board[row].tolist()):
            if token not in allowed:
                shown = "".join(characters[t] for t in allowed)
                return f"{characters[token]!r} stands where one of '{shown}' should", row, column
    return None


def blank_row_under(rows: list[str]) -> list[str]:
    """A row alone, and a row of blanks under it."""
    return [*rows, "." * len(rows[0])] if len(rows) == 1 else rows
