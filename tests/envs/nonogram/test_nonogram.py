"""Nonograms: the rule against runs counted one by one, line logic, symmetries, proofs, a puzzle's form."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from envs import NO_LEVEL, DataError, UserError, make_task
from envs.nonogram.lines import clues_of, fill, one_pass, passes
from envs.nonogram.symmetries import NonogramSymmetries
from envs.nonogram.task import EMPTY, FILLED, NonogramTask

TASK = NonogramTask(3)
CROSS = "_____" + "__131" + "_1???" + "_3???" + "_1???"
"""A plus sign of 3x3: 1, 3, 1 both ways."""
PLUS = ".#.###.#."


def answered(text: str, grid: str) -> np.ndarray:
    """(1, L) an answer to a 3x3 puzzle."""
    return tokens(text.replace("?", "{}").format(*grid))


def tokens(text: str) -> np.ndarray:
    return np.array([[TASK.characters.index(character) for character in text]], np.uint8)


def runs(line: np.ndarray) -> list[int]:
    return [len(list(group)) for value, group in itertools.groupby(line.tolist()) if value] or [0]


def test_clues_are_the_runs_of_every_line() -> None:
    grids = np.random.default_rng(0).integers(0, 2, (40, 6, 6)).astype(np.int8)
    for grid, (rows, columns) in zip(grids, clues_of(grids), strict=True):
        assert [[k for k in clue if k >= 0] for clue in rows.tolist()] == [runs(line) for line in grid]
        assert [[k for k in clue if k >= 0] for clue in columns.tolist()] == [runs(line) for line in grid.T]


def test_the_rule_accepts_every_grid_with_these_clues_and_no_other() -> None:
    text = "_____" + "__111" + "_1???" * 3
    right = []
    for cells in itertools.product(".#", repeat=9):
        grid = "".join(cells)
        if TASK.solved(tokens(text), answered(text, grid))[0]:
            right.append(grid)
    assert len(right) == 6  # one filled cell a row and a column: permutations
    label = TASK.prove(tokens(text)[0])
    assert TASK.solved(tokens(text), label[None])[0]


def test_what_breaks_the_rule_is_named_with_its_cells() -> None:
    question = tokens(CROSS)
    assert TASK.solved(question, answered(CROSS, PLUS))[0]
    wrong = answered(CROSS, "##.###.#.")
    assert TASK.broken(question, wrong)[0].tolist() == [False, False, True, True]
    assert np.flatnonzero(TASK.violations(question, wrong)[0]).tolist() == [12, 13, 14, 17, 22]
    assert TASK.measure(question, wrong)[0, 0] == pytest.approx(4 / 6)
    left = answered(CROSS, ".#.###.#?")
    assert TASK.broken(question, left)[0].tolist() == [False, True, False, False]
    changed = answered(CROSS, PLUS)
    changed[0, 11] += 1
    assert TASK.broken(question, changed)[0].tolist() == [True, False, False, False]


def test_line_logic_finds_what_all_fillings_share_and_no_more() -> None:
    grids = np.random.default_rng(1).integers(0, 2, (20, 4, 4)).astype(np.int8)
    clues, every = clues_of(grids), np.array(list(itertools.product([0, 1], repeat=16)), np.int8)
    all_clues = clues_of(every.reshape(-1, 4, 4))
    for n, grid in enumerate(grids):
        same = every[(all_clues == clues[n]).all(axis=(1, 2, 3))].reshape(-1, 4, 4)
        known, stuck = one_pass(clues[n : n + 1], np.full((1, 4, 4), -1, np.int8))
        assert not stuck[0]
        assert ((known[0] == -1) | (known[0] == grid)).all()
        assert ((known[0] == -1) | (same == known[0]).all(axis=0)).all()
        if passes(clues[n : n + 1], 9)[0] <= 9:
            assert len(same) == 1
        assert (clues_of(fill(clues[n : n + 1])[None]) == clues[n]).all()


@pytest.mark.parametrize("level", NonogramTask.levels)
@pytest.mark.parametrize("size", [4, 5, 6])
def test_levels_are_by_passes_of_line_logic(size: int, level: str) -> None:
    task = make_task("nonogram", size=size)
    puzzles = task.generate(level, 20, np.random.default_rng(size))
    assert task.solved(puzzles.inputs, puzzles.solution).all()
    assert task.level_of(puzzles.inputs).tolist() == [task.levels.index(level)] * 20
    assert task.level_of(puzzles.solution).tolist() == [NO_LEVEL] * 20


def test_a_symmetry_turns_the_clues_with_the_grid() -> None:
    task, rng = NonogramTask(5), np.random.default_rng(2)
    puzzles = task.generate("medium", 16, rng)
    for which in range(8):
        form = NonogramSymmetries(puzzles.inputs, 5, np.full(16, which))
        inputs, solution = form.apply(puzzles.inputs), form.apply(puzzles.solution)
        assert task.solved(inputs, solution).all()
        np.testing.assert_array_equal(form.undo(solution), puzzles.solution)
        np.testing.assert_array_equal(task.canonical(inputs), task.canonical(puzzles.inputs))
        assert (inputs != puzzles.inputs).any() == (which > 0)


def test_a_contradiction_is_a_line_that_cannot_be_filled_any_more() -> None:
    board = tokens(CROSS)
    assert not TASK.contradicts(board)[0]
    board[0, 12:15] = (EMPTY, FILLED, EMPTY)
    assert not TASK.contradicts(board)[0]
    board[0, 17] = EMPTY  # the row of three, and the column below it, are not finished
    assert TASK.contradicts(board)[0]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("_1_____131" + "_1???_3???_1???", "row 1, column 2 is not padding"),
        ("______2_31" + "_1???_3???_1???", "row 2, column 2 is not padding"),
        ("_______131" + "_1???_3???_1??.", "row 5, column 5 is not ?"),
        ("_______131" + "1_???_3???_1???", "row 3, column 2 is no clue of row 1"),
        ("_______131" + "_1???22???_1???", "row 4, column 2 is no clue of row 2"),
        ("_______1_1" + "_1???_3???_1???", "row 2, column 4 is no clue of column 2"),
    ],
)
def test_what_is_no_puzzle_is_refused_with_its_cell(text: str, why: str) -> None:
    with pytest.raises(DataError) as error:
        TASK.encode(text)
    assert str(error.value) == why


def test_clues_that_no_grid_has_are_refused() -> None:
    with pytest.raises(DataError, match="no grid has these clues"):
        TASK.prove(TASK.encode("_______300" + "_1???_1???_0???"))
    with pytest.raises(UserError, match="3 to 8"):
        NonogramTask(9)
