"""Generated Sudoku: every level of every size in its range, with one solution, as a function of the seed."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from envs import NO_LEVEL, make_task
from envs.sudoku import count_guesses, count_solutions, generate_puzzles, generator, levels
from envs.sudoku.board import BOX_SHAPES

CASES = [(size, level) for size in BOX_SHAPES for level in levels.LEVELS]


@pytest.mark.parametrize(("size", "level"), CASES)
def test_puzzles_lie_in_their_level_and_have_one_solution(size, level):
    task = make_task("sudoku", size=size)
    index = task.levels.index(level)
    batch = task.generate(level, 200, np.random.default_rng(size))
    fewest, most = levels.CLUE_RANGES[size][index]
    clues = task.clues(batch.inputs)
    assert len(batch) == 200
    assert fewest <= clues.min()
    assert clues.max() <= most
    assert (batch.level == index).all()
    assert (task.level_of(batch.inputs) == index).all()
    assert (batch.identifier == 0).all()
    assert (count_solutions(batch.inputs) == 1).all()
    assert task.solved(batch.inputs, batch.solution).all()
    assert batch.inputs.dtype == batch.solution.dtype == np.uint8
    if size == 9 and level != "extreme":
        assert set(clues) == set(range(fewest, most + 1))


@pytest.mark.parametrize("size", BOX_SHAPES)
def test_the_fewest_clues_named_are_reached_or_known_to_be_rare(size):
    fewest = {4: 4, 6: 9, 9: 22}[size]  # 6x6 with 8 and 9x9 with 20 clues take too long for a test
    inputs, _ = generate_puzzles(size, (fewest, fewest), 3, np.random.default_rng(0))
    assert (levels.clue_counts(inputs) == fewest).all()
    assert generator.FEWEST_CLUES[size] <= fewest


def test_a_batch_is_a_function_of_its_arguments():
    task = make_task("sudoku")
    batches = [task.generate("hard", 20, np.random.default_rng(seed)).inputs for seed in (0, 0, 1)]
    assert (batches[0] == batches[1]).all()
    assert len(np.unique(np.concatenate(batches), axis=0)) == 40


def test_full_boards_are_spread_evenly_over_digits_and_boards():
    rng = np.random.default_rng(0)
    _, solutions = generate_puzzles(9, (46, 50), 2000, rng)
    share = np.stack([(solutions == token).mean(axis=0) for token in range(2, 11)])
    assert share.min() > 0.08
    assert share.max() < 0.145
    _, solutions = generate_puzzles(4, (10, 10), 288 * 100, rng)
    counts = np.unique(solutions, axis=0, return_counts=True)[1]
    assert len(counts) == 288
    chi_squared = ((counts - 100) ** 2 / 100).sum()
    assert chi_squared < 287 + 4 * (2 * 287) ** 0.5  # four standard deviations above the mean


@pytest.mark.parametrize(
    ("size", "clues", "message"),
    [
        (9, (17, 19), "19 clues are out of reach.*20 or more.*`catalogue`"),
        (6, (4, 7), "7 clues are out of reach.*8 or more"),
        (4, (1, 3), "3 clues are out of reach.*4 or more"),
        (9, (30, 20), "must be a range"),
        (9, (20, 90), "must be a range"),
        (5, (10, 12), "size is 5"),
    ],
)
def test_requests_out_of_reach_are_refused(size, clues, message):
    with pytest.raises(ValueError, match=message):
        generate_puzzles(size, clues, 1, np.random.default_rng(0))


def test_requests_that_are_too_rare_give_up_and_say_so(monkeypatch):
    monkeypatch.setattr(generator, "MAX_BOARDS", 50)
    with pytest.raises(ValueError, match=r"20 clues or fewer are too rare: none in 50 boards"):
        generate_puzzles(9, (17, 20), 5, np.random.default_rng(0))


def test_unknown_levels_are_refused():
    with pytest.raises(ValueError, match=r"unknown level 'tricky' \(levels: very-easy, easy"):
        make_task("sudoku").generate("tricky", 1, np.random.default_rng(0))


def test_clue_counts_between_levels_have_no_level():
    puzzles = np.ones((3, 81), np.uint8)
    puzzles[1, :51] = 2
    puzzles[2, :17] = 2
    assert levels.level_of(puzzles).tolist() == [NO_LEVEL, NO_LEVEL, levels.LEVELS.index("extreme")]


def test_levels_of_a_size_do_not_overlap_and_leave_no_gap():
    for ranges in levels.CLUE_RANGES.values():
        for easier, harder in pairwise(ranges):
            assert harder[1] == easier[0] - 1


def test_min_guesses_keeps_only_puzzles_that_need_them():
    task = make_task("sudoku", min_guesses=4)
    batch = task.generate("extreme", 50, np.random.default_rng(0))
    assert len(batch) == 50
    assert task.guesses(batch.inputs).min() >= 4
    assert (task.level_of(batch.inputs) == task.levels.index("extreme")).all()
    again = task.generate("extreme", 50, np.random.default_rng(0))
    assert (batch.inputs == again.inputs).all()


def test_min_guesses_that_no_puzzle_needs_are_refused_with_what_was_tried():
    with pytest.raises(
        ValueError, match=r"need 5 guesses: none of the last 100,\d+, 0 of 100,\d+ in all; low"
    ):
        make_task("sudoku", size=4, min_guesses=5).generate("easy", 1, np.random.default_rng(0))


def test_rare_puzzles_are_made_for_as_long_as_some_are_found(monkeypatch):
    """Not up to a number of boards that a large set needs more of."""
    monkeypatch.setattr("envs.sudoku.task.MOST_IN_VAIN", 4_000)
    task = make_task("sudoku", min_guesses=12)  # one in 60
    made = []
    monkeypatch.setattr(task, "guesses", lambda inputs: made.append(len(inputs)) or count_guesses(inputs))
    batch = task.generate("extreme", 100, np.random.default_rng(0))
    assert sum(made) > 4_000
    assert len(batch) == 100
    assert count_guesses(batch.inputs).min() >= 12


def test_wrong_options_are_refused():
    with pytest.raises(ValueError, match="size is 8; it must be one of 4, 6, 9"):
        make_task("sudoku", size=8)
    with pytest.raises(ValueError, match="min_guesses is -1"):
        make_task("sudoku", min_guesses=-1)
    with pytest.raises(ValueError, match="cannot be used with size 4"):
        make_task("sudoku", size=4, catalogue="puzzles.txt")
