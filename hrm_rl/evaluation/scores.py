"""How well a model answers puzzles it has not seen, and how long it thinks about them.

Legend: N puzzles, L tokens, K segments.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from envs import PAD, PuzzleBatch
from envs.task import PuzzleTask
from hrm_rl.agents.act.answers import exact
from hrm_rl.agents.act.engine import think
from hrm_rl.agents.act.solver import Solver
from hrm_rl.agents.act.stopping import Stopping
from hrm_rl.agents.text.reading import Read, read_tokens

AT_ONCE = 4096
"""Puzzles of a part: so many have an `Evaluation` at a time."""


@dataclass
class Evaluation:
    """One entry per puzzle, in the order given."""

    level: NDArray[np.int64]
    """(N,) index into the task's levels, or NO_LEVEL."""
    segments: NDArray[np.int64]
    """(N,) segments after which the answer was handed in."""
    exact: NDArray[np.bool_]
    """(N,) the answer equals the solution wherever that has a label."""
    solved: NDArray[np.bool_]
    """(N,) the answer is right by the task's rule."""
    cells: NDArray[np.int64]
    """(N,) labelled cells."""
    cells_right: NDArray[np.int64]
    """(N,) labelled cells answered right."""
    exact_after: NDArray[np.bool_]
    """(N, K) whether the answer held after each segment is exact. An answer that was handed in is held to the
    end of the budget, unless the model was made to think on."""
    answer: NDArray[np.uint8]
    """(N, L)"""
    q: NDArray[np.float32]
    """(N, 2) Q-values of halt and continue at the end."""
    change: NDArray[np.float32]
    """(N,) how far the last segment moved the state, relative to its length."""
    forced: NDArray[np.bool_]
    """(N,) whether nothing but the end of the budget stopped it."""
    depths: NDArray[np.int64]
    """(M,) the numbers of segments of `solved_after`, in order."""
    solved_after: NDArray[np.bool_]
    """(N, M) whether the answer held after so many segments is right by the task's rule."""
    measures: NDArray[np.float64]
    """(N, M) the task's measures of the answer, NaN where one does not apply."""

    @staticmethod
    def empty(
        puzzles: int, tokens: int, budget: int, measures: int = 0, depths: Sequence[int] = ()
    ) -> Evaluation:
        return Evaluation(
            level=np.zeros(puzzles, np.int64),
            segments=np.zeros(puzzles, np.int64),
            exact=np.zeros(puzzles, np.bool_),
            solved=np.zeros(puzzles, np.bool_),
            cells=np.zeros(puzzles, np.int64),
            cells_right=np.zeros(puzzles, np.int64),
            exact_after=np.zeros((puzzles, budget), np.bool_),
            answer=np.zeros((puzzles, tokens), np.uint8),
            q=np.zeros((puzzles, 2), np.float32),
            change=np.zeros(puzzles, np.float32),
            forced=np.zeros(puzzles, np.bool_),
            depths=np.array(depths, np.int64),
            solved_after=np.zeros((puzzles, len(depths)), np.bool_),
            measures=np.full((puzzles, measures), np.nan),
        )

    def judge(self, task: PuzzleTask, puzzles: PuzzleBatch) -> None:
        """Fill in what follows from the answers."""
        labelled = puzzles.solution != PAD
        self.level[:] = puzzles.level
        self.exact = exact(self.answer, puzzles.solution)
        self.solved = task.right(puzzles.inputs, self.answer, puzzles.solution)
        self.cells = labelled.sum(-1)
        self.cells_right = ((self.answer == puzzles.solution) & labelled).sum(-1)
        self.measures = task.measure(puzzles.inputs, self.answer)

    def hold(self) -> None:
        """Let `exact_after` and `solved_after` be those of the answer that was handed in, from its segment
        on."""
        behind = np.arange(1, self.exact_after.shape[1] + 1) >= self.segments[:, None]
        self.exact_after |= behind & self.exact[:, None]
        self.solved_after |= (self.depths >= self.segments[:, None]) & self.solved[:, None]

    def sums(self, levels: int) -> NDArray[np.float64]:
        """(levels + 1, C) sums over the puzzles of each level, the last row for puzzles of no
        level. Sums of several workers add up."""
        return self.sums_by(self.level, levels + 1)  # NO_LEVEL = -1 is the last row

    def sums_by(self, group: NDArray[np.int64], groups: int) -> NDArray[np.float64]:
        """(groups, C) sums over the puzzles of each group (N,): puzzles, exact, solved, cells,
        cells_right, segments, each of M measures where it applies, where each applies, and K
        columns of exact_after. C = 6 + 2M + K."""
        columns = [
            np.ones(len(self.level)),
            self.exact,
            self.solved,
            self.cells,
            self.cells_right,
            self.segments,
        ]
        applies = ~np.isnan(self.measures)
        measured = np.where(applies, self.measures, 0.0)
        table = np.concatenate([np.stack(columns, axis=1), measured, applies, self.exact_after], axis=1)
        sums = np.zeros((groups, table.shape[1]))
        np.add.at(sums, group, table)
        return sums


def evaluate(
    solver: Solver,
    puzzles: PuzzleBatch,
    stopping: Stopping,
    think_on: bool = False,
    batch_size: int = 256,
    progress: Callable[[int], None] = lambda done: None,
    depths: Sequence[int] = (),
) -> Evaluation:
    """Answer all puzzles without exploration.

    stopping: when each puzzle has been thought about enough.
    think_on: continue after that for `exact_after` alone, which then is that of a fixed budget.
    batch_size: puzzles thought about at once.
    progress: called with the number of puzzles done, whenever it changes.
    depths: numbers of segments, in order, after which the rule is to judge the answers held then.
    Of a text, every token that has a successor counts as a puzzle (hrm_rl/agents/text/reading.py).
    """
    task, tokens = solver.task, puzzles.inputs.shape[1]
    if task.next_token:
        read = read_tokens(solver, puzzles, stopping, progress=progress)
        return _of_tokens(read, stopping.budget, think_on, depths)
    result = Evaluation.empty(len(puzzles), tokens, stopping.budget, len(task.measures), depths)
    run = replace(stopping, halting="fixed") if think_on else stopping
    done = 0
    for thoughts in think(solver, [puzzles], run, batch_size):
        n = thoughts.index
        result.exact_after[n, thoughts.segment - 1] = exact(thoughts.answer, puzzles.solution[n])
        judged = thoughts.take(np.isin(thoughts.segment, result.depths))
        if len(judged.index):
            column = np.searchsorted(result.depths, judged.segment)
            solution = puzzles.solution[judged.index]
            result.solved_after[judged.index, column] = task.right(judged.inputs, judged.answer, solution)
        halts = thoughts.done if not think_on else thoughts.done | stopping.stops(thoughts, solver)
        first = thoughts.take(halts & (result.segments[n] == 0))
        result.segments[first.index] = first.segment
        result.answer[first.index] = first.answer
        result.q[first.index] = first.q
        result.change[first.index] = first.change
        result.forced[first.index] = ~stopping.stops(first, solver)
        if thoughts.done.any():
            done += int(thoughts.done.sum())
            progress(done)
    result.judge(task, puzzles)
    if not think_on:  # hold the answer that was handed in to the end of the budget
        result.hold()
    return result


def _of_tokens(read: Read, budget: int, think_on: bool, depths: Sequence[int]) -> Evaluation:
    """What a model made of a text, as an evaluation with a row for each token."""
    spent, tokens = read.spent, np.arange(len(read.level))
    last = spent - 1
    result = Evaluation.empty(len(tokens), 1, budget, 1, depths)
    result.level, result.segments = read.level, spent
    result.exact = result.solved = read.right[last, tokens]
    result.cells, result.cells_right = np.ones_like(spent), result.exact.astype(np.int64)
    result.answer, result.q = read.answer[last, tokens][:, None], read.q[last, tokens]
    result.change, result.forced = read.change[last, tokens], ~read.stopped
    result.measures = read.bits[last, tokens][:, None]
    for after, depth in (
        (result.exact_after, np.arange(1, budget + 1)),
        (result.solved_after, result.depths),
    ):
        handed_in = (depth >= spent[:, None]) & np.bool_(not think_on)
        after[:] = np.where(handed_in, result.exact[:, None], read.right[depth - 1].T)
    return result


def sums_of_parts(
    puzzles: PuzzleBatch, levels: int, rank: int, world_size: int, judge: Callable[[PuzzleBatch], Evaluation]
) -> NDArray[np.float64]:
    """`Evaluation.sums` over one worker's share of the puzzles, which are judged a part at a time, so that
    memory does not grow with their number."""
    step = world_size * AT_ONCE
    starts = range(rank, max(len(puzzles), rank + 1), step)  # one part, if only an empty one
    parts = (puzzles.take(slice(start, start + step, world_size)) for start in starts)
    found: NDArray[np.float64] = np.sum([judge(part).sums(levels) for part in parts], axis=0)
    return found
