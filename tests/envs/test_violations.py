"""The cells that break a rule: none exactly where no rule is broken."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs import PuzzleTask, make_task
from envs.maze.grid import CHARACTERS
from envs.sudoku.board import BLANK
from tests.envs.conftest import RULED

PROPERTY = settings(max_examples=100, deadline=None, derandomize=True)


@pytest.fixture(params=RULED)
def case(request):
    return request.param


def test_no_cell_breaks_the_rule_exactly_where_none_is_broken(task, pool):
    rng = np.random.default_rng(0)
    seen = set()
    for share in np.linspace(0, 0.5, 40) ** 2:  # of cells with some other token, also foreign ones
        other = rng.integers(0, task.vocab_size + 1, pool.inputs.shape, dtype=np.uint8)
        answer = np.where(rng.random(other.shape) < share, other, pool.solution)
        found = task.violations(pool.inputs, answer).any(axis=1)
        assert np.array_equal(found, task.broken(pool.inputs, answer).any(axis=1))
        assert np.array_equal(found, ~task.solved(pool.inputs, answer))
        seen |= set(found.tolist())
    assert seen == {False, True}


def test_a_task_that_says_no_more_names_what_was_given_and_is_changed():
    task = make_task("sudoku", size=4)
    inputs = task.parse("1234341221434.21").inputs
    answer = np.full_like(inputs, BLANK)
    assert np.array_equal(PuzzleTask.violations(task, inputs, answer), inputs != BLANK)


@PROPERTY
@given(size=st.sampled_from([4, 6, 9]), seed=st.integers(0, 2**32))
def test_the_cells_of_a_sudoku_that_break_the_rule(size, seed):
    task, rng = make_task("sudoku", size=size), np.random.default_rng(seed)
    puzzle = task.generate("easy", 1, rng)
    answer = np.where(rng.random(size**2) < 0.1, rng.integers(0, size + 3, size**2), puzzle.solution[0])
    where = task.coordinates()
    expected = np.zeros(size**2, bool)
    for cell, token in enumerate(answer):
        seen = [o for o in range(size**2) if o != cell and (where[o] == where[cell]).any()]
        given_token = puzzle.inputs[0, cell]
        expected[cell] = (
            not BLANK < token <= size + 1
            or given_token not in (BLANK, token)
            or any(answer[o] == token for o in seen)
        )
    assert np.array_equal(task.violations(puzzle.inputs, answer[None].astype(np.uint8))[0], expected)


@pytest.mark.parametrize(
    ("maze", "answer", "expected"),
    [
        ("S  / # /  G", "Soo/ #o/  G", "..."),  # right
        ("S  / # /  G", "So / # / oG", "0:1 2:1"),  # a gap: both ends of it
        ("S  / # /  G", "Soo/ #o/ oG", "2:1 2:2"),  # a stray end, and G with two neighbours
        ("S  / # /  G", "Soo/  o/  G", "1:1"),  # a wall opened
        ("S  / # /  G", "   / # /   ", "0:0 2:2"),  # S and G gone
        ("SG /   /   ", "SG /   /   ", "..."),
        ("SG /   /  #", "SG / oo/ o#", "0:1 1:1 1:2 2:1"),  # marks elsewhere, and G, which they touch
    ],
)
def test_the_cells_of_a_maze_that_break_the_rule(maze, answer, expected):
    task = make_task("maze", size=5)
    cells = np.zeros((2, 5, 5), np.uint8)
    for grid, text in zip(cells, (maze, answer), strict=True):
        grid[:3, :3] = [[CHARACTERS.index(c) for c in row] for row in text.split("/")]
    found = task.violations(cells[0].reshape(1, -1), cells[1].reshape(1, -1)).reshape(5, 5)
    assert [f"{r}:{c}" for r, c in np.argwhere(found)] == [p for p in expected.split() if p != "..."]


def test_a_line_that_is_too_long_is_marked_where_it_leaves_the_way():
    task = make_task("maze", size=5)
    rows = (["S   G", "     ", "     ", "     ", "     "], ["So oG", " ooo ", "     ", "     ", "     "])
    inputs, answer = (np.array([[CHARACTERS.index(c) for c in "".join(r)]], np.uint8) for r in rows)
    assert task.broken(inputs, answer).tolist() == [[False, False, False, True]]
    assert [f"{r}:{c}" for r, c in np.argwhere(task.violations(inputs, answer).reshape(5, 5))] == ["1:1"]


def test_marks_that_belong_to_no_line_are_named_where_there_is_one():
    task = make_task("maze", size=5)
    rows = (["SG   ", *["     "] * 4], ["SG   ", "     ", "     ", "   oo", "   oo"])
    inputs, answer = (np.array([[CHARACTERS.index(c) for c in "".join(r)]], np.uint8) for r in rows)
    found = np.argwhere(task.violations(inputs, answer).reshape(5, 5))
    assert found.tolist() == [[3, 3], [3, 4], [4, 3], [4, 4]]
