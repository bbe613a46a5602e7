"""Votes on test grids as answers to the puzzles that asked about them, beside the single pass.

Legend: N puzzles, L tokens.
"""

from __future__ import annotations

import numpy as np

from envs import PuzzleBatch
from hrm_rl.evaluation.arc.questions import NOBODY, as_answer, questions_of
from hrm_rl.evaluation.arc.report import ArcReport
from hrm_rl.evaluation.scores import Evaluation
from hrm_rl.evaluation.votes import MultiPass


def passes_of(report: ArcReport, puzzles: PuzzleBatch, single: Evaluation) -> dict[str, MultiPass]:
    """The answer with most votes to each of the puzzles that a report is of, at each number of forms but one.
    single: whose answer stands where there is no other."""
    roster, numbers = report.roster, questions_of(report.roster, puzzles)[1]
    found: dict[str, MultiPass] = {}
    for at, forms in enumerate(report.sizes):
        if forms == 1:
            continue
        answer, segments = single.answer.copy(), single.segments.copy()
        asked = np.ones(len(puzzles), np.int64)
        for row in np.flatnonzero(numbers != NOBODY).tolist():
            one = report.votes[numbers[row]]
            segments[row], asked[row], best = one.segments[at], one.asked[at], one.best[at]
            named = roster.find(int(puzzles.identifier[row]))
            if best is not None and named is not None:
                answer[row] = as_answer(roster.task.size, puzzles.inputs[row], named[1], best)
        found[f"vote of {forms}"] = MultiPass.of(roster.task, puzzles, answer, segments, asked, "vote")
    return found
