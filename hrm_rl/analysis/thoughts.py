"""Letting a model think to the end of a budget, and keeping what it says after each segment.

Legend: N puzzles, L tokens, K segments.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from envs import PAD, PuzzleBatch
from envs.puzzle import Tokens
from envs.task import PuzzleTask
from hrm_rl.agents.act.segments import Segment


@dataclass(frozen=True)
class Thoughts:
    """What a model says to N puzzles after each of K segments. It never stops; where it
    would have is `halted`."""

    answers: Tokens
    """(K, N, L)"""
    q: NDArray[np.float32]
    """(K, N, 2) logits of halt and continue."""
    wants: NDArray[np.bool_]
    """(K, N) whether it would halt after this segment."""
    solved: NDArray[np.bool_]
    """(K, N) whether the answer is right by the task's rule."""
    exact: NDArray[np.bool_]
    """(K, N) whether the answer equals the solution wherever that has a label."""
    trained_budget: int
    """The budget in training, which may be less than K."""

    @staticmethod
    def of(seen: list[Segment], task: PuzzleTask, puzzles: PuzzleBatch, trained_budget: int) -> Thoughts:
        answers = np.stack([segment.answer for segment in seen])
        labelled = puzzles.solution != PAD
        return Thoughts(
            answers=answers,
            q=np.stack([segment.q for segment in seen]),
            wants=np.stack([segment.wants_to_halt for segment in seen]),
            solved=np.stack([task.solved(puzzles.inputs, answer) for answer in answers]),
            exact=((answers == puzzles.solution) | ~labelled).all(-1),
            trained_budget=trained_budget,
        )

    @property
    def budget(self) -> int:
        """K."""
        return len(self.answers)

    def halted(self, budget: int) -> NDArray[np.int64]:
        """(N,) the segment after which the model halts, or `budget`, which must be at most K."""
        wants = self.wants[:budget]
        return np.where(wants.any(axis=0), wants.argmax(axis=0) + 1, budget).astype(np.int64)

    def at(self, values: NDArray, segment: NDArray[np.int64]) -> NDArray:
        """The rows of `values` (K, N, ...) after the given segment (N,) of each puzzle: (N, ...)."""
        return values[segment - 1, np.arange(len(segment))]
