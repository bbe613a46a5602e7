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

from hrm_rl.agents.act.stopping import WITH_THRESHOLD, Halting, Stopping
from hrm_rl.evaluation.recording import Recording


@dataclass(frozen=True)
class Point:
    """One stopping rule on the curve of accuracy against cost."""

    halting: str
    budget: int
    threshold: float | None
    """Of adaptive halting, of the change of the state or of the entropy of the answer."""
    segments_mean: float
    exact_accuracy: float
    solved: float
    fixed_exact_accuracy: float
    """What a fixed budget has at the same cost: between two whole numbers of segments, what giving some
    puzzles the one and the others the other number has on average."""
    fixed_solved: float


CHANGES = (0.3, 0.2, 0.1, 0.05, 0.02, 0.01)
"""Thresholds that are tried on the change of the state."""
ENTROPIES = (0.3, 0.1, 0.03, 0.01, 0.003, 0.001)
"""Thresholds that are tried on the entropy of the answer."""


def curve(
    recording: Recording, stopping: Stopping, budgets: Sequence[int], thresholds: Sequence[float]
) -> list[Point]:
    """Fixed budgets; adaptive halting with every threshold and budget; the change of the state and the
    entropy of the answer with theirs; and agreement with every budget. stopping: gives all else."""
    rules = [replace(stopping, halting="fixed", budget=k) for k in fixed_budgets(budgets)]
    tried: tuple[tuple[Halting, Sequence[float]], ...] = (
        ("adaptive", thresholds), ("fixed_point", CHANGES), ("entropy", ENTROPIES)
    )  # fmt: skip
    for halting, values in tried:
        rules += [replace(stopping, halting=halting, budget=k, threshold=t) for k in budgets for t in values]
    rules += [replace(stopping, halting="agree", budget=k) for k in budgets]
    return [_point(recording, rule) for rule in rules]


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
        rule.threshold if rule.halting in WITH_THRESHOLD else None,
        mean,
        float(recording.at(recording.exact, segments).mean()),
        float(recording.at(recording.solved, segments).mean()),
        float(np.interp(mean, spent, recording.exact.mean(axis=1))),
        float(np.interp(mean, spent, recording.solved.mean(axis=1))),
    )
