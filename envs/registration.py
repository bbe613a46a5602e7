"""The tasks by name, and their Gymnasium ids. A new task is one line in TASKS."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import gymnasium
import numpy as np

from envs.act import ActEnv, ActVectorEnv
from envs.errors import UserError, unknown
from envs.maze import MazeTask
from envs.sources import GeneratedSource, MixedSource
from envs.sudoku import SudokuTask
from envs.task import PuzzleTask

TASKS: dict[str, Callable[..., PuzzleTask]] = {
    "sudoku": SudokuTask,
    "maze": MazeTask,
}


def make_task(name: str, **options: Any) -> PuzzleTask:
    """The task of that name, or that of a class `MODULE:CLASS` which Python can import.

    Raises UserError for an unknown task or option, naming the nearest known one.
    """
    make = _imported(name) if ":" in name else TASKS.get(name)
    if make is None:
        raise unknown("task", name, TASKS)
    known = list(inspect.signature(make).parameters)
    for option in options:
        if option not in known:
            raise unknown("option", option, known)
    return make(**options)


def _imported(name: str) -> type[PuzzleTask]:
    """The task class `MODULE:CLASS`; nothing but a PuzzleTask is ever called."""
    module, _, attribute = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise UserError(f"task '{name}' cannot be imported ({error}); is its folder in PYTHONPATH?") from None
    if not (isinstance(found, type) and issubclass(found, PuzzleTask)):
        raise UserError(f"'{name}' is no task: it must be a class derived from envs.PuzzleTask")
    return found


def make_act_env(
    task: str,
    level: str | Mapping[str, float] = "easy",
    halt_max_steps: int = 16,
    segment_cost: float = 0.0,
    render_mode: str | None = None,
    **options: Any,
) -> ActEnv:
    """Entry point of the ids: an ActEnv on freshly generated puzzles.

    level: a level's name, or weights by level. options: those of the task. Puzzles are random until
    `reset(seed=...)` fixes the stream.
    """
    built = make_task(task, **options)
    return ActEnv(built, _generated(built, level), halt_max_steps, segment_cost, render_mode)


def make_act_vector_env(
    task: str,
    num_envs: int = 1,
    level: str | Mapping[str, float] = "easy",
    halt_max_steps: int = 16,
    segment_cost: float = 0.0,
    render_mode: str | None = None,
    **options: Any,
) -> ActVectorEnv:
    """Vector entry point of the ids: as `make_act_env`, with `num_envs` slots."""
    built = make_task(task, **options)
    source = _generated(built, level)
    return ActVectorEnv(built, source, num_envs, halt_max_steps, segment_cost, render_mode)


def _generated(task: PuzzleTask, level: str | Mapping[str, float]) -> MixedSource:
    weights = {level: 1.0} if isinstance(level, str) else level
    seed = int(np.random.SeedSequence().generate_state(1, np.uint64)[0])
    children = {name: GeneratedSource(task, name, seed) for name in weights}
    return MixedSource(children, weights, seed)


def register_task(name: str, task: str | None = None) -> None:
    """Register the Gymnasium id `hrm_rl/Name-v0`. task: what `make_task` takes, if it is not the name."""
    gymnasium.register(
        f"hrm_rl/{name.capitalize()}-v0",
        entry_point="envs.registration:make_act_env",
        vector_entry_point="envs.registration:make_act_vector_env",
        kwargs={"task": task or name},
    )


def register_tasks() -> None:
    """Register `hrm_rl/NAME-v0` for every task; called when `envs` is imported."""
    for name in TASKS:
        register_task(name)
