"""The maze task: levels, symmetries, measures, mazes smaller than their canvas."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from envs import NO_LEVEL, PuzzleBatch, make_task
from envs.maze import label
from envs.maze.grid import CHARACTERS, FREE, GOAL, PAD, PATH, START, WALL
from envs.maze.levels import default_levels, longest_path
from envs.maze.symmetries import transform

SIZES = range(5, 65)


def puzzles(size: int = 10, level: str = "medium", count: int = 60, levels: str = "") -> PuzzleBatch:
    return make_task("maze", size=size, levels=levels).generate(level, count, np.random.default_rng(1))


def square_symmetries(grid: np.ndarray) -> list[np.ndarray]:
    """The eight of them by NumPy alone."""
    return [np.rot90(side, turns) for side in (grid, grid.T) for turns in range(4)]


# Levels


def test_the_default_levels_of_a_size_leave_no_gap_do_not_overlap_and_are_not_empty():
    for size in SIZES:
        levels = default_levels(size)
        assert [level.name for level in levels] == ["very-easy", "easy", "medium", "hard"]
        assert levels[0].fewest == 3
        assert levels[-1].most == longest_path(size)
        assert all(level.fewest <= level.most for level in levels)
        assert all(harder.fewest == easier.most + 1 for easier, harder in pairwise(levels))


def test_the_default_levels_are_those_of_the_table_and_hard_is_maze_hard():
    bounds = {size: [level.fewest for level in default_levels(size)] for size in (5, 10, 20, 30)}
    assert bounds == {5: [3, 4, 5, 15], 10: [3, 5, 10, 34], 20: [3, 10, 20, 72], 30: [3, 15, 30, 110]}


def test_all_of_maze_hard_is_hard(data_file):
    task = make_task("maze", size=30)
    batch = task.read(data_file("maze_hard_train.csv.gz"))
    assert len(batch) == 1000
    assert (batch.level == task.levels.index("hard")).all()


def test_the_level_goes_by_the_length_of_the_path():
    task = make_task("maze", size=5)
    rows = {"SG": NO_LEVEL, "S G": 0, "S  G": 1, "S   G": 2, "S#G": 2, "S##G": 2}
    for row, level in rows.items():
        inputs = np.array([[CHARACTERS.index(c) for c in row.ljust(25)]], np.uint8)
        assert task.level_of(inputs).tolist() == [level], row
    blocked = np.array([[CHARACTERS.index(c) for c in "S#".ljust(5) + "##".ljust(19) + "G"]], np.uint8)
    assert task.level_of(blocked).tolist() == [NO_LEVEL]


def test_a_curriculum_by_size_and_length_is_a_string():
    task = make_task("maze", size=12, levels="tiny=5:3-6, s10=10x10:10-20,long=12:20-")
    assert task.levels == ("tiny", "s10", "long")
    for index, (size, fewest, most) in enumerate([(5, 3, 6), (10, 10, 20), (12, 20, longest_path(12))]):
        batch = task.generate(task.levels[index], 50, np.random.default_rng(0))
        grids = batch.inputs.reshape(50, 12, 12)
        assert (grids[:, :size, :size] != PAD).all()
        assert (grids[:, size:] == PAD).all()
        assert (grids[:, :, size:] == PAD).all()
        assert ((batch.solution == PAD) == (batch.inputs == PAD)).all()
        lengths = task.path_lengths(batch.inputs)
        assert lengths.min() >= fewest
        assert lengths.max() <= most
        assert (batch.level == index).all()
        assert (task.level_of(batch.inputs) == index).all()
        assert task.solved(batch.inputs, batch.solution).all()


def test_a_maze_that_fits_two_levels_is_of_the_first():
    inputs = puzzles(10, "medium").inputs
    first = make_task("maze", size=10, levels="a=10:10-20,b=10:2-")
    expected = np.where(first.path_lengths(inputs) <= 20, 0, 1)
    assert (first.level_of(inputs) == expected).all()
    assert (make_task("maze", size=10, levels="a=9:2-").level_of(inputs) == NO_LEVEL).all()


@pytest.mark.parametrize(
    ("levels", "message"),
    [
        ("s6", "'s6' in levels is no level"),
        ("s6=6", "'s6=6' in levels is no level"),
        ("s6=6:3", "is no level"),
        ("s6=6:3-5;", "is no level"),
        ("s6=6:3-5,", "'' in levels is no level"),
        ("=6:3-", "is no level"),
        ("s6=6x7:3-", "level s6 is 6x7; mazes are square"),
        ("s4=4:3-", "level s4 has size 4; it must be 5 to 12"),
        ("s13=13:3-", "level s13 has size 13; it must be 5 to 12, the size of the task"),
        ("s6=6:1-4", "level s6 has paths of 1-4 cells"),
        ("s6=6:9-8", "level s6 has paths of 9-8 cells"),
        ("s6=6:26-", "level s6 has paths of 26 cells or more; a maze of 6x6 has 25 at most"),
        ("a=6:3-,a=7:3-", "level a is there twice"),
    ],
)
def test_wrong_levels_are_refused_with_the_right_form(levels, message):
    with pytest.raises(ValueError, match=message) as refusal:
        make_task("maze", size=12, levels=levels)
    assert "s6=6:3-,s10=10:10-36" in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 4}, "maze size is 4; it must be a whole number, 5 to 64"),
        ({"size": 65}, "maze size is 65"),
        ({"size": 9.5}, "maze size is 9.5"),
        ({"rule": "two-sweeps"}, r"maze rule is 'two-sweeps' \(two-sweeps was removed in 0.2.0\); leave"),
        ({"cache": 0}, "cache is 0; it must be a whole number, 1 or more"),
        ({"cache_seed": -1}, "cache_seed is -1"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        make_task("maze", **options)


def test_unknown_levels_are_refused():
    for name in ("tricky", "extreme"):
        with pytest.raises(ValueError, match=rf"unknown level '{name}' \(levels: very-easy, easy"):
            make_task("maze").generate(name, 1, np.random.default_rng(0))


# Symmetries


def test_the_eight_transforms_are_those_of_the_square():
    inputs = puzzles(7, count=20).inputs
    turned = [transform(inputs, 7, np.full(20, which)) for which in range(8)]
    assert (turned[0] == inputs).all()
    for maze, *versions in zip(inputs, *turned, strict=True):
        expected = {bytes(version) for version in square_symmetries(maze.reshape(7, 7))}
        assert {bytes(version) for version in versions} == expected
        assert len(expected) == 8


def test_augmenting_takes_every_transform_equally_often_and_labels_by_the_rule():
    task = make_task("maze", size=7)
    one = puzzles(7, count=1)
    batch = one.take(np.zeros(4000, np.int64))
    after = task.augment(batch, np.random.default_rng(0))
    versions, counts = np.unique(after.inputs, axis=0, return_counts=True)
    assert len(versions) == 8
    assert np.abs(counts - 500).max() < 5 * np.sqrt(4000 * 7 / 64)
    assert (after.solution == label(after.inputs, (7, 7))[0]).all()
    assert (task.level_of(after.inputs) == batch.level).all()
    assert (batch.inputs == one.inputs).all()


@pytest.mark.parametrize(("first", "second"), [(1, 1), (2, 3), (7, 8)])
def test_augmenting_in_parts_equals_augmenting_at_once(first, second):
    task = make_task("maze", size=10)
    batch = puzzles().take(slice(0, first + second))
    rng = np.random.default_rng(3)
    parts = [task.augment(batch.take(part), rng) for part in (slice(0, first), slice(first, None))]
    whole = task.augment(batch, np.random.default_rng(3))
    assert (PuzzleBatch.concatenate(parts).inputs == whole.inputs).all()
    assert (PuzzleBatch.concatenate(parts).solution == whole.solution).all()


def labels_turned_wrongly(task, inputs: np.ndarray, solution: np.ndarray) -> float:
    """The share of mazes whose turned label, for half a turn, is not the label of the turned maze; it must
    be a shortest path all the same."""
    half_turn = np.full(len(inputs), 3)
    turned, moved = transform(inputs, task.size, half_turn), transform(solution, task.size, half_turn)
    assert task.solved(turned, moved).all()
    return (label(turned, task.grid_shape)[0] != moved).any(axis=1).mean()


def test_turning_the_label_with_the_maze_would_be_wrong():
    batch = puzzles(10, "medium", 500)
    assert labels_turned_wrongly(make_task("maze", size=10), batch.inputs, batch.solution) > 0.5


def test_turning_the_label_would_be_wrong_for_nearly_all_of_maze_hard(data_file):
    task = make_task("maze", size=30)
    batch = task.read(data_file("maze_hard_train.csv.gz"))
    assert labels_turned_wrongly(task, batch.inputs, batch.solution) > 0.95


def test_the_canonical_form_is_shared_by_the_eight_transforms_and_by_nothing_else():
    task = make_task("maze", size=6)
    inputs = puzzles(6, "easy", 2000).inputs
    canonical = task.canonical(inputs)
    for which in range(8):
        turned = transform(inputs, 6, np.full(len(inputs), which))
        assert (task.canonical(turned) == canonical).all()
        assert (task.invariant(turned) == task.invariant(inputs)).all()
    for maze, form in zip(inputs, canonical, strict=True):
        versions = sorted(bytes(version) for version in square_symmetries(maze.reshape(6, 6)))
        assert bytes(form) == versions[0]
    changed = inputs.copy()
    changed[:, 0] = np.where(changed[:, 0] == FREE, WALL, FREE)
    assert (task.canonical(changed) != canonical).any(axis=1).all()


def test_a_small_maze_is_turned_in_its_corner_of_the_canvas():
    task = make_task("maze", size=9, levels="s5=5:4-")
    batch = task.generate("s5", 50, np.random.default_rng(0))
    after = task.augment(batch, np.random.default_rng(1))
    grids = after.inputs.reshape(50, 9, 9)
    assert (grids[:, :5, :5] != PAD).all()
    assert (grids[:, 5:] == PAD).all()
    assert (grids[:, :, 5:] == PAD).all()
    assert (task.canonical(after.inputs) == task.canonical(batch.inputs)).all()
    assert task.solved(after.inputs, after.solution).all()
    assert (task.level_of(after.inputs) == 0).all()
    inner = transform(np.ascontiguousarray(grids[:, :5, :5]).reshape(50, 25), 5, np.full(50, 6))
    outer = transform(after.inputs, 9, np.full(50, 6)).reshape(50, 9, 9)
    assert (outer[:, :5, :5].reshape(50, 25) == inner).all()


def test_a_maze_that_is_no_square_is_turned_too():
    inputs = np.zeros((1, 25), np.uint8)
    inputs.reshape(5, 5)[:2, :3] = [[START, FREE, GOAL], [WALL, FREE, WALL]]
    turned = transform(inputs, 5, np.array([4])).reshape(5, 5)
    assert (turned[:3, :2] == [[START, WALL], [FREE, FREE], [GOAL, WALL]]).all()
    assert (turned[3:] == PAD).all()
    task = make_task("maze", size=5)
    for which in range(8):
        assert (task.canonical(transform(inputs, 5, np.array([which]))) == task.canonical(inputs)).all()
    assert (transform(np.zeros((1, 25), np.uint8), 5, np.array([5])) == PAD).all()


# Measures


def test_measures_tell_longer_paths_from_no_paths():
    task = make_task("maze", size=5)
    maze = "S   G".ljust(25)
    answers = {
        "SoooG": (0.0, 0.0),
        "S   Gooooo": (1.0, 2.0),
        "S   Go   oooooo": (1.0, 4.0),
        "SooogSooo": (0.0, np.nan),
        "Soo G": (0.0, np.nan),
    }
    code = {character: token for token, character in enumerate(CHARACTERS)} | {"g": FREE}
    inputs = np.array([[code[c] for c in maze]] * len(answers), np.uint8)
    answer = np.array([[code[c] for c in text.ljust(25)] for text in answers], np.uint8)
    assert task.measures == ("valid_longer", "excess_length")
    assert task.measure(inputs, answer) == pytest.approx(np.array(list(answers.values())), nan_ok=True)
    assert task.solved(inputs, answer).tolist() == [True, False, False, False, False]


def test_the_free_cells_are_what_an_answer_has_to_find():
    batch = puzzles()
    task = make_task("maze", size=10)
    unknown = task.unknown(batch.inputs)
    assert (unknown == (batch.inputs == FREE)).all()
    assert (batch.solution[~unknown] == batch.inputs[~unknown]).all()
    assert np.isin(batch.solution[unknown], (FREE, PATH)).all()


def test_mazes_have_the_tokens_of_the_field():
    assert (PAD, WALL, FREE, START, GOAL, PATH) == (0, 1, 2, 3, 4, 5)
    task = make_task("maze", size=30)
    assert (task.vocab_size, task.length, task.grid_shape) == (6, 900, (30, 30))
