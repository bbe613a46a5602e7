"""How well a model searches: what is solved within how many segments, and how often it starts over, and why.

Legend: N puzzles, L tokens.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs import PAD, PuzzleBatch
from envs.search import Choice
from hrm_rl.agents.act.solver import Solver
from hrm_rl.agents.search.search import Moves, Search, search
from hrm_rl.evaluation.intervals import Interval, wilson
from hrm_rl.evaluation.scores import Evaluation
from hrm_rl.evaluation.tradeoff import fixed_budgets

Rows = NDArray[np.bool_] | slice
"""Some of the puzzles: a mask (N,), or all."""


@dataclass(frozen=True)
class Within:
    """A point of the anytime curve."""

    segments: int
    solved: float
    """Share of the puzzles that were solved within so many segments."""
    interval: Interval
    """Its 95 % interval (Wilson)."""


@dataclass(frozen=True)
class Effort:
    """What search did for a puzzle on average, over some puzzles."""

    starts: float
    """Fresh starts, of all chains together."""
    contradictions: float
    """Times that it started over because the board contradicted itself."""
    doubts_right: float
    """Times that it gave assumptions up in doubt, when some assumption was wrong by the label."""
    doubts_wrong: float
    """Times that it did so when all assumptions were right."""
    given_up: float
    """Times that it started over before it had assumed anything."""
    abstained: float
    """Share of the puzzles for which nothing was handed in."""
    wrong: int
    """Puzzles for which an answer was handed in that the rule rejects: none, or something is broken."""


@dataclass(frozen=True)
class Searched:
    """One entry per puzzle, in the order given."""

    how: Search
    result: Evaluation
    """Of what was handed in; of a puzzle that was abstained from, the last answer of its first chain."""
    starts: NDArray[np.int64]
    """(N,) as in `Effort`, like those that follow."""
    contradictions: NDArray[np.int64]
    """(N,)"""
    doubts_right: NDArray[np.int64]
    """(N,)"""
    doubts_wrong: NDArray[np.int64]
    """(N,)"""
    given_up: NDArray[np.int64]
    """(N,)"""
    handed_in: NDArray[np.bool_]
    """(N,) whether an answer was."""

    @staticmethod
    def empty(puzzles: int, tokens: int, measures: int, how: Search) -> Searched:
        result = Evaluation.empty(puzzles, tokens, how.budget, measures, fixed_budgets([how.budget]))
        return Searched(
            how,
            result,
            starts=np.zeros(puzzles, np.int64),
            contradictions=np.zeros(puzzles, np.int64),
            doubts_right=np.zeros(puzzles, np.int64),
            doubts_wrong=np.zeros(puzzles, np.int64),
            given_up=np.zeros(puzzles, np.int64),
            handed_in=np.zeros(puzzles, np.bool_),
        )

    def note(self, moves: Moves, puzzles: PuzzleBatch) -> None:
        """Take down the outcome of a segment. puzzles: all N."""
        over = moves.choice == Choice.START_OVER
        broken, assumptions = over & moves.contradicted, (moves.board != moves.inputs).any(axis=1)
        doubted = over & ~broken & assumptions
        mistaken = misled(moves, puzzles.solution[moves.index])
        counts = (
            (self.starts, moves.age == 1),
            (self.contradictions, broken),
            (self.doubts_right, doubted & mistaken),
            (self.doubts_wrong, doubted & ~mistaken),
            (self.given_up, over & ~broken & ~assumptions),
        )
        for count, rows in counts:
            np.add.at(count, moves.index[rows], 1)
        ends = moves.take(moves.done)
        self.result.segments[ends.index] = ends.segment
        self.result.answer[ends.index] = ends.answer
        self.result.q[ends.index] = ends.q
        self.handed_in[ends.index] = ends.choice == Choice.HAND_IN
        self.result.forced[ends.index] = ends.choice != Choice.HAND_IN

    def within(self, rows: Rows = slice(None)) -> list[Within]:
        """The anytime curve of some of the puzzles: 1, 2, 4, ... segments up to the budget."""
        solved = self.result.solved_after[rows]
        counts, puzzles = solved.sum(axis=0).tolist(), len(solved)
        return [
            Within(segments, count / puzzles, wilson(count, puzzles))
            for segments, count in zip(self.result.depths.tolist(), counts, strict=True)
        ]

    def effort(self, rows: Rows = slice(None)) -> Effort:
        """The means over some of the puzzles."""
        return Effort(
            starts=float(self.starts[rows].mean()),
            contradictions=float(self.contradictions[rows].mean()),
            doubts_right=float(self.doubts_right[rows].mean()),
            doubts_wrong=float(self.doubts_wrong[rows].mean()),
            given_up=float(self.given_up[rows].mean()),
            abstained=float((~self.handed_in[rows]).mean()),
            wrong=int((self.handed_in & ~self.result.solved)[rows].sum()),
        )

    def as_dictionary(self, rows: Rows = slice(None)) -> dict[str, Any]:
        """Both, for JSON."""
        return asdict(self.effort(rows)) | {"solved_within": [asdict(point) for point in self.within(rows)]}


def misled(moves: Moves, solution: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """(b,) whether some assumption on a board differs from the label (b, L)."""
    differs = (moves.board != moves.inputs) & (moves.board != solution) & (solution != PAD)
    found: NDArray[np.bool_] = differs.any(axis=1)
    return found


def evaluate_search(
    solver: Solver,
    puzzles: PuzzleBatch,
    how: Search,
    batch_size: int = 256,
    progress: Callable[[int], None] = lambda done: None,
) -> Searched:
    """Search all puzzles. batch_size: slots. progress: called with the number of puzzles done, whenever it
    changes."""
    task = solver.task
    found = Searched.empty(len(puzzles), puzzles.inputs.shape[1], len(task.measures), how)
    done = 0
    for moves in search(solver, [puzzles], how, batch_size):
        found.note(moves, puzzles)
        if moves.done.any():
            done += int(moves.done.sum())
            progress(done)
    found.result.judge(task, puzzles)
    found.result.hold()
    return found
