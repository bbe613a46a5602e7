"""A puzzle in another form, and the answer brought back: for every task that offers symmetries."""

from __future__ import annotations

import numpy as np
import pytest

from envs import PAD, PuzzleTask, make_task
from envs.maze.symmetries import SYMMETRIES, MazeSymmetries, transform

TASKS = {
    "sudoku 4": make_task("sudoku", size=4),
    "sudoku 6": make_task("sudoku", size=6),
    "sudoku 9": make_task("sudoku", size=9),
    "maze": make_task("maze", size=7),
    "maze on a canvas": make_task("maze", size=9, levels="easy=6:3-"),
}


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_what_is_undone_is_what_was(task: PuzzleTask) -> None:
    batch = task.generate("easy", 60, np.random.default_rng(0))
    symmetries = task.symmetries(batch.inputs, np.random.default_rng(1))
    turned = symmetries.apply(batch.inputs)
    assert (turned != batch.inputs).any(axis=1).mean() > 0.6
    np.testing.assert_array_equal(task.canonical(turned), task.canonical(batch.inputs))
    np.testing.assert_array_equal(symmetries.undo(turned), batch.inputs)
    np.testing.assert_array_equal(symmetries.undo(symmetries.apply(batch.solution)), batch.solution)


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_probabilities_are_brought_back_as_the_tokens_are(task: PuzzleTask) -> None:
    rng = np.random.default_rng(3)
    batch = task.generate("easy", 20, rng)
    symmetries = task.symmetries(batch.inputs, rng)
    chances = rng.random((20, task.length, task.vocab_size)).astype(np.float32)
    chances /= chances.sum(axis=2, keepdims=True)
    back = symmetries.undo_chances(chances)
    np.testing.assert_array_equal(
        back.argmax(axis=2), symmetries.undo(chances.argmax(axis=2).astype(np.uint8))
    )
    np.testing.assert_allclose(back.sum(axis=2), 1, atol=1e-6)
    inside = batch.inputs != PAD
    np.testing.assert_array_equal(
        np.sort(back[inside].ravel()), np.sort(chances[symmetries.apply(batch.inputs) != PAD].ravel())
    )


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_an_answer_is_right_exactly_where_the_answer_to_the_other_form_was(task: PuzzleTask) -> None:
    rng = np.random.default_rng(2)
    batch = task.generate("easy", 60, rng)
    symmetries = task.symmetries(batch.inputs, rng)
    turned = symmetries.apply(batch.inputs)
    answer = symmetries.apply(batch.solution)
    spoilt = rng.random(60) < 0.5
    answer[spoilt] = rng.integers(0, task.vocab_size, answer[spoilt].shape)  # also where there is padding
    right = task.solved(turned, answer)
    assert right.any()
    assert not right.all()
    np.testing.assert_array_equal(task.solved(batch.inputs, symmetries.undo(answer)), right)


def test_symmetries_of_two_and_three_puzzles_are_those_of_five() -> None:
    for task in TASKS.values():
        inputs = task.generate("easy", 5, np.random.default_rng(0)).inputs
        whole = task.symmetries(inputs, np.random.default_rng(3)).apply(inputs)
        rng = np.random.default_rng(3)
        parts = [task.symmetries(part, rng).apply(part) for part in (inputs[:2], inputs[2:])]
        np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_maze_symmetries_are_the_transforms() -> None:
    canvas = np.zeros((3, 8, 8), np.uint8)
    canvas[0, 2:6, 3:8] = np.random.default_rng(0).integers(1, 6, (4, 5))  # neither square nor in the corner
    canvas[1] = np.random.default_rng(1).integers(1, 6, (8, 8))
    canvas[2, 0, 0] = 3
    inputs = canvas.reshape(3, 64)
    for number in range(SYMMETRIES):
        which = np.full(3, number)
        symmetries = MazeSymmetries.of(inputs, 8, which)
        np.testing.assert_array_equal(symmetries.apply(inputs), transform(inputs, 8, which))
        np.testing.assert_array_equal(symmetries.undo(symmetries.apply(inputs)), inputs)
    nothing = np.full((1, 64), PAD, np.uint8)
    assert not MazeSymmetries.of(nothing, 8, np.array([5])).apply(nothing).any()


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_traits_count_something_of_every_puzzle(task: PuzzleTask) -> None:
    inputs = task.generate("easy", 20, np.random.default_rng(0)).inputs
    for name in task.traits:
        found = task.trait(name, inputs)
        assert found.shape == (20,)
        assert found.dtype == np.int64
    assert task.traits
    if task.name == "sudoku":
        np.testing.assert_array_equal(task.trait("clues", inputs), (~task.unknown(inputs)).sum(axis=1))
    else:
        np.testing.assert_array_equal(task.trait("length", inputs), task.path_lengths(inputs))
