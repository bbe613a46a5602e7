"""One puzzle from text or tokens: its form, the proof that it has a solution, and the cell to name if not."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs import DataError, make_task
from envs.sudoku import count_solutions
from envs.sudoku.board import BLANK
from tests.envs.conftest import RULED

PROPERTY = settings(max_examples=150, deadline=None, derandomize=True)
NINE, FOUR, MAZE = make_task("sudoku"), make_task("sudoku", size=4), make_task("maze", size=5)
IMPOSSIBLE = ".....5.8....6.1.43..........1.5........1.6...3.......553.....61........4........."
"""Norvig's puzzle without a solution, which takes this solver 2.6 million guesses."""


@pytest.fixture(params=RULED)
def case(request):
    return request.param


def test_what_a_task_makes_has_the_form_of_a_puzzle_and_is_proven(task, pool):
    for inputs, solution in zip(pool.inputs, pool.solution, strict=True):
        task.check(inputs)
        known = np.zeros_like(solution) if task.label_decides else solution
        assert np.array_equal(task.prove(inputs), known)
        assert np.array_equal(task.encode(task.write_text(inputs)), inputs)


def fault(task, puzzle: str | list[int]) -> tuple[str, int | None]:
    """What is wrong with a puzzle, and where."""

    def proven() -> None:
        tokens = task.encode(puzzle) if isinstance(puzzle, str) else np.array(puzzle, np.uint8)
        task.check(tokens)
        task.prove(tokens)

    with pytest.raises(DataError) as error:
        proven()
    assert "\n" not in str(error.value)
    return str(error.value), error.value.cell


@pytest.mark.parametrize(
    ("task", "puzzle", "line", "cell"),
    [
        (FOUR, "11" + "." * 14, "the puzzle has no solution: row 1, column 1 and row 1, column 2 are", 1),
        (FOUR, "123....4" + "." * 8, "no solution: row 1, column 4 can be no digit", 3),
        (FOUR, "." * 16, "the puzzle has several solutions: row 3, column 2 can be 3 or 4", 9),
        (FOUR, [1] * 15, "the puzzle has 15 cells, not 16", None),
        (FOUR, [1] * 15 + [6], "row 4, column 4 is token 6; it must be below 6", 15),
        (FOUR, [1] * 4 + [0] + [1] * 11, "row 2, column 1 is token 0, padding, which no Sudoku has", 4),
        (MAZE, "S#G\n## \n   ", "G cannot be reached from S: row 1, column 3", 2),
        (MAZE, "S S\n   \n  G", "the maze has 2 S: row 1, column 1 and row 1, column 3", 2),
        (MAZE, "  S\n   \n   ", "the maze has no G", None),
        (MAZE, "  S\n o \nG  ", "row 2, column 2 of the maze is 'o', which only answers have", 6),
        (MAZE, "  S\n x \nG  ", "row 2, column 2 of the maze is 'x', not one of '# SG'", None),
        (MAZE, [3, 5, 4] + [2] * 22, "row 1, column 2 of the maze is 'o', which only answers have", 1),
        (MAZE, [3, 2, 0, 4, 2] + [2] * 20, "row 1, column 3 is padding within the maze of 5x5", 2),
        (MAZE, [0, 3, 4] + [0] * 22, "row 1, column 1 is padding within the maze of 1x2", 0),
    ],
)
def test_the_cell_that_is_at_fault_is_named(task, puzzle, line, cell):
    message, where = fault(task, puzzle)
    assert line in message
    assert where == cell


@PROPERTY
@given(size=st.sampled_from([4, 6, 9]), clues=st.integers(0, 40), seed=st.integers(0, 2**32))
def test_a_sudoku_is_proven_exactly_if_it_has_one_solution(size, clues, seed):
    """Boards of digits at random that do not clash, most of them without a solution."""
    task, rng = make_task("sudoku", size=size), np.random.default_rng(seed)
    board = np.full(size**2, BLANK, np.uint8)
    where = task.coordinates()
    for cell in rng.permutation(size**2)[:clues]:
        seen = set(board[(where == where[cell]).any(axis=1)].tolist())
        free = [token for token in task.assumable if token not in seen]
        board[cell] = rng.choice(free) if free else BLANK
    count = count_solutions(board[None])[0]
    if count == 1:
        assert task.solved(board[None], task.prove(board)[None]).all()
        return
    message, cell = fault(task, board.tolist())
    assert ("several" if count else "no solution") in message
    assert board[cell] == BLANK
    if count > 1:  # both digits are right
        digits = [int(word) for word in message.split(" can be ")[1].split(" or ")]
        for digit in digits:
            tried = board.copy()
            tried[cell] = digit + BLANK
            assert count_solutions(tried[None])[0] > 0


def test_a_proof_is_given_up_in_time():
    begun = time.perf_counter()
    message, _ = fault(NINE, IMPOSSIBLE)
    assert "too hard to prove: 100,000 guesses" in message
    assert time.perf_counter() - begun < 5


def test_levels_that_need_a_cache_are_not_quick():
    maze = make_task("maze", size=6)
    assert [maze.quick(level) for level in maze.levels] == [True, True, True, False]
    assert all(NINE.quick(level) for level in NINE.levels)
    assert not make_task("sudoku", min_guesses=10).quick("extreme")
