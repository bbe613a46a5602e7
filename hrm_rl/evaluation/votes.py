"""Asking about a puzzle in other forms: votes over symmetries, and verified retries.

Both cost more than one pass and need a task that offers symmetries (`PuzzleTask.symmetries`); each is
reported as a figure of its own and compared with the single pass.

Legend: N puzzles, L tokens, K forms of a puzzle.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from envs import PuzzleBatch, Symmetries
from envs.puzzle import Tokens
from envs.task import PuzzleTask
from hrm_rl.agents.act.answers import exact
from hrm_rl.agents.act.engine import answers
from hrm_rl.agents.act.solver import Solver
from hrm_rl.agents.act.stopping import StoppingRule
from hrm_rl.evaluation.scores import Evaluation
from hrm_rl.utils.errors import UserError

CHUNK = 1024
"""Puzzles put into other forms at a time."""


@dataclass(frozen=True)
class Asker:
    """A model and how it is run."""

    solver: Solver
    stopping: StoppingRule
    batch_size: int = 256
    progress: Callable[[int], None] = lambda done: None
    """Called with the number of forms answered, whenever it changes."""

    def ask(
        self, puzzles: PuzzleBatch, rng: np.random.Generator
    ) -> tuple[Tokens, NDArray[np.int64], NDArray[np.float32]]:
        """Each puzzle under a random symmetry: the answers (N, L) brought back, the segments (N,) they took
        and the Q-values (N, 2)."""
        waiting: list[Symmetries] = []

        def forms() -> Iterator[PuzzleBatch]:
            for start in range(0, len(puzzles), CHUNK):
                part = puzzles.take(slice(start, start + CHUNK))
                waiting.append(offered(self.solver.task, part.inputs, rng))
                yield replace(part, inputs=waiting[-1].apply(part.inputs))

        answer = np.zeros_like(puzzles.inputs)
        segments, q = np.zeros(len(puzzles), np.int64), np.zeros((len(puzzles), 2), np.float32)
        for found in answers(self.solver, forms(), self.stopping, self.batch_size):
            answer[found.index], segments[found.index], q[found.index] = found.answer, found.segment, found.q
            self.progress(int(found.index[-1]) + 1)
        for start, symmetries in zip(range(0, len(puzzles), CHUNK), waiting, strict=True):
            answer[start : start + CHUNK] = symmetries.undo(answer[start : start + CHUNK])
        return answer, segments, q


def offered(task: PuzzleTask, inputs: Tokens, rng: np.random.Generator) -> Symmetries:
    """A random symmetry for each puzzle. Raises UserError for a task without."""
    found = task.symmetries(inputs, rng)
    if found is None:
        raise UserError(f"the task {task.name} offers no symmetries: leave out --vote and --retry")
    return found


@dataclass(frozen=True)
class MultiPass:
    """One answer for each puzzle from several passes, and what it cost."""

    answer: Tokens
    """(N, L)"""
    exact: NDArray[np.bool_]
    """(N,) the answer equals the solution wherever that has a label."""
    solved: NDArray[np.bool_]
    """(N,) the answer is right by the task's rule."""
    segments: NDArray[np.int64]
    """(N,) segments in all, those of the single pass included."""
    passes: NDArray[np.int64]
    """(N,) times that the puzzle was thought about, the single pass included."""
    kind: str
    """Those of one kind are points of one curve, of more and more passes."""

    @staticmethod
    def of(
        task: PuzzleTask,
        puzzles: PuzzleBatch,
        answer: Tokens,
        segments: NDArray[np.int64],
        passes: NDArray[np.int64],
        kind: str,
    ) -> MultiPass:
        solved = task.right(puzzles.inputs, answer, puzzles.solution)
        return MultiPass(answer, exact(answer, puzzles.solution), solved, segments, passes, kind)


def sizes(most: int) -> list[int]:
    """Numbers of passes that are reported on the way to the `most`: 4, 8, 16, ... and that itself."""
    return [2**i for i in range(2, most.bit_length()) if 2**i < most] + [most]


def vote(
    asker: Asker, puzzles: PuzzleBatch, single: Evaluation, forms: int, seed: int
) -> dict[int, MultiPass]:
    """The whole answer that most forms of a puzzle give: the puzzle itself, whose answer is that of the
    `single` pass, and random symmetries of it. Of answers with as many votes the one with the larger sum of
    q_halt is taken (sapientinc/HRM orders its votes so), then the one given first. By the number of forms:
    `sizes(forms)`."""
    rng = np.random.default_rng([seed, 0x766F7465])
    given, q_halt, segments = [single.answer], [single.q[:, 0]], single.segments.copy()
    found = {}
    for asked in range(2, forms + 1):
        answer, spent, q = asker.ask(puzzles, rng)
        given.append(answer)
        q_halt.append(q[:, 0])
        segments = segments + spent
        if asked in sizes(forms):
            chosen = majority(np.stack(given, axis=1), np.stack(q_halt, axis=1))
            passes = np.full(len(puzzles), asked)
            found[asked] = MultiPass.of(asker.solver.task, puzzles, chosen, segments, passes, "vote")
    return found


def majority(given: Tokens, weight: NDArray[np.float32]) -> Tokens:
    """(N, L) the answer that occurs most often among given (N, K, L), ties by the sum of weight (N, K), then
    the first."""
    same = (given[:, :, None] == given[:, None, :]).all(axis=-1)  # (N, K, K)
    votes = same.sum(axis=2)
    total = (same * weight[:, None, :].astype(np.float64)).sum(axis=2)
    most = votes == votes.max(axis=1, keepdims=True)
    best = np.where(most, total, -np.inf).argmax(axis=1)
    return given[np.arange(len(given)), best]


def retry(asker: Asker, puzzles: PuzzleBatch, single: Evaluation, retries: int, seed: int) -> list[MultiPass]:
    """Try failed puzzles again under random symmetries, at most `retries` times. [r] of what is returned is
    the result after r + 1 retries.

    A puzzle has failed if its answer breaks the task's rule, which needs no solution. If no answer ever keeps
    it, that of the single pass stands.
    """
    rng = np.random.default_rng([seed, 0x72657472])
    answer, segments = single.answer.copy(), single.segments.copy()
    passes, open_ = np.ones(len(puzzles), np.int64), ~single.solved
    outcomes = []
    for _ in range(retries):
        rows = np.flatnonzero(open_)
        if len(rows):
            found, spent, _ = asker.ask(puzzles.take(rows), rng)
            segments[rows] += spent
            passes[rows] += 1
            right = asker.solver.task.solved(puzzles.inputs[rows], found)
            answer[rows[right]] = found[right]
            open_[rows[right]] = False
        outcomes.append(
            MultiPass.of(asker.solver.task, puzzles, answer.copy(), segments.copy(), passes.copy(), "retry")
        )
    return outcomes
