"""Running one model on puzzles and keeping what the report is made of.

Memory grows with the budget and the width of the network, but with the number of puzzles only by their
answers. Legend: N puzzles, K segments, U updates a segment, b puzzles in slots, L tokens, S positions,
D hidden size.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from envs import PuzzleBatch
from envs.puzzle import Tokens
from envs.task import PuzzleTask
from hrm_rl.agents.act.engine import think
from hrm_rl.agents.act.solver import Solver
from hrm_rl.agents.act.stopping import Stopping
from hrm_rl.analysis.measures import Covariance, participation_ratio
from hrm_rl.config import Config
from hrm_rl.evaluation.recording import Recording
from hrm_rl.evaluation.search import Searched
from hrm_rl.models import Carry
from hrm_rl.models.tracing import Place, Trace, Update, trace, updates_of
from hrm_rl.runs.folder import RunFolder

LEVELS = ("h", "l")
Attention = dict[int, list[tuple[Place, list[NDArray[np.float16]]]]]
"""Segment -> for each update and layer the map (heads, S, S) of one puzzle."""
TRAJECTORIES = 4
"""Puzzles whose way through the space of z_h is drawn."""


@dataclass(frozen=True)
class Study:
    """What is known of one model."""

    name: str
    task: PuzzleTask
    config: Config
    puzzles: PuzzleBatch
    recording: Recording
    halted: NDArray[np.int64]
    """(N,) segment after which the model halts, with the budget it was trained with."""
    answer: Tokens
    """(N, L) its answer then."""
    places: list[Place]
    """(U) the updates of a segment."""
    change: NDArray[np.float32]
    """(K, U, N) by how much an update changes its state: norm of the difference over norm of the new
    state."""
    participation: dict[str, NDArray[np.float64]]
    """`h`, and `l` if there is a z_l: (K,) participation ratio of the states of all cells of all puzzles
    after each segment."""
    followed: NDArray[np.int64]
    """(T,) which puzzles were followed closely."""
    paths: list[NDArray[np.float32]]
    """For each of these (K * updates of z_h, S * D): z_h after each of its updates."""
    attention: Attention
    """Of the first of these, in its first segment and in the one in which it halts; empty with an MLP
    mixer."""
    records: list[dict[str, Any]] = field(default_factory=list)
    """metrics.jsonl of the run, if there is one."""
    search: Searched | None = None
    """What search made of the same puzzles, if it was tried."""

    @property
    def budget(self) -> int:
        """K."""
        return self.recording.budget

    @property
    def trained_budget(self) -> int:
        """The budget in training, as far as the model was watched for so long."""
        return min(self.config.halting.halt_max_steps, self.budget)

    @property
    def solved(self) -> NDArray[np.bool_]:
        """(N,) whether the answer with which the model halts is right."""
        return self.recording.at(self.recording.solved, self.halted)

    def level_rows(self) -> dict[str, NDArray[np.int64]]:
        """Puzzles by level, in the task's order; `other` for those of no level."""
        names = [*self.task.levels, "other"]
        rows = {name: np.flatnonzero(self.puzzles.level == i) for i, name in enumerate(names[:-1])}
        rows["other"] = np.flatnonzero(self.puzzles.level < 0)
        return {name: found for name, found in rows.items() if len(found)}


def conduct(
    name: str,
    solver: Solver,
    config: Config,
    puzzles: PuzzleBatch,
    budget: int,
    run: RunFolder | None = None,
    batch_size: int = 128,
    closely: bool = True,
    progress: Callable[[int], None] = lambda done: None,
) -> Study:
    """Let the model think about all puzzles for `budget` segments, watched. run: the folder that it lies in.
    closely: with what takes long, `participation`, `paths` and `attention`. progress: told of puzzles
    done."""
    model, places = solver.model, updates_of(solver.model)
    recording = Recording.empty(solver, len(puzzles), budget)
    answers = np.zeros((budget, *puzzles.inputs.shape), np.uint8)
    change = np.zeros((budget, len(places), len(puzzles)), np.float32)
    spread = {
        level: [Covariance(model.config.hidden_size) for _ in range(budget)]
        for level in LEVELS[: 1 + model.has_low_level]
        if closely
    }
    with trace(model) as watched:
        for thoughts in think(solver, [puzzles], Stopping(budget, "fixed"), batch_size):
            n, k = thoughts.index, int(thoughts.segment[0]) - 1  # all are in the same segment
            recording.note(thoughts, puzzles)
            answers[k, n] = thoughts.answer
            if k == 0:
                states = _states(model.initial_carry(len(n)))
            change[k][:, n] = _changes(watched, states)
            for level, covariances in spread.items():
                covariances[k].add(states[level].float().flatten(0, 1).cpu().numpy())
            if thoughts.done.all():
                progress(int(n[-1]) + 1)
    halted = recording.segments(Stopping(min(budget, config.halting.halt_max_steps)))
    followed = np.unique(np.linspace(0, len(puzzles) - 1, TRAJECTORIES * closely).astype(np.int64))
    paths: list[NDArray[np.float32]] = []
    attention: Attention = {}
    if closely:
        paths, attention = _follow(solver, puzzles.take(followed), budget, {1, int(halted[followed[0]])})
    return Study(
        name=name,
        task=solver.task,
        config=config,
        puzzles=puzzles,
        recording=recording,
        halted=halted,
        answer=recording.at(answers, halted),
        places=places,
        change=change,
        participation={
            level: np.array([participation_ratio(c.value()) for c in found])
            for level, found in spread.items()
        },
        followed=followed,
        paths=paths,
        attention=attention,
        records=run.read_metrics() if run is not None and run.metrics.exists() else [],
    )


def _states(carry: Carry) -> dict[str, torch.Tensor]:
    return {"h": carry.z_h, "l": carry.z_l}


def _changes(watched: Trace, states: dict[str, torch.Tensor]) -> NDArray[np.float32]:
    """(U, b) relative change by each update of a segment; `states` (b, S, D) are brought up to date."""
    found = []
    for update in watched.take():
        level = update.place.level
        now = update.state[: len(states[level])]  # the slots in use are the first ones
        new, old = now.float().flatten(1), states[level].float().flatten(1)
        found.append(((new - old).norm(dim=1) / new.norm(dim=1)).cpu().numpy())
        states[level] = now
    return np.stack(found)


def _follow(
    solver: Solver, puzzles: PuzzleBatch, budget: int, mapped: set[int]
) -> tuple[list[NDArray[np.float32]], Attention]:
    """`paths` and `attention` of a Study; mapped: the segments whose attention is kept."""
    points: list[list[NDArray[np.float32]]] = [[] for _ in range(len(puzzles))]
    attention: Attention = {}
    with trace(solver.model, attention=1) as watched:
        for thoughts in think(solver, [puzzles], Stopping(budget, "fixed"), len(puzzles)):
            updates, segment = watched.take(), int(thoughts.segment[0])
            for update in updates:
                if update.place.level == "h":
                    for n, state in enumerate(update.state[: len(puzzles)]):
                        points[n].append(state.flatten().float().cpu().numpy())
            if segment in mapped and updates[0].attention:
                attention[segment] = [(u.place, _first_maps(u)) for u in updates]
    return [np.stack(found) for found in points], attention


def _first_maps(update: Update) -> list[NDArray[np.float16]]:
    """For each layer the map (heads, S, S) of the first puzzle."""
    return [weights[0].half().cpu().numpy() for weights in update.attention]
