"""Pictures of tasks that are no boards: grids of colours, and strings."""

from __future__ import annotations

import re

import numpy as np

from envs import PAD, View
from envs.drawing import strings
from envs.drawing.colours import COLOURS
from tests.helpers.drawn import END, ZERO, FlipTask, TintTask

GRID = np.array([[4, 5, END, 0], [2, 3, END, 0], [END, END, END, 0], [0, 0, 0, 0]], np.uint8).ravel()
"""Two rows of two colours on a canvas of 4x4, with end marks."""


def plain(text: str) -> list[str]:
    return re.sub(r"\033\[[\d;]*m", "", text).split("\n")


def test_a_grid_is_cropped_to_its_colours_and_drawn_in_them() -> None:
    task = TintTask(4)
    assert plain(task.render_text(View(GRID))) == ["2 3 ", "0 1 "]
    image = task.render_rgb(View(GRID))
    half = len(image) // 2
    for (row, column), colour in np.ndenumerate(np.array([[2, 3], [0, 1]])):
        assert tuple(image[row * half + half // 2, column * half + half // 2]) == COLOURS[colour]


def test_the_grid_of_an_answer_ends_where_its_colours_end_and_what_lies_outside_is_not_drawn() -> None:
    task, answer = TintTask(4), GRID.copy()
    answer[15] = ZERO + 9  # behind the marks: it was never taught
    assert plain(task.render_text(View(GRID, answer))) == ["2 3 ", "0 1 "]
    answer[[2, 6]] = ZERO + 7  # a wider one
    assert plain(task.render_text(View(GRID, answer, GRID))) == ["2 3 7!", "0 1 7!"]
    answer = np.full(16, END, np.uint8)  # none at all, but where its label is can be seen
    assert plain(task.render_text(View(GRID, answer, GRID))) == ["·!·!", "·!·!"]
    assert plain(task.render_text(View(GRID, answer))) == ["· "]


def test_a_string_wraps_and_has_its_marks_below() -> None:
    task = FlipTask(40)
    puzzle = task.generate("long", 1, np.random.default_rng(0))
    question, solution = puzzle.inputs[0], puzzle.solution[0]
    wrong, before = solution.copy(), solution.copy()
    wrong[3] = 1 + wrong[3] % 3
    before[35] = 1 + before[35] % 3
    lines = plain(task.render_text(View(question, wrong, solution, before)))
    text = "".join(task.characters[token] for token in wrong)
    assert lines == [text[:32], " " * 3 + "!" + " " * 28, text[32:], "   *    "]
    rows, columns = task.render_rgb(View(question)).shape[:2]
    assert (rows, columns) == (2 * 24, 32 * 15)


def test_what_an_answer_says_behind_the_end_of_a_string_is_not_drawn() -> None:
    task = FlipTask(8)
    question = np.array([1, 2, 3, PAD, PAD, PAD, PAD, PAD], np.uint8)
    answer = np.full(8, 2, np.uint8)
    assert plain(task.render_text(View(question, answer)))[0] == "111"
    nothing = np.zeros(8, np.uint8)
    assert plain(task.render_text(View(nothing))) == [" ", " "]
    assert task.render_rgb(View(nothing)).shape == (24, 8 * 15, 3)


def test_characters_without_a_look_of_their_own_have_a_stand_in() -> None:
    assert [strings.visible(character) for character in "a \n\t\x07"] == ["a", " ", "↵", "→", "·"]


def test_pictures_mark_wrong_and_changed_characters() -> None:
    task = FlipTask(8)
    question = np.array([1, 1, 1, 1, 1, 1, 1, 1], np.uint8)
    right = task.prove(question)
    wrong = right.copy()
    wrong[2] = 1
    clean = task.render_rgb(View(question, right, right))
    marked = task.render_rgb(View(question, wrong, right, right))
    differs = (clean != marked).any(axis=(0, 2)).reshape(8, 15).any(axis=1)
    assert differs.tolist() == [False, False, True, False, False, False, False, False]
