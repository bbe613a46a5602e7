"""Which cells a search agent fills in next, and with what: its assumptions.

Legend: B slots, L tokens, V vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from envs import PuzzleTask
from envs.puzzle import Tokens


@dataclass(frozen=True)
class Branching:
    """How a search agent assumes."""

    share: float = 0.1
    """Share of a board's blanks that it fills in at once, those it is surest of; at least one."""
    every: int = 2
    """Segments that it thinks between assumptions; 0 for none at all."""
    temperature: float = 0.7
    """Of the digits that it draws when it has started over. The first chain takes the likeliest ones."""

    def due(self, age: NDArray[np.int64]) -> NDArray[np.bool_]:
        """(B,) whether to assume after so many segments (B,) of a start."""
        return (age % self.every == 0) if self.every else np.zeros(len(age), np.bool_)

    def assumptions(
        self,
        task: PuzzleTask,
        board: Tokens,
        probabilities: NDArray[np.float32],
        sampled: NDArray[np.bool_],
        uniform: NDArray[np.float64],
    ) -> Tokens:
        """(B, L) what to write into each board, 0 where nothing.

        board: (B, L) as it stands.  probabilities: (B, L, V) of the answer's tokens.  sampled: (B,) whether
        digits are drawn at the temperature; if not, the likeliest is taken.  uniform: (B, L) numbers in
        [0, 1) that decide the draws.
        """
        allowed = np.zeros(task.vocab_size, bool)
        allowed[list(task.assumable)] = True
        # A cell whose likeliest token may not be assumed, such as a maze's free cell, is left alone.
        likeliest = probabilities.argmax(axis=-1)
        blank = task.unknown(board) & allowed[likeliest]
        sureness = np.where(blank, probabilities.max(axis=-1), -1.0)
        count = np.ceil(self.share * blank.sum(axis=1)).astype(np.int64)
        order = np.argsort(-sureness, axis=1, kind="stable")
        rank = np.empty_like(order)
        np.put_along_axis(rank, order, np.arange(board.shape[1])[None], axis=1)
        chosen = blank & (rank < count[:, None])

        digits = likeliest
        if sampled.any():
            weights = np.where(allowed, probabilities[sampled], 0.0) ** (1 / self.temperature)
            cumulative = weights.cumsum(axis=-1)
            point = uniform[sampled][..., None] * cumulative[..., -1:]
            # The last token is never passed: rounding could put the point on the sum itself.
            drawn = (cumulative[..., :-1] <= point).sum(axis=-1)
            digits = digits.copy()
            digits[sampled] = np.where(allowed[drawn], drawn, likeliest[sampled])
        return np.where(chosen, digits, 0).astype(np.uint8)
