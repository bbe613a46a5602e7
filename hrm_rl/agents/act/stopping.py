"""When a puzzle has been thought about enough: the stopping rules and what they look at."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from envs.puzzle import Tokens
from hrm_rl.agents.act.solver import Solver

Halting = Literal["adaptive", "fixed", "agree", "fixed_point", "entropy"]

WITH_THRESHOLD = ("adaptive", "fixed_point", "entropy")
"""Rules that compare something with a threshold."""


@dataclass(frozen=True)
class Thoughts:
    """The outcome of one segment, a row for each slot in use."""

    index: NDArray[np.int64]
    """(b,) which puzzle: its place in the queue."""
    segment: NDArray[np.int64]
    """(b,) segments spent on it so far, this one included."""
    inputs: Tokens
    """(b, L) the puzzle."""
    answer: Tokens
    """(b, L) the answer as it stands."""
    q: NDArray[np.float32]
    """(b, 2) Q-values of halt and continue."""
    agreed: NDArray[np.int64]
    """(b,) segments in a row, up to this one, that gave this answer."""
    change: NDArray[np.float32]
    """(b,) how far this segment moved the state z_h, relative to its length."""
    entropy: NDArray[np.float32]
    """(b,) mean entropy of the cells that the puzzle leaves open, in nats."""
    done: NDArray[np.bool_]
    """(b,) whether this answer is handed in."""

    def take(self, rows: NDArray[np.bool_] | NDArray[np.int64]) -> Thoughts:
        return Thoughts(*(getattr(self, field.name)[rows] for field in fields(self)))

    @staticmethod
    def concatenate(parts: list[Thoughts]) -> Thoughts:
        return Thoughts(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Thoughts)))


class StoppingRule(Protocol):
    """Says when a puzzle has been thought about enough."""

    @property
    def budget(self) -> int:
        """The most segments a puzzle."""

    def stops(self, thoughts: Thoughts, solver: Solver) -> NDArray[np.bool_]:
        """(b,) where to stop before the budget is spent; a function of each row alone. `done` is not yet
        known."""


@dataclass(frozen=True)
class Stopping:
    """The rules that come with this project. All are functions of numbers that a fixed run also gives, so one
    long fixed run tells what every rule would have cost and answered (hrm_rl/evaluation/tradeoff.py)."""

    budget: int
    """The most segments a puzzle, which may be more than in training."""
    halting: Halting = "adaptive"
    """`adaptive` stops where the model wants to halt, `agree` where `patience` answers in a row are the same,
    `fixed_point` where the state has come to rest, `entropy` where the answer is sure, `fixed` only where the
    budget is spent."""
    threshold: float = 0.0
    """With `adaptive`: how far q_halt has to be above q_continue, in logits; with q_target halt_only, above
    0. With `fixed_point` and `entropy`: what the change of the state and the entropy of the answer have to be
    below."""
    min_segments: int = 1
    """Segments before which nothing stops."""
    patience: int = 2
    """With `agree`: how many answers in a row have to be the same."""

    def stops(self, thoughts: Thoughts, solver: Solver) -> NDArray[np.bool_]:
        """(b,) as in `StoppingRule`."""
        if self.halting == "fixed":
            return np.zeros(len(thoughts.segment), np.bool_)
        if self.halting == "agree":
            wants: NDArray[np.bool_] = thoughts.agreed >= self.patience
        elif self.halting == "fixed_point":
            wants = thoughts.change < self.threshold
        elif self.halting == "entropy":
            wants = thoughts.entropy < self.threshold
        else:
            wants = solver.wants_to_halt(thoughts.q, self.threshold)
        return wants & (thoughts.segment >= self.min_segments)
