"""Grids on the canvas: the layout of sapientinc/HRM and TinyRecursiveModels, cell by cell, and back."""

from __future__ import annotations

import numpy as np
import pytest

from envs.arc.canvas import crop, paint


def canvas(*rows: str) -> np.ndarray:
    return np.array(["_|0123456789".index(character) for row in rows for character in row], np.uint8)


@pytest.mark.parametrize(
    ("grid", "place", "rows"),
    [
        ([[7, 0], [3, 9]], (0, 0), ("70|_", "39|_", "||__", "____")),
        ([[7, 0], [3, 9]], (1, 2), ("____", "__70", "__39", "__||")),
        ([[7, 0, 1]], (3, 0), ("____", "____", "____", "701|")),
        ([[5] * 4] * 4, (0, 0), ("5555", "5555", "5555", "5555")),
    ],
)
def test_a_grid_has_end_marks_below_and_beside_it_as_far_as_there_is_room(grid, place, rows):
    painted = paint(np.array(grid, np.uint8), 4, *place)
    np.testing.assert_array_equal(painted, canvas(*rows))
    np.testing.assert_array_equal(crop(painted, 4), grid)


def test_what_an_answer_has_beyond_the_end_marks_does_not_count():
    answer = canvas("70|5", "39|5", "||55", "5555")
    np.testing.assert_array_equal(crop(answer, 4), [[7, 0], [3, 9]])


@pytest.mark.parametrize("rows", [("____",) * 4, ("70|_", "3||_", "||__", "____"), ("||__",) * 4])
def test_an_answer_without_a_rectangle_of_colours_is_no_grid(rows):
    assert crop(canvas(*rows), 4) is None
