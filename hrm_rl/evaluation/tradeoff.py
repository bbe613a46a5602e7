"""What every stopping rule would have cost and answered, from one long run.

Whether a puzzle stops after a segment follows from its Q-values and answers up to there, and both are the
same whoever else is in the batch (hrm_rl/agents/act/engine.py). So the puzzles are thought about once, to the
largest budget, and all rules are applied to the recording; a test compares the result with running each rule
for itself, puzzle by puzzle.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from hrm_rl.agents.act.stopping import Stopping
from hrm_rl.evaluation.recording import Recording


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
    recording: Recording, stopping: Stopping, budgets: Sequence[int], thresholds: Sequence[float]
) -> list[Point]:
    """Fixed budgets, adaptive halting with every threshold and budget, and agreement with every budget.
    stopping: gives all else."""
    fixed = [replace(stopping, halting="fixed", budget=k) for k in fixed_budgets(budgets)]
    agree = [replace(stopping, halting="agree", budget=k) for k in budgets]
    adaptive = [
        replace(stopping, halting="adaptive", budget=k, threshold=t) for k in budgets for t in thresholds
    ]
    return [_point(recording, rule) for rule in (*fixed, *adaptive, *agree)]


def fixed_budgets(budgets: Sequence[int]) -> list[int]:
    """1, 2, 4, ... up to the largest budget, and the budgets themselves."""
    powers = {2**i for i in range(max(budgets).bit_length())}
    return sorted(powers | set(budgets))


def _point(recording: Recording, rule: Stopping) -> Point:
    segments = recording.segments(rule)
    mean = float(segments.mean())
    spent = np.arange(1, recording.budget + 1)
    return Point(
        rule.halting,
        rule.budget,
        rule.threshold if rule.halting == "adaptive" else None,
        mean,
        float(recording.at(recording.exact, segments).mean()),
        float(recording.at(recording.solved, segments).mean()),
        float(np.interp(mean, spent, recording.exact.mean(axis=1))),
        float(np.interp(mean, spent, recording.solved.mean(axis=1))),
    )
