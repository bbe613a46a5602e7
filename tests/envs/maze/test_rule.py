"""Shortest paths of mazes: the label of the Maze-Hard set, and a judge that takes any shortest path."""

from __future__ import annotations

import csv
import gzip
from collections import deque

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs import make_task
from envs.maze import distances, judge, label
from envs.maze.grid import CHARACTERS, FREE, GOAL, PAD, PATH, START, WALL

PROPERTY = settings(max_examples=150, deadline=None, derandomize=True)

DOWN_LEFT_RIGHT_UP = ((1, 0), (0, -1), (0, 1), (-1, 0))


def tokens(*rows: str) -> np.ndarray:
    """One maze (1, L) from its rows; '_' is padding."""
    return np.array([[CHARACTERS.index(c) for c in "".join(rows)]], np.uint8)


def slow_distances(grid: np.ndarray) -> dict[tuple[int, int], int]:
    """Steps to G by cell, in plain Python."""
    goal = tuple(int(i) for i in np.argwhere(grid == GOAL)[0])
    found, queue = {goal: 0}, deque([goal])
    while queue:
        row, column = queue.popleft()
        for down, right in DOWN_LEFT_RIGHT_UP:
            near = row + down, column + right
            inside = 0 <= near[0] < grid.shape[0] and 0 <= near[1] < grid.shape[1]
            if inside and near not in found and grid[near] not in (PAD, WALL):
                found[near] = found[row, column] + 1
                queue.append(near)
    return found


def slow_label(grid: np.ndarray, order=DOWN_LEFT_RIGHT_UP) -> tuple[np.ndarray, int]:
    """The label under an order of directions, in plain Python."""
    found, solution = slow_distances(grid), grid.copy()
    cell = tuple(int(i) for i in np.argwhere(grid == START)[0])
    if cell not in found:
        return solution, 0
    length = found[cell] + 1
    while found[cell] > 1:
        steps = [(cell[0] + down, cell[1] + right) for down, right in order]
        cell = next(step for step in steps if found.get(step, -1) == found[cell] - 1)
        solution[cell] = PATH
    return solution, length


def slow_excess(grid: np.ndarray, answer: np.ndarray) -> float:
    """Cells by which the path of an answer is too long, by the definition: NaN where it is none."""
    there = grid != PAD
    kept = (answer == grid) | ((grid == FREE) & (answer == PATH))
    if not kept[there].all():
        return np.nan
    line = [tuple(cell) for cell in np.argwhere(there & np.isin(answer, (START, GOAL, PATH))).tolist()]
    ends = {tuple(cell) for cell in np.argwhere(np.isin(grid, (START, GOAL))).tolist()}
    for row, column in line:
        neighbours = sum((row + down, column + right) in line for down, right in DOWN_LEFT_RIGHT_UP)
        if neighbours != (1 if (row, column) in ends else 2):
            return np.nan
    reached = slow_distances(np.where(np.isin(answer, (START, GOAL, PATH)) & there, answer, WALL))
    if not all(cell in reached for cell in line):
        return np.nan
    return len(line) - slow_label(grid)[1]


@st.composite
def mazes(draw) -> np.ndarray:
    """(rows, columns) a random maze, now and then with padding at the right and below."""
    rows, columns = draw(st.integers(2, 7)), draw(st.integers(2, 7))
    share = draw(st.sampled_from([0.0, 0.2, 0.35, 0.5]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    grid = np.where(rng.random((rows, columns)) < share, WALL, FREE).astype(np.uint8)
    ends = rng.choice(rows * columns, 2, replace=False)
    grid.flat[ends[0]], grid.flat[ends[1]] = START, GOAL
    return np.pad(grid, ((0, draw(st.integers(0, 2))), (0, draw(st.integers(0, 2)))))


# The label


def test_the_rule_gives_every_label_of_maze_hard(data_file):
    with gzip.open(data_file("maze_hard_train.csv.gz"), "rt", newline="") as file:
        rows = list(csv.DictReader(file))
    inputs = np.concatenate([tokens(row["question"]) for row in rows])
    answers = np.concatenate([tokens(row["answer"]) for row in rows])
    solution, length = label(inputs, (30, 30))
    assert len(rows) == 1000
    assert (solution == answers).all()
    assert (length - 1 == [int(row["rating"]) for row in rows]).all()
    assert judge(inputs, answers, (30, 30))[0].all()


@PROPERTY
@given(maze=mazes())
def test_label_and_distances_equal_a_plain_search(maze):
    solution, length = label(maze.reshape(1, -1), maze.shape)
    expected, expected_length = slow_label(maze)
    assert (solution == expected.reshape(1, -1)).all()
    assert length == expected_length
    found = slow_distances(maze)
    steps = [found.get(cell, -1) for cell in np.ndindex(*maze.shape)]
    assert distances(maze.reshape(1, -1), maze.shape)[0].tolist() == steps


def test_steps_go_down_then_left_then_right_then_up():
    assert (label(tokens("S  ", "   ", "  G"), (3, 3))[0] == tokens("S  ", "o  ", "ooG")).all()
    assert (label(tokens("G  ", "   ", "  S"), (3, 3))[0] == tokens("G  ", "o  ", "ooS")).all()
    assert (label(tokens("  G", "   ", "S  "), (3, 3))[0] == tokens("  G", "  o", "Soo")).all()
    assert (label(tokens("  S", "   ", "G  "), (3, 3))[0] == tokens("  S", "  o", "Goo")).all()


@pytest.mark.parametrize(
    "maze", [("S#G", "###", "   "), ("  G", "   ", "   "), ("S S", "  G", "   "), ("SG ", "  G", "   ")]
)
def test_a_maze_without_a_path_or_with_wrong_ends_has_no_label(maze):
    inputs = tokens(*maze)
    solution, length = label(inputs, (3, 3))
    assert (solution == inputs).all()
    assert length == 0
    solved, excess = judge(inputs, inputs, (3, 3))
    assert not solved.any()
    assert np.isnan(excess).all()


def test_padding_is_a_wall_without_a_label():
    inputs = tokens("S#_", " G_", "___")
    solution, length = label(inputs, (3, 3))
    assert (solution == tokens("S#_", "oG_", "___")).all()
    assert length == 3
    anything = np.where(inputs == PAD, [[77]], solution).astype(np.uint8)
    assert judge(inputs, anything, (3, 3))[0].all()
    around = tokens("S_G", "   ", "###")
    assert label(around, (3, 3))[1] == 5


# The judge


@PROPERTY
@given(maze=mazes(), seed=st.integers(0, 2**32), share=st.sampled_from([0.0, 0.1, 0.5, 0.9]))
def test_the_judge_equals_the_definition(maze, seed, share):
    """Answers are shortest paths, longer paths, and both with cells changed."""
    rng = np.random.default_rng(seed)
    harder = np.where((maze == FREE) & (rng.random(maze.shape) < share), WALL, maze).astype(np.uint8)
    longer = np.where(maze == FREE, slow_label(harder)[0], maze)
    answer = np.where(longer == WALL, maze, longer).astype(np.uint8)
    changed = answer.copy()
    changed.flat[rng.integers(maze.size)] = rng.choice([FREE, PATH, WALL, START, GOAL, PAD, 200])
    for one in (answer, changed):
        solved, excess = judge(maze.reshape(1, -1), one.reshape(1, -1), maze.shape)
        expected = slow_excess(maze, one)
        assert excess == pytest.approx([expected], nan_ok=True)
        assert solved == (expected == 0)


def test_every_shortest_path_is_solved_and_any_flaw_is_not():
    task = make_task("maze", size=10)
    batch = task.generate("medium", 200, np.random.default_rng(0))
    different = 0
    for order in (DOWN_LEFT_RIGHT_UP[::-1], DOWN_LEFT_RIGHT_UP[2:] + DOWN_LEFT_RIGHT_UP[:2]):
        other = [slow_label(maze.reshape(10, 10), order)[0].ravel() for maze in batch.inputs]
        assert task.solved(batch.inputs, np.stack(other)).all()
        different += (np.stack(other) != batch.solution).any(axis=1).sum()
    assert different > 100
    rng = np.random.default_rng(1)
    flawed = batch.solution.copy()
    for answer in flawed:
        cell = rng.integers(100)
        answer[cell] = rng.choice([token for token in range(8) if token != answer[cell]])
    assert not task.solved(batch.inputs, flawed).any()


MAZE = ("S  G", "    ", "    ", "   #")


@pytest.mark.parametrize(
    ("answer", "excess"),
    [
        (("SooG", "    ", "    ", "   #"), 0),
        (("S  G", "oooo", "    ", "   #"), 2),
        (("S  G", "o  o", "oooo", "   #"), 4),
        (("So G", " ooo", "    ", "   #"), 2),
        (("S oG", "oooo", "    ", "   #"), np.nan),  # touches itself
        (("SooG", "o   ", "    ", "   #"), np.nan),  # a branch at S
        (("SooG", " o  ", "    ", "   #"), np.nan),  # a branch on the way
        (("SooG", "    ", "    ", "o  #"), np.nan),  # a mark of its own
        (("SooG", "    ", "oo  ", "oo #"), np.nan),  # a ring of its own
        (("So G", "    ", "    ", "   #"), np.nan),  # broken
        (("S  G", "    ", "    ", "   #"), np.nan),  # nothing marked
        (("SooG", "    ", "    ", "    "), np.nan),  # a wall gone
        (("SooG", "    ", "    ", "   o"), np.nan),  # a wall marked
        (("SooG", "  # ", "    ", "   #"), np.nan),  # a new wall
        (("oooG", "    ", "    ", "   #"), np.nan),  # S gone
        (("Sooo", "    ", "    ", "   #"), np.nan),  # G gone
        (("SooG", "    ", " S  ", "   #"), np.nan),  # a second S
        (("SooG", "    ", " _  ", "   #"), np.nan),  # padding answered
    ],
)
def test_answers_by_hand(answer, excess):
    solved, found = judge(tokens(*MAZE), tokens(*answer), (4, 4))
    assert found == pytest.approx([excess], nan_ok=True)
    assert solved == (excess == 0)
    assert slow_excess(tokens(*MAZE).reshape(4, 4), tokens(*answer).reshape(4, 4)) == pytest.approx(
        excess, nan_ok=True
    )


def test_side_by_side_ends_need_no_mark():
    inputs = tokens("SG", "  ")
    assert judge(inputs, inputs, (2, 2))[0].all()
    assert np.isnan(judge(inputs, tokens("SG", "oo"), (2, 2))[1]).all()


def test_wrong_shapes_are_refused():
    with pytest.raises(ValueError, match=r"mazes have shape \(1, 9\); it must be \(N, 2\*2 cells\)"):
        label(tokens("S  ", "   ", "  G"), (2, 2))
    with pytest.raises(ValueError, match=r"answer has shape \(1, 4\)"):
        judge(tokens("S  ", "   ", "  G"), tokens("SG", "  "), (3, 3))
