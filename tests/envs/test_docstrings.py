"""The docstrings of environments and tasks are their specification, with Gymnasium's headings."""

from __future__ import annotations

import inspect
import re

import pytest

from envs import TASKS, ActEnv, ActVectorEnv, PuzzleTask, SearchEnv, SearchVectorEnv, make_task
from envs.maze import MazeTask
from envs.registration import task_class
from envs.sudoku import SudokuTask
from envs.sudoku.levels import CLUE_RANGES, LEVELS

HEADINGS = [
    "Description",
    "Action Space",
    "Observation Space",
    "Rewards",
    "Starting State",
    "Episode End",
    "Arguments",
    "Version History",
]
SPECIFIED = [ActEnv, ActVectorEnv, SearchEnv, SearchVectorEnv, PuzzleTask, *map(task_class, TASKS)]


def sections(specified: type) -> dict[str, str]:
    """The text under each heading."""
    parts = re.split(r"^## (.*)$", inspect.cleandoc(specified.__doc__ or ""), flags=re.MULTILINE)
    return dict(zip(parts[1::2], map(str.strip, parts[2::2]), strict=True))


def table(text: str) -> list[list[str]]:
    """The rows of a Markdown table, without its head."""
    rows = [line.strip("| ").split("|") for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows[2:]]


@pytest.mark.parametrize("specified", SPECIFIED)
def test_environments_and_tasks_have_the_headings_of_gymnasium_in_order(specified):
    found = sections(specified)
    assert list(found) == HEADINGS
    assert all(found.values())
    assert found["Version History"] == "- v0: initial version."


@pytest.mark.parametrize("specified", [s for s in SPECIFIED if s is not PuzzleTask])
def test_every_argument_is_described_with_its_default(specified):
    arguments = sections(specified)["Arguments"]
    for name, parameter in inspect.signature(specified).parameters.items():
        described = f"`{name}`"
        if parameter.default is not parameter.empty:
            described += f" (`{parameter.default!r}`)".replace("'", '"')
        assert described in arguments


def test_the_levels_of_sudoku_are_those_of_the_table():
    rows = table(sections(SudokuTask)["Starting State"])
    assert [row[0] for row in rows] == list(LEVELS)
    for column, ranges in enumerate(CLUE_RANGES.values(), 1):
        shown = [f"{low}-{high}" if low < high else f"{low}" for low, high in ranges]
        assert [row[column] for row in rows] == shown


def test_the_levels_of_mazes_are_those_of_the_table():
    ranges = make_task("maze").ranges
    rows = [[level.name, f"{level.fewest}-{level.most}"] for level in ranges[:-1]]
    assert table(sections(MazeTask)["Starting State"]) == [*rows, [ranges[-1].name, f"{ranges[-1].fewest}-"]]
