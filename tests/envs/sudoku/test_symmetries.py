"""The symmetries of Sudoku keep what makes a puzzle a puzzle."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs import PuzzleBatch, make_task
from envs.sudoku import count_guesses, count_solutions
from envs.sudoku.board import BOX_SHAPES
from envs.sudoku.symmetries import random_symmetries, symmetry_hash
from tests.helpers.sudoku import group_order

PROPERTY = settings(max_examples=20, deadline=None, derandomize=True)
every_size = pytest.mark.parametrize("size", BOX_SHAPES)


def puzzles(size: int, level: str = "hard", count: int = 40) -> PuzzleBatch:
    return make_task("sudoku", size=size).generate(level, count, np.random.default_rng(1))


def test_the_groups_have_their_known_orders():
    assert group_order(9) == 1_218_998_108_160
    assert group_order(6) == 2_488_320  # without transposition
    assert group_order(4) == 3072


def test_every_symmetry_of_a_small_board_is_drawn():
    drawn = random_symmetries(4, 60_000, np.random.default_rng(0))
    different = np.unique(np.concatenate([drawn.cells, drawn.tokens], axis=1), axis=0, return_counts=True)[1]
    assert len(different) == group_order(4)
    assert different.max() < 3 * 60_000 / group_order(4)


@every_size
@PROPERTY
@given(seed=st.integers(0, 2**32))
def test_symmetries_keep_clues_uniqueness_and_solutions(size, seed):
    task = make_task("sudoku", size=size)
    before = puzzles(size)
    after = task.augment(before, np.random.default_rng(seed))
    assert (task.clues(after.inputs) == task.clues(before.inputs)).all()
    assert (count_solutions(after.inputs) == 1).all()
    assert task.solved(after.inputs, after.solution).all()
    assert (after.level == before.level).all()
    assert (after.inputs != before.inputs).any(axis=1).mean() > 0.9


@every_size
@PROPERTY
@given(first=st.integers(1, 20), second=st.integers(1, 20), seed=st.integers(0, 9))
def test_augmenting_in_parts_equals_augmenting_at_once(size, first, second, seed):
    task = make_task("sudoku", size=size)
    batch = puzzles(size).take(slice(0, first + second))
    rng = np.random.default_rng(seed)
    parts = [task.augment(batch.take(part), rng) for part in (slice(0, first), slice(first, None))]
    whole = task.augment(batch, np.random.default_rng(seed))
    assert (PuzzleBatch.concatenate(parts).inputs == whole.inputs).all()
    assert (PuzzleBatch.concatenate(parts).solution == whole.solution).all()


def test_augmenting_leaves_its_argument_and_unlabelled_cells_alone():
    task = make_task("sudoku")
    batch = puzzles(9)
    unlabelled = PuzzleBatch(batch.inputs, np.where(batch.inputs > 1, 0, batch.solution), *[batch.level] * 2)
    copy = unlabelled.inputs.copy()
    after = task.augment(unlabelled, np.random.default_rng(0))
    assert (unlabelled.inputs == copy).all()
    assert ((after.solution == 0) == (after.inputs > 1)).all()


@every_size
def test_the_symmetry_hash_is_shared_by_symmetries_and_by_nothing_else(size):
    batch = puzzles(size, "hard", 300)
    after = make_task("sudoku", size=size).augment(batch, np.random.default_rng(2))
    assert (symmetry_hash(batch.inputs) == symmetry_hash(after.inputs)).all()
    if size == 9:  # small boards have few puzzles: many of those drawn are symmetries of each other
        assert len(np.unique(symmetry_hash(batch.inputs))) == 300


def test_the_symmetry_hash_sees_every_clue():
    inputs, solution = puzzles(9).inputs[:1], puzzles(9).solution[:1]
    hashes = {int(symmetry_hash(inputs)[0])}
    blanks = np.flatnonzero(inputs[0] == 1)
    for cell in blanks:
        added = inputs.copy()
        added[0, cell] = solution[0, cell]
        hashes.add(int(symmetry_hash(added)[0]))
    assert len(hashes) == len(blanks) + 1


@pytest.mark.parametrize(
    ("puzzle", "value"),
    [
        ("1.4.3..1.1..4..2", 0x372DB2C95FAA5F2F),
        ("1..4..2..3..1..4..2..3..1..4..2..3..", 0x6174D84C6CBFE304),
        (
            ".......1.4.........2...........5.4.7..8...3....1.9....3..4..2...5.1........8.6...",
            0x46F9E464E5AD918E,
        ),
        ("___11...........", 0x5D405486AA796ED4),
    ],
)
def test_the_symmetry_hash_never_changes(puzzle, value):
    """It decides which puzzles of a catalogue are held out, in old runs as in new ones."""
    tokens = np.array([["_.123456789".index(character) for character in puzzle]], np.uint8)
    assert symmetry_hash(tokens)[0] == value


def test_the_symmetry_hash_refuses_tokens_above_the_last_digit():
    with pytest.raises(ValueError, match="tokens above 5"):
        symmetry_hash(np.full((1, 16), 6, np.uint8))


def test_difficulty_for_the_solver_is_nearly_kept():
    """Guesses depend on ties between cells, so a symmetry may change them, but not on average."""
    batch = puzzles(9, "extreme", 500)
    after = make_task("sudoku").augment(batch, np.random.default_rng(0))
    assert ((count_guesses(batch.inputs) == 0) == (count_guesses(after.inputs) == 0)).all()
    assert count_guesses(after.inputs).mean() == pytest.approx(count_guesses(batch.inputs).mean(), rel=0.2)
