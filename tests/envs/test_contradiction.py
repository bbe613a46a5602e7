"""What a task's rule tells at a glance of a board with assumptions: never a word against the truth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs import PuzzleTask, UserError, make_task
from envs.maze import MazeTask, distances
from envs.maze.grid import CHARACTERS, PATH, START
from envs.search import refuse_unsearchable
from envs.sudoku import count_solutions
from envs.sudoku.board import BLANK, board_of_size
from tests.envs.conftest import SEARCHED

PROPERTY = settings(max_examples=100, deadline=None, derandomize=True)


@pytest.fixture(params=SEARCHED)
def case(request):
    return request.param


def with_some(boards: np.ndarray, filled: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """The boards (N, L), each cell with probability `share` as in `filled`."""
    return np.where(rng.random(boards.shape) < share, filled, boards).astype(np.uint8)


def test_no_part_of_a_solution_contradicts(task, pool):
    rng = np.random.default_rng(0)
    for share in np.linspace(0, 1, 101):
        assert not task.contradicts(with_some(pool.inputs, pool.solution, share, rng)).any()


def test_no_board_that_contradicts_is_right_and_all_others_that_are_full_are(task, pool):
    """Answers from right to hopeless; as assumptions those of a maze leave the free cells open."""
    rng = np.random.default_rng(1)
    tokens = np.array(task.assumable, np.uint8)
    agreed = 0
    for share in (0, 0.02, 0.1):
        other = np.where(task.unknown(pool.inputs), rng.choice(tokens, pool.inputs.shape), pool.solution)
        answer = with_some(pool.solution, other, share, rng)
        right, bad = task.solved(pool.inputs, answer), task.contradicts(answer)
        assert not (right & bad).any()
        full = ~task.unknown(answer).any(axis=1)
        assert (right | bad)[full].all()
        agreed += int(bad.sum())
    assert agreed > 0


# Sudoku


def contradicts_by_definition(size: int, board: np.ndarray) -> bool:
    units = [board[cells].tolist() for cells in board_of_size(size).cells_of]
    twice = any(len({*unit} - {BLANK}) < sum(token > BLANK for token in unit) for unit in units)
    for cell in np.flatnonzero(board == BLANK):
        seen = {token for unit in board_of_size(size).units_of[cell] for token in units[unit]}
        twice |= len(seen - {BLANK}) == size
    return bool(twice)


@PROPERTY
@given(size=st.sampled_from([4, 6, 9]), filled=st.floats(0, 1), wrong=st.floats(0, 0.3), seed=st.integers(0))
def test_a_sudoku_contradicts_where_a_digit_is_twice_or_none_fits(size, filled, wrong, seed):
    rng = np.random.default_rng(seed)
    task = make_task("sudoku", size=size)
    puzzle = task.generate("medium", 4, rng)
    board = with_some(puzzle.inputs, puzzle.solution, filled, rng)
    blank = puzzle.inputs == BLANK
    board = np.where(blank, with_some(board, rng.integers(2, size + 2, board.shape), wrong, rng), board)
    assert task.contradicts(board).tolist() == [contradicts_by_definition(size, row) for row in board]


def test_a_digit_without_a_place_is_not_seen_at_a_glance():
    """The 1 of the second row leaves the first row none, but every blank has some digit that fits."""
    task = make_task("sudoku", size=4)
    board = np.array([[3, 4, 1, 1, 1, 1, 2, 1, *[1] * 8]], np.uint8)  # 2 3 . . / . . 1 .
    assert count_solutions(board)[0] == 0
    assert not task.contradicts(board)[0]


def test_tokens_that_are_no_sudoku_are_refused():
    with pytest.raises(ValueError, match="outside 1"):
        make_task("sudoku", size=4).contradicts(np.zeros((1, 16), np.uint8))


# Mazes


def maze(*rows: str) -> np.ndarray:
    """(1, 25) a maze of up to 5x5; what is left out is padding."""
    text = "".join(row.ljust(5, "_") for row in rows).ljust(25, "_")
    return np.array([[CHARACTERS.index(c) for c in text]], np.uint8)


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param(("S o  ", "     ", "     ", "    G"), id="a mark in the open"),
        pytest.param(("S   o", "     ", "G   o"), id="marks in corners"),
        pytest.param(("Sooo ", "    G"), id="a beginning"),
        pytest.param(("SooG",), id="a shortest path"),
        pytest.param(("SG  ", "    "), id="side by side"),
        pytest.param(("S   o", "  oo ", "    G"), id="marks on no shortest path"),
    ],
)
def test_marks_that_may_be_part_of_an_answer_do_not_contradict(rows):
    assert not make_task("maze", size=5).contradicts(maze(*rows))[0]


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param(("     ", " ooo ", "  o  ", "S   G"), id="a branch"),
        pytest.param(("oSo  ", "     ", "    G"), id="two ways out of S"),
        pytest.param(("S    ", "    o", "   oG"), id="two ways into G"),
        pytest.param(("S    ", "## # ", "#o#  ", "# #  ", "###G "), id="a dead end"),
        pytest.param(("S  o#", "   # ", "G    "), id="a dead end in a corner"),
        pytest.param(("S   G", "ooo  ", "o o  ", "ooo  "), id="marks that touch S"),
        pytest.param(("S   G", "     ", "ooo  ", "o o  ", "ooo  "), id="a loop"),
        pytest.param(("SooG ", "     ", "  o  "), id="joined and a mark elsewhere"),
        pytest.param(("SG   ", "     ", "  o  "), id="side by side and a mark elsewhere"),
        pytest.param(("S G  ", "o o  ", "ooo  "), id="joined by a detour"),
        pytest.param(("#S#", "###", "G  "), id="S shut in"),
        pytest.param(("S    ", "    S", "    G"), id="two starts"),
        pytest.param(("S    ", "     "), id="no goal"),
    ],
)
def test_marks_that_cannot_be_part_of_an_answer_contradict(rows):
    assert make_task("maze", size=5).contradicts(maze(*rows))[0]


@PROPERTY
@given(share=st.floats(0, 1), seed=st.integers(0))
def test_no_part_of_any_shortest_path_contradicts(share, seed):
    """Not only the label's: a random walk downhill to G."""
    rng = np.random.default_rng(seed)
    task = make_task("maze", size=8)
    board = task.generate("medium", 1, rng).inputs[0]
    to_goal = distances(board[None], task.grid_shape)[0].reshape(task.grid_shape)
    path = board.reshape(task.grid_shape).copy()
    cell = np.argwhere(path == START)[0]
    while to_goal[tuple(cell)] > 1:
        near = cell + rng.permutation([[1, 0], [-1, 0], [0, 1], [0, -1]])
        near = near[((near >= 0) & (near < 8)).all(axis=1)]
        cell = next(step for step in near if to_goal[tuple(step)] == to_goal[tuple(cell)] - 1)
        path[tuple(cell)] = PATH
    assert task.solved(board[None], path.reshape(1, -1))[0]
    assert not task.contradicts(with_some(board[None], path.reshape(1, -1), share, rng))[0]


def test_a_task_without_tokens_to_assume_is_refused_in_one_line():
    class Plain(MazeTask):
        name = "plain"
        assumable = ()

    with pytest.raises(UserError, match="plain cannot be searched") as refusal:
        refuse_unsearchable(Plain())
    assert "\n" not in str(refusal.value)
    assert PuzzleTask.assumable == ()
