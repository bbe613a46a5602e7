"""The tasks by name, and their Gymnasium ids. A new task is one line in TASKS."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np

from envs.act import ActEnv, ActVectorEnv
from envs.errors import UserError, unknown
from envs.search import SearchEnv, SearchVectorEnv
from envs.sources import GeneratedSource, MixedSource
from envs.task import PuzzleTask

TASKS = {
    "sudoku": "envs.sudoku:SudokuTask",
    "maze": "envs.maze:MazeTask",
    "nonogram": "envs.nonogram:NonogramTask",
    "arc": "envs.arc:ArcTask",
    "patterns": "envs.patterns:PatternsTask",
    "text": "envs.text:TextTask",
}
"""`MODULE:CLASS` of each task, imported when it is first made: importing a compiler takes time."""


def make_task(name: str, **options: Any) -> PuzzleTask:
    """The task of that name, or that of a class `MODULE:CLASS` which Python can import.

    Raises UserError for an unknown task or option, naming the nearest known one.
    """
    task = task_class(name)
    known = list(inspect.signature(task).parameters)
    for option in options:
        if option not in known:
            raise unknown("option", option, known)
    return task(**options)


def task_class(name: str) -> type[PuzzleTask]:
    """The class of a task in TASKS or of `MODULE:CLASS`; nothing but a PuzzleTask is ever called. Raises
    UserError."""
    if ":" not in name and name not in TASKS:
        raise unknown("task", name, TASKS)
    module, _, attribute = TASKS.get(name, name).partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise UserError(f"task '{name}' cannot be imported ({error}); is its folder in PYTHONPATH?") from None
    if not (isinstance(found, type) and issubclass(found, PuzzleTask)):
        raise UserError(f"'{name}' is no task: it must be a class derived from envs.PuzzleTask")
    return found


def make_act_env(
    task: str,
    level: str | Mapping[str, float] | None = None,
    halt_max_steps: int = 16,
    segment_cost: float = 0.0,
    render_mode: str | None = None,
    **options: Any,
) -> ActEnv:
    """Entry point of the ids: an ActEnv on freshly generated puzzles.

    level: a level's name, or weights by level; easy, or the task's first level, if not given. options: those
    of the task. Puzzles are random until `reset(seed=...)` fixes the stream.
    """
    built = make_task(task, **options)
    return ActEnv(built, _generated(built, level), halt_max_steps, segment_cost, render_mode)


def make_act_vector_env(
    task: str,
    num_envs: int = 1,
    level: str | Mapping[str, float] | None = None,
    halt_max_steps: int = 16,
    segment_cost: float = 0.0,
    render_mode: str | None = None,
    **options: Any,
) -> ActVectorEnv:
    """Vector entry point of the ids: as `make_act_env`, with `num_envs` slots."""
    built = make_task(task, **options)
    source = _generated(built, level)
    return ActVectorEnv(built, source, num_envs, halt_max_steps, segment_cost, render_mode)


def make_search_env(
    task: str,
    level: str | Mapping[str, float] | None = None,
    budget: int = 64,
    segment_cost: float = 0.0,
    render_mode: str | None = None,
    **options: Any,
) -> SearchEnv:
    """Entry point of the ids of search: a SearchEnv on freshly generated puzzles, as `make_act_env`."""
    built = make_task(task, **options)
    return SearchEnv(built, _generated(built, level), budget, segment_cost, render_mode)


def make_search_vector_env(
    task: str,
    num_envs: int = 1,
    level: str | Mapping[str, float] | None = None,
    budget: int = 64,
    segment_cost: float = 0.0,
    render_mode: str | None = None,
    **options: Any,
) -> SearchVectorEnv:
    """Vector entry point of the ids of search: as `make_search_env`, with `num_envs` slots."""
    built = make_task(task, **options)
    return SearchVectorEnv(built, _generated(built, level), num_envs, budget, segment_cost, render_mode)


def _generated(task: PuzzleTask, level: str | Mapping[str, float] | None) -> MixedSource:
    if level is None:
        level = "easy" if "easy" in task.levels else task.levels[0]
    weights = {level: 1.0} if isinstance(level, str) else level
    seed = int(np.random.SeedSequence().generate_state(1, np.uint64)[0])
    children = {name: GeneratedSource(task, name, seed) for name in weights}
    return MixedSource(children, weights, seed)


def register_task(name: str, task: str | None = None) -> None:
    """Register the Gymnasium ids `hrm_rl/Name-v0` and `hrm_rl/Name-search-v0`.

    task: what `make_task` takes, if it is not the name. It is imported when an id is made, and only then can
    the second id of a task that cannot be searched be refused.
    """
    for suffix, kind in (("", "act"), ("-search", "search")):
        gymnasium.register(
            f"hrm_rl/{name.capitalize()}{suffix}-v0",
            entry_point=f"envs.registration:make_{kind}_env",
            vector_entry_point=f"envs.registration:make_{kind}_vector_env",
            kwargs={"task": task or name},
        )


def register_tasks() -> None:
    """Register the ids of every task; called when `envs` is imported."""
    for name in TASKS:
        register_task(name)
