"""Pictures of answers with assumptions, of every task and of one that leaves its pictures to the default."""

from __future__ import annotations

import re

import numpy as np
import pytest

from envs import PAD, PuzzleTask, View
from envs.drawing import DIM
from tests.envs.conftest import RULED


class DefaultPictures:
    """Another task's puzzles, drawn as those of a task that draws nothing itself."""

    def __init__(self, task: PuzzleTask):
        self.characters, self.grid_shape, self.drawn_as = task.characters, task.grid_shape, task.drawn_as

    render_text, render_rgb = PuzzleTask.render_text, PuzzleTask.render_rgb


@pytest.fixture(params=RULED)
def case(request):
    return request.param


@pytest.fixture(params=[False, True], ids=["own", "default"])
def pictures(request, task):
    return DefaultPictures(task) if request.param else task


@pytest.fixture
def view(task, pool) -> View:
    """A right answer with two assumptions."""
    filled = np.flatnonzero(pool.inputs[0] != pool.solution[0])
    assumed = np.isin(np.arange(task.length), filled[:2])
    return View(pool.inputs[0], pool.solution[0], pool.solution[0], assumed=assumed)


def test_text_dims_and_marks_what_is_assumed(pictures, view):
    without = pictures.render_text(View(view.inputs, view.answer, view.solution))
    text = pictures.render_text(view)
    assert DIM not in without
    assert text.count(DIM) == text.count("~") == 2
    assert len(plain(text)) == len(plain(without))


def test_a_wrong_assumption_is_marked_as_wrong_in_dimmed_text(pictures, task, view):
    cell = np.flatnonzero(view.assumed)[0]
    answer = view.answer.copy()
    answer[cell] = answer[cell] - 1 if answer[cell] > 2 else 3
    text = pictures.render_text(View(view.inputs, answer, view.solution, assumed=view.assumed))
    assert text.count(DIM) == 2
    if task.name == "sudoku":
        assert plain(text).count("!") == 1


def test_an_image_is_paler_where_something_is_assumed_and_the_same_elsewhere(pictures, view):
    without = pictures.render_rgb(View(view.inputs, view.answer, view.solution)).astype(int)
    image = pictures.render_rgb(view).astype(int)
    differs = (image != without).any(axis=-1)
    assert 0 < differs.mean() < 2.5 / (view.inputs != PAD).sum()
    assert (image[differs].sum(axis=-1) > without[differs].sum(axis=-1)).all()


def test_a_picture_without_an_answer_shows_no_assumptions(pictures, view):
    alone = View(view.inputs, assumed=view.assumed)
    assert pictures.render_text(alone) == pictures.render_text(View(view.inputs))
    assert (pictures.render_rgb(alone) == pictures.render_rgb(View(view.inputs))).all()


def plain(text: str) -> str:
    return re.sub(r"\033\[[0-9;]*m", "", text)
