"""Running one model on puzzles and keeping what the report is made of.

Memory grows with the budget and the width of the network, but with the number of puzzles only by their
answers. Legend: N puzzles, K segments, U updates a segment, B puzzles of a part, S positions, D hidden size.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from envs import PuzzleBatch
from envs.task import PuzzleTask
from hrm_rl.agents.act.segments import Segment, segments
from hrm_rl.analysis.measures import Covariance, participation_ratio
from hrm_rl.analysis.thoughts import Thoughts
from hrm_rl.config import Config
from hrm_rl.models import Carry, RecurrentModel
from hrm_rl.models.tracing import Place, Trace, Update, trace, updates_of
from hrm_rl.runs.folder import read_metrics

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
    thoughts: Thoughts
    places: list[Place]
    """(U) the updates of a segment."""
    change: NDArray[np.float32]
    """(K, U, N) by how much an update changes its state: norm of the difference over
    norm of the new state."""
    participation: dict[str, NDArray[np.float64]]
    """`h`, and `l` if there is a z_l: (K,) participation ratio of the states of all cells
    of all puzzles after each segment."""
    followed: NDArray[np.int64]
    """(T,) which puzzles were followed closely."""
    paths: list[NDArray[np.float32]]
    """For each of these (K * updates of z_h, S * D): z_h after each of its updates."""
    attention: Attention
    """Of the first of these, in its first segment and in the one in which it halts;
    empty with an MLP mixer."""
    records: list[dict[str, Any]] = field(default_factory=list)
    """metrics.jsonl of the run, if there is one."""

    @property
    def halted(self) -> NDArray[np.int64]:
        """(N,) segment after which the model halts, with the budget it was trained with."""
        return self.thoughts.halted(min(self.thoughts.trained_budget, self.thoughts.budget))

    @property
    def solved(self) -> NDArray[np.bool_]:
        """(N,) whether its answer is right then."""
        return self.thoughts.at(self.thoughts.solved, self.halted)

    def level_rows(self) -> dict[str, NDArray[np.int64]]:
        """Puzzles by level, in the task's order; `other` for those of no level."""
        names = [*self.task.levels, "other"]
        rows = {name: np.flatnonzero(self.puzzles.level == i) for i, name in enumerate(names[:-1])}
        rows["other"] = np.flatnonzero(self.puzzles.level < 0)
        return {name: found for name, found in rows.items() if len(found)}


def conduct(
    name: str,
    model: RecurrentModel,
    task: PuzzleTask,
    config: Config,
    puzzles: PuzzleBatch,
    budget: int,
    run_dir: Path | None = None,
    batch_size: int = 128,
    closely: bool = True,
    progress: Callable[[int], None] = lambda done: None,
) -> Study:
    """Let `model` think about all puzzles for `budget` segments, watched. closely: with what takes long,
    `participation`, `paths` and `attention`. progress: told of puzzles done."""
    places = updates_of(model)
    parts: list[list[Segment]] = []
    changes: list[NDArray[np.float32]] = []
    spread = {
        level: [Covariance(model.config.hidden_size) for _ in range(budget)]
        for level in LEVELS[: 1 + model.has_low_level]
        if closely
    }
    loss_on, q_target = config.train.loss_on, config.halting.q_target
    for start in range(0, len(puzzles), batch_size):
        part = puzzles.take(slice(start, start + batch_size))
        seen: list[Segment] = []
        moved: list[NDArray[np.float32]] = []
        with trace(model) as watched:
            before = _states(model.initial_carry(len(part)))
            for segment in segments(model, task, part, budget, loss_on, q_target):
                moved.append(_changes(watched, before))
                for level, covariances in spread.items():
                    states = _states(segment.carry)[level].float()
                    covariances[segment.number - 1].add(states.flatten(0, 1).cpu().numpy())
                seen.append(_without_carry(segment))
        parts.append(seen)
        changes.append(np.stack(moved))
        progress(start + len(part))
    thoughts = Thoughts.of(_joined(parts), task, puzzles, config.halting.halt_max_steps)
    followed = np.unique(np.linspace(0, len(puzzles) - 1, TRAJECTORIES * closely).astype(np.int64))
    paths: list[NDArray[np.float32]] = []
    attention: Attention = {}
    if closely:
        halted = thoughts.halted(min(budget, config.halting.halt_max_steps))[followed[0]]
        paths, attention = _follow(
            model, task, puzzles.take(followed), budget, {1, int(halted)}, loss_on, q_target
        )
    return Study(
        name=name,
        task=task,
        config=config,
        puzzles=puzzles,
        thoughts=thoughts,
        places=places,
        change=np.concatenate(changes, axis=2),
        participation={
            level: np.array([participation_ratio(c.value()) for c in found])
            for level, found in spread.items()
        },
        followed=followed,
        paths=paths,
        attention=attention,
        records=_records(run_dir),
    )


def _states(carry: Carry) -> dict[str, torch.Tensor]:
    return {"h": carry.z_h, "l": carry.z_l}


def _changes(watched: Trace, before: dict[str, torch.Tensor]) -> NDArray[np.float32]:
    """(U, B) relative change of each update of a segment; `before` holds the states and
    is brought up to date."""
    found = []
    for update in watched.take():
        level = update.place.level
        new, old = update.state.float().flatten(1), before[level].float().flatten(1)
        found.append(((new - old).norm(dim=1) / new.norm(dim=1)).cpu().numpy())
        before[level] = update.state
    return np.stack(found)


def _without_carry(segment: Segment) -> Segment:
    empty = Carry(segment.carry.z_h[:, :0], segment.carry.z_l[:, :0])
    return Segment(segment.number, segment.answer, segment.q, segment.wants_to_halt, empty)


def _joined(parts: list[list[Segment]]) -> list[Segment]:
    """The segments of all puzzles, from those of parts of them."""
    return [
        Segment(
            number=same[0].number,
            answer=np.concatenate([s.answer for s in same]),
            q=np.concatenate([s.q for s in same]),
            wants_to_halt=np.concatenate([s.wants_to_halt for s in same]),
            carry=same[0].carry,
        )
        for same in zip(*parts, strict=True)
    ]


def _follow(
    model: RecurrentModel,
    task: PuzzleTask,
    puzzles: PuzzleBatch,
    budget: int,
    mapped: set[int],
    loss_on: Any,
    q_target: str,
) -> tuple[list[NDArray[np.float32]], Attention]:
    """`paths` and `attention` of a Study; mapped: the segments whose attention is kept."""
    points: list[list[NDArray[np.float32]]] = [[] for _ in range(len(puzzles))]
    attention: Attention = {}
    with trace(model, attention=1) as watched:
        for segment in segments(model, task, puzzles, budget, loss_on, q_target):
            updates = watched.take()
            for update in updates:
                if update.place.level == "h":
                    for n, state in enumerate(update.state):
                        points[n].append(state.flatten().float().cpu().numpy())
            if segment.number in mapped and updates[0].attention:
                attention[segment.number] = [(u.place, _first_maps(u)) for u in updates]
    return [np.stack(found) for found in points], attention


def _first_maps(update: Update) -> list[NDArray[np.float16]]:
    """For each layer the map (heads, S, S) of the first puzzle."""
    return [weights[0].half().cpu().numpy() for weights in update.attention]


def _records(run_dir: Path | None) -> list[dict[str, Any]]:
    path = None if run_dir is None else run_dir / "metrics.jsonl"
    return read_metrics(path) if path is not None and path.exists() else []
