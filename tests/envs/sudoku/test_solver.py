"""Sudoku rules and search, against brute force on small boards and known puzzles on large ones."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs import make_task
from envs.sudoku import count_guesses, count_solutions, solve
from envs.sudoku.board import BOX_SHAPES, board_of_size
from envs.sudoku.solver import conflicting_cells, is_solved
from tests.helpers.paths import ROOT

PROPERTY = settings(max_examples=60, deadline=None, derandomize=True)

# Published puzzles: (puzzle, clues, whether naked and hidden singles suffice)
KNOWN = {
    "Wikipedia": (
        "53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79",
        30,
        True,
    ),
    "17 clues, a": (
        "000000010400000000020000000000050407008000300001090000300400200050100000000806000",
        17,
        True,
    ),
    "17 clues, b": (
        "000000012000035000000600070700000300000400800100000000000120000080000040050000600",
        17,
        True,
    ),
    "Inkala 2010": (
        "..53.....8......2..7..1.5..4....53...1..7...6..32...8..6.5....9..4....3......97..",
        23,
        False,
    ),
    "Inkala 2012": (
        "8..........36......7..9.2...5...7.......457.....1...3...1....68..85...1..9....4..",
        21,
        False,
    ),
    "AI Escargot": (
        "1....7.9..3..2...8..96..5....53..9...1..8...26....4...3......1..4......7..7...3..",
        23,
        False,
    ),
    "Golden Nugget": (
        ".......39.....1..5..3.5.8....8.9...6.7...2...1..4.......9.8..5..2....6..4..7.....",
        21,
        False,
    ),
    "Easter Monster": (
        "1.......2.9.4...5...6...7...5.9.3.......7.......85..4.7.....6...3...9.8...2.....1",
        21,
        False,
    ),
}
SOLUTIONS = {
    "Wikipedia": "534678912672195348198342567859761423426853791713924856961537284287419635345286179",
    "Inkala 2012": "812753649943682175675491283154237896369845721287169534521974368438526917796318452",
}


def tokens(*texts: str) -> np.ndarray:
    return np.array([[1 if c in ".0" else int(c) + 1 for c in text] for text in texts], np.uint8)


@cache
def all_boards_4x4() -> np.ndarray:
    """(288, 16) every full 4x4 board, from row permutations alone."""
    boards = []
    for rows in product(permutations(range(2, 6)), repeat=4):
        board = np.array(rows)
        boxes = board.reshape(2, 2, 2, 2).swapaxes(1, 2).reshape(4, 4)
        if all(len(set(line)) == 4 for line in (*board.T, *boxes)):
            boards.append(board.ravel())
    return np.array(boards, np.uint8)


puzzles_4x4 = st.builds(
    lambda board, keep: np.where(keep, all_boards_4x4()[board], 1)[None].astype(np.uint8),
    st.integers(0, 287),
    st.lists(st.booleans(), min_size=16, max_size=16),
)
any_4x4 = st.lists(st.sampled_from([1, 1, 1, 1, 2, 3, 4, 5]), min_size=16, max_size=16).map(
    lambda cells: np.array([cells], np.uint8)
)


@PROPERTY
@given(puzzle=st.one_of(puzzles_4x4, any_4x4))
def test_all_solutions_of_small_puzzles_are_counted(puzzle):
    matching = ((puzzle == 1) | (puzzle == all_boards_4x4())).all(axis=1)
    assert count_solutions(puzzle, limit=1000) == matching.sum()
    solution, count = solve(puzzle)
    assert count == min(matching.sum(), 2)
    if matching.any():
        assert bytes(solution[0]) in set(map(bytes, all_boards_4x4()[matching]))
    else:
        assert (solution == 0).all()


def test_the_empty_small_board_has_288_solutions():
    assert count_solutions(np.ones((1, 16), np.uint8), limit=10_000) == 288


@pytest.mark.parametrize("name", KNOWN)
def test_known_puzzles_have_one_solution(name):
    text, clues, singles = KNOWN[name]
    puzzle = tokens(text)
    assert (puzzle > 1).sum() == clues
    solution, count = solve(puzzle)
    assert count == 1
    assert is_solved(puzzle, solution).all()
    assert (count_guesses(puzzle)[0] == 0) == singles
    if name in SOLUTIONS:
        assert (solution == tokens(SOLUTIONS[name])).all()


def test_no_known_puzzle_can_spare_a_clue_it_needs():
    puzzle = tokens(KNOWN["17 clues, a"][0])
    for cell in np.flatnonzero(puzzle[0] > 1):
        fewer = puzzle.copy()
        fewer[0, cell] = 1
        assert count_solutions(fewer) == 2


def test_clashing_clues_have_no_solution():
    assert solve(tokens("11" + "." * 79))[1] == 0
    assert solve(tokens("1234.....5........" + "." * 63))[1] == 1 + 1
    # No clash, but the first cell sees all nine digits.
    impossible = tokens(".12345678" + "9" + "." * 71)
    assert not conflicting_cells(impossible).any()
    assert solve(impossible)[1] == 0


@pytest.mark.parametrize("size", BOX_SHAPES)
def test_boxes_rows_and_columns_cover_the_board(size):
    board = board_of_size(size)
    for kind in range(3):
        assert sorted(board.cells_of[kind * size : (kind + 1) * size].ravel()) == list(range(size * size))
    rows, columns = np.divmod(board.cells_of[2 * size], size)
    assert (rows.max() + 1, columns.max() + 1) == BOX_SHAPES[size]


def test_tokens_and_shapes_that_are_no_sudoku_are_refused():
    with pytest.raises(ValueError, match="tokens outside 1"):
        solve(np.zeros((1, 81), np.uint8))
    with pytest.raises(ValueError, match="no square board"):
        solve(np.ones((1, 80), np.uint8))
    with pytest.raises(ValueError, match="size is 5"):
        solve(np.ones((1, 25), np.uint8))
    with pytest.raises(ValueError, match="limit is 0"):
        count_solutions(np.ones((1, 16), np.uint8), limit=0)
    assert [len(part) for part in solve(np.ones((0, 81), np.uint8))] == [0, 0]


# The rule


@pytest.mark.parametrize("size", BOX_SHAPES)
@settings(max_examples=40, deadline=None, derandomize=True)
@given(data=st.data())
def test_an_answer_is_right_only_if_it_is_complete_keeps_clues_and_breaks_no_rule(size, data):
    task = make_task("sudoku", size=size)
    puzzle = task.generate("hard", 1, np.random.default_rng(data.draw(st.integers(0, 5))))
    assert task.solved(puzzle.inputs, puzzle.solution).all()
    answer = puzzle.solution.copy()
    cell = data.draw(st.integers(0, size * size - 1))
    answer[0, cell] = data.draw(st.integers(0, 255).filter(lambda token: token != answer[0, cell]))
    assert not task.solved(puzzle.inputs, answer).any()


def test_every_solution_of_a_puzzle_is_right():
    puzzle = np.where(np.arange(16) < 4, all_boards_4x4(), 1).astype(np.uint8)[:1]
    answers = all_boards_4x4()
    keeps_clues = (answers[:, :4] == puzzle[:, :4]).all(axis=1)
    assert keeps_clues.sum() > 1
    assert (is_solved(np.repeat(puzzle, len(answers), axis=0), answers) == keeps_clues).all()


def test_a_full_board_that_ignores_a_clue_is_wrong():
    puzzle = tokens(KNOWN["Wikipedia"][0])
    renamed = solve(puzzle)[0] % 9 + 2  # every digit renamed: valid, but no clue kept
    assert is_solved(np.ones_like(puzzle), renamed).all()
    assert not is_solved(puzzle, renamed).any()


def test_compiled_code_loads_from_its_cache_in_another_process():
    code = "import numpy as np; from envs.sudoku import solve; print(solve(np.ones((1, 16), np.uint8))[1][0])"
    root = str(ROOT)
    path = os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])
    solve(np.ones((1, 16), np.uint8))
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path}
    )
    assert (result.returncode, result.stdout.strip()) == (0, "2"), result.stderr
