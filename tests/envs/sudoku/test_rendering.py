"""Pictures of Sudoku: what is wrong shows, with and without colour."""

from __future__ import annotations

import re

import numpy as np
import pytest

from envs import View, make_task
from envs.sudoku.board import BOX_SHAPES

TASK = make_task("sudoku", size=4)
INPUTS = np.array([2, 3, 1, 1, 4, 5, 1, 1, 3, 2, 1, 1, 1, 1, 3, 1], np.uint8)
SOLUTION = np.array([2, 3, 5, 4, 4, 5, 2, 3, 3, 2, 4, 5, 5, 4, 3, 2], np.uint8)


def plain(text: str) -> str:
    lines = re.sub(r"\033\[[0-9;]*m", "", text).split("\n")
    return "\n".join(line.rstrip() for line in lines)


def test_a_puzzle_as_text():
    assert plain(TASK.render_text(View(INPUTS))) == (
        " 1  2  | .  .\n 3  4  | .  .\n-------+-------\n 2  1  | .  .\n .  .  | 2  ."
    )


def test_a_right_answer_as_text():
    assert plain(TASK.render_text(View(INPUTS, SOLUTION, SOLUTION))) == (
        " 1  2  | 4' 3'\n 3  4  | 1' 2'\n-------+-------\n 2  1  | 3' 4'\n 4' 3' | 2  1'"
    )


def test_wrong_cells_are_those_that_differ_from_the_solution():
    answer = SOLUTION.copy()
    answer[2] = 4  # 3 where 4 belongs
    answer[3] = 1  # no digit
    answer[0] = 5  # a clue changed
    answer[11] = 200  # no token
    assert plain(TASK.render_text(View(INPUTS, answer, SOLUTION))) == (
        " 4! 2  | 3! .!\n 3  4  | 1' 2'\n-------+-------\n 2  1  | 3' ?!\n 4' 3' | 2  1'"
    )


def test_without_a_solution_wrong_is_what_breaks_a_rule():
    answer = SOLUTION.copy()
    answer[2] = 4  # the second 3 in its row, beside an answered one
    assert plain(TASK.render_text(View(INPUTS, answer))) == (
        " 1  2  | 3! 3!\n 3  4  | 1' 2'\n-------+-------\n 2  1  | 3! 4'\n 4' 3' | 2  1'"
    )
    answer = SOLUTION.copy()
    answer[2] = 3  # meets the clue beside it, which is not at fault
    assert " 1  2  | 2! 3'\n" in plain(TASK.render_text(View(INPUTS, answer)))


def test_six_by_six_has_boxes_of_two_rows_and_three_columns():
    task = make_task("sudoku", size=6)
    lines = plain(task.render_text(View(np.ones(36, np.uint8)))).split("\n")
    assert [i for i, line in enumerate(lines) if set(line) <= set("-+")] == [2, 5]
    assert lines[0].count("|") == 1


@pytest.mark.parametrize("size", BOX_SHAPES)
def test_images_are_square_and_show_every_cell_state(size):
    task = make_task("sudoku", size=size)
    batch = task.generate("medium", 1, np.random.default_rng(0))
    inputs, solution = batch.inputs[0], batch.solution[0]
    empty, full = task.render_rgb(View(inputs)), task.render_rgb(View(inputs, solution, solution))
    assert empty.shape == full.shape
    assert empty.shape[0] == empty.shape[1]
    assert empty.shape[2] == 3
    assert empty.dtype == np.uint8
    assert (task.render_rgb(View(inputs)) == empty).all()
    assert (empty != full).any()

    cell = int(np.flatnonzero(inputs == 1)[0])
    answer = solution.copy()
    answer[cell] = 2 if solution[cell] != 2 else 3
    changed = (task.render_rgb(View(inputs, answer, solution)) != full).any(axis=2)
    rows, columns = np.nonzero(changed)
    pixels = (empty.shape[0] - 2) // size
    assert set(rows // pixels) == {cell // size}
    assert set(columns // pixels) == {cell % size}
    grey = task.render_rgb(View(inputs, answer, solution)).mean(axis=2)
    assert (np.abs(grey - full.mean(axis=2)) > 20).any()  # the mark shows without colour


def test_any_token_can_be_drawn():
    answer = np.arange(16, dtype=np.uint8) * 17
    assert TASK.render_rgb(View(INPUTS, answer, SOLUTION)).shape == TASK.render_rgb(View(INPUTS)).shape
    assert "?!" in plain(TASK.render_text(View(INPUTS, answer)))


def test_an_answer_of_another_size_is_refused():
    with pytest.raises(ValueError, match="answer has shape"):
        TASK.render_text(View(INPUTS, SOLUTION[:9]))
