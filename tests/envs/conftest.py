"""What the tests of envs/ share: the tasks they run on, pools of puzzles, development data."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from envs import PuzzleBatch, PuzzleTask, make_task
from envs.registration import task_class
from tests.helpers.paths import SHARED_DATA

DATA = SHARED_DATA

LEFT = {"size": 8, "placement": "left"}
"""Patterns whose first cell is never padding."""

# Every environment and source test runs on each of these: a new task joins by a line.
# (gymnasium id, task name, task options, level)
CASES = [
    pytest.param(("hrm_rl/Sudoku-v0", "sudoku", {"size": 4}, "easy"), id="sudoku-4"),
    pytest.param(("hrm_rl/Sudoku-v0", "sudoku", {"size": 6}, "medium"), id="sudoku-6"),
    pytest.param(("hrm_rl/Sudoku-v0", "sudoku", {"size": 9}, "hard"), id="sudoku-9"),
    pytest.param(("hrm_rl/Maze-v0", "maze", {"size": 6}, "easy"), id="maze-6"),
    pytest.param(("hrm_rl/Maze-v0", "maze", {"size": 10}, "medium"), id="maze-10"),
    pytest.param(("hrm_rl/Nonogram-v0", "nonogram", {"size": 5}, "medium"), id="nonogram-5"),
    pytest.param(("hrm_rl/Patterns-v0", "patterns", LEFT | {"pattern": "copy"}, "n4"), id="copy"),
    pytest.param(("hrm_rl/Patterns-v0", "patterns", LEFT | {"pattern": "repair"}, "n6"), id="repair"),
    pytest.param(("hrm_rl/Arc-v0", "arc", {"augmentations": 2, "translate": False}, "medium"), id="arc-mini"),
    pytest.param(("hrm_rl/Text-v0", "text", {"size": 24}, "long"), id="text-24"),
]

SEARCHED = [case for case in CASES if case.values[0][1] in ("sudoku", "maze")]
"""Those of tasks that can be searched."""
RULED = [case for case in CASES if not task_class(case.values[0][1]).label_decides]
"""Those of tasks whose rule decides, and not the label."""


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> tuple[str, str, dict[str, object], str]:
    return request.param


@pytest.fixture
def env_id(case) -> str:
    return case[0]


@pytest.fixture
def options(case) -> dict[str, object]:
    """Keyword arguments for gymnasium.make."""
    return {**case[2], "level": case[3]}


@pytest.fixture
def task(case) -> PuzzleTask:
    return make_task(case[1], **case[2])


@pytest.fixture
def pool(case) -> PuzzleBatch:
    """32 puzzles of the case's task and level; do not write to it."""
    return _pool(case[1], tuple(case[2].items()), case[3])


@cache
def _pool(name: str, options: tuple[tuple[str, object], ...], level: str) -> PuzzleBatch:
    return make_task(name, **dict(options)).generate(level, 32, np.random.default_rng(0))


@pytest.fixture
def data_file() -> Callable[[str], Path]:
    """Path of a development file; skips the test where the files are not there."""

    def find(name: str) -> Path:
        if not (DATA / name).exists():
            pytest.skip(f"development data file {name} is not there")
        return DATA / name

    return find
