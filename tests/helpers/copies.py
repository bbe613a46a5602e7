"""Ways to copy what users copy, and environments of every kind with what they show."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import pytest
from ray import cloudpickle

from envs import (
    ActEnv,
    ActVectorEnv,
    GeneratedSource,
    MixedSource,
    PuzzleTask,
    SearchEnv,
    SearchVectorEnv,
    make_task,
)

Copy = Callable[[Any], Any]


def _out_of_band(made: Any) -> Any:
    """As Ray sends objects: the copy's arrays are views of memory that nobody may write to."""
    buffers: list[pickle.PickleBuffer] = []
    data = cloudpickle.dumps(made, protocol=5, buffer_callback=buffers.append)
    return pickle.loads(data, buffers=[bytes(buffer) for buffer in buffers])


COPIES: dict[str, Copy] = {
    "deepcopy": copy.deepcopy,
    "pickle": lambda made: pickle.loads(pickle.dumps(made)),
    "cloudpickle": lambda made: pickle.loads(cloudpickle.dumps(made)),
    "out of band": _out_of_band,
}
every_copy = pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)

SUDOKU = make_task("sudoku", size=4)
MAZE = make_task("maze", size=6)


def mixed(task: PuzzleTask) -> MixedSource:
    children = {level: GeneratedSource(task, level, 0) for level in ("very-easy", "easy")}
    return MixedSource(children, {"very-easy": 1.0, "easy": 2.0}, 0)


ENVS: dict[str, Callable[[], Any]] = {
    "act": lambda: ActEnv(SUDOKU, mixed(SUDOKU), 3),
    "act vector": lambda: ActVectorEnv(SUDOKU, mixed(SUDOKU), 3, 3),
    "search": lambda: SearchEnv(MAZE, mixed(MAZE), 4),
    "search vector": lambda: SearchVectorEnv(SUDOKU, mixed(SUDOKU), 3, 4),
    "made act": lambda: gymnasium.make("hrm_rl/Sudoku-v0", size=4),
    "made act vector": lambda: gymnasium.make_vec("hrm_rl/Maze-v0", num_envs=2, size=6),
    "made search": lambda: gymnasium.make("hrm_rl/Maze-search-v0", size=6),
    "made search vector": lambda: gymnasium.make_vec("hrm_rl/Sudoku-search-v0", num_envs=2, size=4),
}


def flat(found: Any) -> list[Any]:
    """All that a step or a reset returned, in an order of its own, as comparable values."""
    if isinstance(found, dict):
        return [part for key in sorted(found) for part in (key, *flat(found[key]))]
    if isinstance(found, tuple | list) or (isinstance(found, np.ndarray) and found.dtype == object):
        return [part for each in found for part in flat(each)]
    return [found.tolist() if isinstance(found, np.ndarray | np.generic) else found]


def played(env: Any, steps: int) -> list[Any]:
    """What an environment that was reset shows in so many steps of actions that its state does not change."""
    seen = []
    env.action_space.seed(1)
    for _ in range(steps):
        found = env.step(env.action_space.sample())
        seen += flat(found)
        if np.ndim(found[2]) == 0 and (found[2] or found[3]):
            seen += flat(env.reset())
    return seen
