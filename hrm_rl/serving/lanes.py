"""The slots of one model that requests share: a lane for thinking with a budget, one for searching.

A lane does one segment for all its jobs at a time. A job that is done leaves between two segments, a new one
enters; what becomes of a job depends on the job alone, bit for bit on a CPU (hrm_rl/agents/act/engine.py).

Legend: b jobs, L tokens, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from envs import PuzzleBatch
from envs.puzzle import NO_LEVEL
from envs.search import Choice
from hrm_rl.agents.act.solver import Solver
from hrm_rl.agents.act.stopping import Stopping
from hrm_rl.agents.act.thinking import ThinkingSlots
from hrm_rl.agents.search.chains import Chains
from hrm_rl.agents.search.moves import Search
from hrm_rl.config import Config
from hrm_rl.serving.jobs import Decision, Job, JobSegment


class Lane(Protocol):
    """Jobs that are thought about together, by number."""

    def enter(self, jobs: Mapping[int, Job]) -> None:
        """Give these jobs a slot each, by their numbers, which no other job has."""

    def leave(self, numbers: Sequence[int]) -> None:
        """Free the slots of these jobs."""

    def think(self) -> dict[int, JobSegment]:
        """One segment for every job in the lane. Who has ended has to leave."""


class ThinkingLane:
    """Jobs that halt where the model wants to, or spend their budget."""

    def __init__(self, solver: Solver):
        self._solver = solver
        self._jobs: dict[int, Job] = {}
        self._slots: ThinkingSlots | None = None

    def enter(self, jobs: Mapping[int, Job]) -> None:
        self._jobs.update(jobs)
        numbers, batch = np.array(list(jobs)), _batch_of(list(jobs.values()))
        entering = ThinkingSlots.filled(self._solver, numbers, batch, len(numbers), None)
        if self._slots is None:
            self._slots = entering
        else:
            self._slots.join(entering)

    def leave(self, numbers: Sequence[int]) -> None:
        if self._slots is None:
            return
        kept = np.flatnonzero(~np.isin(self._slots.index, numbers))
        for number in numbers:
            self._jobs.pop(number, None)
        if len(kept):
            self._slots.keep(kept)
        else:
            self._slots = None

    @torch.no_grad()
    def think(self) -> dict[int, JobSegment]:
        if self._slots is None:
            return {}
        thoughts, task = self._slots.think(), self._solver.task
        jobs = [self._jobs[int(number)] for number in thoughts.index]
        budget = np.array([job.segments for job in jobs])
        adaptive = np.array([job.mode == "adaptive" for job in jobs])
        halts = Stopping(int(budget.max())).stops(thoughts, self._solver) & adaptive
        solved = None if task.label_decides else task.solved(thoughts.inputs, thoughts.answer)
        chances = _chances(self._slots, jobs)
        return {
            int(thoughts.index[i]): JobSegment(
                segment=int(thoughts.segment[i]),
                start=0,
                board=thoughts.inputs[i],
                answer=thoughts.answer[i],
                probabilities=chances.get(i),
                q=_q_values(thoughts.q[i], self._solver),
                solved=None if solved is None else bool(solved[i]),
                decision="halt" if halts[i] else "spent" if thoughts.segment[i] >= budget[i] else "continue",
                contradicted=False,
                assumed=np.zeros_like(thoughts.answer[i]),
            )
            for i in range(len(jobs))
        }


class SearchingLane:
    """Jobs that search, one chain each."""

    def __init__(self, solver: Solver, config: Config):
        self._solver = solver
        self._config = config
        self._jobs: dict[int, Job] = {}
        self._chains: Chains | None = None

    def enter(self, jobs: Mapping[int, Job]) -> None:
        self._jobs.update(jobs)
        for number, job in jobs.items():
            how = Search.of(self._config, job.segments, seed=job.seed)
            # Place 0 of a queue of its own, so that a job is searched as `hrm-rl solve --search` would.
            entering = Chains.filled(self._solver, how, np.zeros(1, np.int64), _batch_of([job]), 1)
            entering.index[:] = number
            if self._chains is None:
                self._chains = entering
            else:
                self._chains.join(entering)

    def leave(self, numbers: Sequence[int]) -> None:
        if self._chains is None:
            return
        kept = np.flatnonzero(~np.isin(self._chains.index, numbers))
        for number in numbers:
            self._jobs.pop(number, None)
        if len(kept):
            self._chains.keep(kept)
        else:
            self._chains = None

    @torch.no_grad()
    def think(self) -> dict[int, JobSegment]:
        if self._chains is None:
            return {}
        moves = self._chains.think()
        jobs = [self._jobs[int(number)] for number in moves.index]
        chances = _chances(self._chains, jobs)
        return {
            int(moves.index[i]): JobSegment(
                segment=int(moves.segment[i]),
                start=int(moves.start[i]),
                board=moves.board[i],
                answer=moves.answer[i],
                probabilities=chances.get(i),
                q=_q_values(moves.q[i], self._solver),
                solved=bool(moves.solved[i]),
                decision=_decision(Choice(int(moves.choice[i])), bool(moves.done[i])),
                contradicted=bool(moves.contradicted[i]),
                assumed=moves.assumed[i],
            )
            for i in range(len(jobs))
        }


def _batch_of(jobs: Sequence[Job]) -> PuzzleBatch:
    """The puzzles of jobs, without labels."""
    inputs = np.stack([job.inputs for job in jobs])
    identifier = np.array([job.identifier for job in jobs], np.int64)
    return PuzzleBatch(inputs, np.zeros_like(inputs), np.full(len(jobs), NO_LEVEL), identifier)


def _q_values(q: NDArray[np.float32], solver: Solver) -> tuple[float, float | None]:
    return float(q[0]), float(q[1]) if solver.q_target.learns_continue else None


def _chances(slots: ThinkingSlots | Chains, jobs: Sequence[Job]) -> dict[int, NDArray[np.float32]]:
    """By row, the probabilities (L, V) of jobs that want them."""
    rows = np.array([i for i, job in enumerate(jobs) if job.detailed], np.int64)
    return dict(zip(rows.tolist(), slots.chances(rows), strict=True)) if len(rows) else {}


def _decision(choice: Choice, done: bool) -> Decision:
    if choice == Choice.HAND_IN:
        return "hand in"
    if done:
        return "give up"
    return "start over" if choice == Choice.START_OVER else "continue"
