"""What every stopping rule would have cost and answered, from one long run.

Whether a puzzle stops after a segment follows from its Q-values and answers up to there, and both are
the same whoever else is in the batch (hrm_rl/agents/act/engine.py). So the puzzles are thought about
once, to the largest budget, and all rules are applied to what was noted; a test holds the result to
running each rule for itself, puzzle by puzzle.

Legend: N puzzles, K segments.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from envs import PAD, PuzzleBatch
from envs.task import PuzzleTask
from hrm_rl.agents.act.answers import LossOn
from hrm_rl.agents.act.engine import think
from hrm_rl.agents.act.stopping import Stopping, Thoughts
from hrm_rl.models import RecurrentModel


@dataclass(frozen=True)
class Recording:
    """What was noted of N puzzles after each of K segments."""

    q: NDArray[np.float32]
    """(N, K, 2) Q-values of halt and continue."""
    agreed: NDArray[np.int64]
    """(N, K) segments in a row, up to this one, that gave this answer."""
    exact: NDArray[np.bool_]
    """(N, K) the answer equals the solution wherever that has a label."""
    solved: NDArray[np.bool_]
    """(N, K) the answer is right by the task's rule."""

    def segments(self, stopping: Stopping) -> NDArray[np.int64]:
        """(N,) segments after which each puzzle would have stopped. The rule's budget must not exceed K."""
        puzzles, budget = len(self.q), stopping.budget
        segments = np.full(puzzles, budget)
        for k in reversed(range(1, budget)):
            segments[stopping.stops(self._thoughts(k))] = k
        return segments

    def _thoughts(self, segment: int) -> Thoughts:
        """What the engine would have said after a segment, as far as rules look at it."""
        puzzles, k = len(self.q), segment - 1
        board = np.zeros((puzzles, 0), np.uint8)
        return Thoughts(
            np.arange(puzzles),
            np.full(puzzles, segment),
            board,
            board,
            np.ascontiguousarray(self.q[:, k]),
            self.agreed[:, k],
            np.zeros(puzzles, np.bool_),
        )


def record(
    model: RecurrentModel,
    task: PuzzleTask,
    puzzles: PuzzleBatch,
    budget: int,
    batch_size: int = 256,
    loss_on: LossOn = "all",
    progress: Callable[[int], None] = lambda done: None,
) -> Recording:
    """Think about all puzzles for the whole budget. progress: called with the number of puzzles done."""
    shape = (len(puzzles), budget)
    noted = Recording(
        np.zeros((*shape, 2), np.float32),
        np.zeros(shape, np.int64),
        np.zeros(shape, np.bool_),
        np.zeros(shape, np.bool_),
    )
    labelled, done = puzzles.solution != PAD, 0
    for thoughts in think(model, task, [puzzles], Stopping(budget, "fixed"), batch_size, loss_on):
        n, k = thoughts.index, thoughts.segment - 1
        noted.q[n, k], noted.agreed[n, k] = thoughts.q, thoughts.agreed
        noted.exact[n, k] = ((thoughts.answer == puzzles.solution[n]) | ~labelled[n]).all(axis=1)
        noted.solved[n, k] = task.solved(thoughts.inputs, thoughts.answer)
        if thoughts.done.any():
            done += int(thoughts.done.sum())
            progress(done)
    return noted


@dataclass(frozen=True)
class Point:
    """One stopping rule on the curve of accuracy against cost."""

    halting: str
    budget: int
    threshold: float | None
    """Of adaptive halting."""
    segments_mean: float
    exact_accuracy: float
    solved: float
    fixed_exact_accuracy: float
    """What a fixed budget has at the same cost: between two whole numbers of segments, what giving some
    puzzles the one and the others the other number has on average."""
    fixed_solved: float


def curve(
    noted: Recording, stopping: Stopping, budgets: Sequence[int], thresholds: Sequence[float]
) -> list[Point]:
    """Fixed budgets, adaptive halting with every threshold and budget, and agreement with every budget.
    stopping: gives all else."""
    fixed = [replace(stopping, halting="fixed", budget=k) for k in fixed_budgets(budgets)]
    agree = [replace(stopping, halting="agree", budget=k) for k in budgets]
    adaptive = [
        replace(stopping, halting="adaptive", budget=k, threshold=t) for k in budgets for t in thresholds
    ]
    return [_point(noted, rule) for rule in (*fixed, *adaptive, *agree)]


def fixed_budgets(budgets: Sequence[int]) -> list[int]:
    """1, 2, 4, ... up to the largest budget, and the budgets themselves."""
    powers = {2**i for i in range(max(budgets).bit_length())}
    return sorted(powers | set(budgets))


def _point(noted: Recording, rule: Stopping) -> Point:
    segments = noted.segments(rule)
    at, mean = (np.arange(len(segments)), segments - 1), float(segments.mean())
    spent = np.arange(1, noted.exact.shape[1] + 1)
    return Point(
        rule.halting,
        rule.budget,
        rule.threshold if rule.halting == "adaptive" else None,
        mean,
        float(noted.exact[at].mean()),
        float(noted.solved[at].mean()),
        float(np.interp(mean, spent, noted.exact.mean(axis=0))),
        float(np.interp(mean, spent, noted.solved.mean(axis=0))),
    )
