"""What a model says after each segment of a fixed budget, for stopping rules and for the analysis.

Legend: N puzzles, K segments.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from envs import PuzzleBatch
from hrm_rl.agents.act.answers import exact
from hrm_rl.agents.act.engine import think
from hrm_rl.agents.act.solver import Solver
from hrm_rl.agents.act.stopping import Stopping, StoppingRule, Thoughts
from hrm_rl.agents.text.reading import read_tokens


@dataclass(frozen=True)
class Recording:
    """N puzzles after each of K segments, stopped by nothing but the budget."""

    solver: Solver
    q: NDArray[np.float32]
    """(K, N, 2) Q-values of halt and continue."""
    agreed: NDArray[np.int64]
    """(K, N) segments in a row, up to this one, that gave this answer."""
    change: NDArray[np.float32]
    """(K, N) how far the segment moved the state z_h, relative to its length."""
    entropy: NDArray[np.float32]
    """(K, N) mean entropy of the cells that the puzzle leaves open, in nats."""
    exact: NDArray[np.bool_]
    """(K, N) the answer equals the solution wherever that has a label."""
    solved: NDArray[np.bool_]
    """(K, N) the answer is right by the task's rule."""

    @staticmethod
    def empty(solver: Solver, puzzles: int, budget: int) -> Recording:
        shape = (budget, puzzles)
        return Recording(
            solver,
            q=np.zeros((*shape, 2), np.float32),
            agreed=np.zeros(shape, np.int64),
            change=np.zeros(shape, np.float32),
            entropy=np.zeros(shape, np.float32),
            exact=np.zeros(shape, np.bool_),
            solved=np.zeros(shape, np.bool_),
        )

    @property
    def budget(self) -> int:
        """K."""
        return len(self.q)

    @property
    def wants(self) -> NDArray[np.bool_]:
        """(K, N) whether the model wants to halt after this segment."""
        return self.solver.wants_to_halt(self.q)

    def note(self, thoughts: Thoughts, puzzles: PuzzleBatch) -> None:
        """Take down the outcome of a segment. puzzles: all N."""
        n, k = thoughts.index, thoughts.segment - 1
        self.q[k, n], self.agreed[k, n] = thoughts.q, thoughts.agreed
        self.change[k, n], self.entropy[k, n] = thoughts.change, thoughts.entropy
        self.exact[k, n] = exact(thoughts.answer, puzzles.solution[n])
        self.solved[k, n] = self.solver.task.right(thoughts.inputs, thoughts.answer, puzzles.solution[n])

    def segments(self, stopping: StoppingRule) -> NDArray[np.int64]:
        """(N,) segments after which each puzzle would have stopped. The rule's budget must not exceed K."""
        segments = np.full(self.q.shape[1], stopping.budget)
        for k in reversed(range(1, stopping.budget)):
            segments[stopping.stops(self._thoughts(k), self.solver)] = k
        return segments

    def _thoughts(self, segment: int) -> Thoughts:
        """What the engine would have said after a segment, as far as rules look at it."""
        puzzles = self.q.shape[1]
        board = np.zeros((puzzles, 0), np.uint8)
        return Thoughts(
            index=np.arange(puzzles),
            segment=np.full(puzzles, segment),
            inputs=board,
            answer=board,
            q=self.q[segment - 1],
            agreed=self.agreed[segment - 1],
            change=self.change[segment - 1],
            entropy=self.entropy[segment - 1],
            done=np.zeros(puzzles, np.bool_),
        )

    @staticmethod
    def at(values: NDArray, segment: NDArray[np.int64]) -> NDArray:
        """The rows of `values` (K, N, ...) after the given segment (N,) of each puzzle: (N, ...)."""
        return values[segment - 1, np.arange(len(segment))]


def record(
    solver: Solver,
    puzzles: PuzzleBatch,
    budget: int,
    batch_size: int = 256,
    progress: Callable[[int], None] = lambda done: None,
) -> Recording:
    """Think about all puzzles, or all tokens of a text, for the whole budget. progress: called with the
    number of puzzles done."""
    if solver.task.next_token:
        read = read_tokens(solver, puzzles, Stopping(budget, "fixed"), progress=progress)
        recording = Recording.empty(solver, len(read.level), budget)
        recording.q[:], recording.agreed[:] = read.q, read.agreed
        recording.change[:], recording.entropy[:] = read.change, read.entropy
        recording.exact[:] = recording.solved[:] = read.right
        return recording
    recording, done = Recording.empty(solver, len(puzzles), budget), 0
    for thoughts in think(solver, [puzzles], Stopping(budget, "fixed"), batch_size):
        recording.note(thoughts, puzzles)
        if thoughts.done.any():
            done += int(thoughts.done.sum())
            progress(done)
    return recording
