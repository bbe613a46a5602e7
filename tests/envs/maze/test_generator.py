"""Random mazes: a function of the seed, in their level, drawn as those of Maze-Hard were."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from envs import make_task
from envs.maze import generator, label
from envs.maze.cache import Pools
from envs.maze.generator import advance, generate_mazes, is_rare
from envs.maze.grid import FREE, GOAL, START, WALL
from envs.maze.levels import Level, default_levels, longest_path
from envs.maze.sampling import draw_all

ANY = 10**9
OURS = 250
"""Hard mazes that are made to be compared: each takes a tenth of a second."""


def lengths_of(mazes: np.ndarray) -> np.ndarray:
    size = round(mazes.shape[1] ** 0.5)
    return label(mazes, (size, size))[1]


def ks_limit(first: int, second: int, significance: float = 1e-3) -> float:
    """The Kolmogorov-Smirnov distance that two samples of one distribution exceed that rarely."""
    return float(np.sqrt(-np.log(significance / 2) / 2 * (1 / first + 1 / second)))


def ks_distance(first: np.ndarray, second: np.ndarray) -> float:
    """The largest difference of two empirical distribution functions."""
    values = np.union1d(first, second)
    shares = [np.searchsorted(np.sort(x), values, "right") / len(x) for x in (first, second)]
    return float(np.abs(shares[0] - shares[1]).max())


@pytest.mark.parametrize(
    ("size", "level"), list(product([5, 6, 7, 10, 30, 64], ["very-easy", "easy", "medium"]))
)
def test_mazes_lie_in_their_level_and_have_one_start_one_goal_and_their_share_of_walls(size, level):
    task = make_task("maze", size=size)
    index = task.levels.index(level)
    batch = task.generate(level, 100, np.random.default_rng(size))
    lengths = task.path_lengths(batch.inputs)
    assert task.ranges[index].fewest <= lengths.min()
    assert lengths.max() <= task.ranges[index].most
    assert (batch.level == index).all()
    assert (task.level_of(batch.inputs) == index).all()
    assert (batch.identifier == 0).all()
    assert task.solved(batch.inputs, batch.solution).all()
    assert (batch.solution == label(batch.inputs, task.grid_shape)[0]).all()
    assert batch.inputs.dtype == batch.solution.dtype == np.uint8
    for token, count in ((START, 1), (GOAL, 1)):
        assert ((batch.inputs == token).sum(axis=1) == count).all()
    walls = (batch.inputs == WALL).mean(axis=1)
    assert walls.min() >= 0.3
    assert walls.max() <= 0.5
    assert set(np.unique(batch.inputs)) == {WALL, FREE, START, GOAL}


def test_a_batch_is_a_function_of_its_arguments():
    task = make_task("maze", size=12)
    batches = [task.generate("medium", 20, np.random.default_rng(seed)).inputs for seed in (0, 0, 1)]
    assert (batches[0] == batches[1]).all()
    assert len(np.unique(np.concatenate(batches), axis=0)) == 40


def test_a_maze_does_not_depend_on_where_the_work_was_cut():
    level = Level("", 10, 20, 30)
    whole = generate_mazes(level, 10, np.random.default_rng(0))
    seeds = np.random.default_rng(0).integers(0, 2**64, size=10, dtype=np.uint64)
    tries, mazes, made = np.zeros(10, np.int64), np.empty_like(whole), 0
    while made < 10:
        made += advance(level, seeds[made:], tries[made:], mazes[made:], budget=3)
    assert (mazes == whole).all()
    assert tries.max() > 3


def test_every_board_of_a_number_of_walls_is_as_likely_as_any_other():
    """All 4x4 mazes of one number of walls: chi-squared over the wall, S and G of each
    cell, and over pairs."""
    count = 40_000
    seeds = np.random.default_rng(0).integers(0, 2**64, size=count, dtype=np.uint64)
    mazes = np.empty((count, 16), np.uint8)
    assert draw_all(4, 0, ANY, seeds, np.zeros(count, np.int64), ANY, ANY, mazes) == count
    walls = (mazes == WALL).sum(axis=1)
    kinds, numbers = np.unique(walls, return_counts=True)
    assert kinds.tolist() == [5, 6, 7, 8]
    assert np.abs(numbers - count / 4).max() < 5 * np.sqrt(count * 3 / 16)
    for number in kinds:
        chosen = mazes[walls == number]
        isolated = chosen == WALL
        share = number / 16
        assert np.abs(isolated.mean(axis=0) - share).max() < 5 * np.sqrt(share * (1 - share) / len(chosen))
        together = (isolated.astype(float).T @ isolated / len(chosen))[~np.eye(16, dtype=bool)]
        share *= (number - 1) / 15
        assert np.abs(together - share).max() < 5 * np.sqrt(share * (1 - share) / len(chosen))
        for token in (START, GOAL):
            assert np.abs((chosen == token).mean(axis=0) - 1 / 16).max() < 5 * np.sqrt(1 / 16 / len(chosen))


def test_path_lengths_are_those_of_drawing_in_plain_numpy():
    """The compiled search of whole rows at once against the label rule on mazes that NumPy drew."""
    size, count = 10, 20_000
    rng = np.random.default_rng(0)
    plain = np.full((count, size * size), FREE, np.uint8)
    for maze in plain:
        cells = rng.permutation(size * size)
        walls = rng.integers(30, 51)
        maze[cells[:walls]], maze[cells[walls]], maze[cells[walls + 1]] = WALL, START, GOAL
    drawn = np.empty_like(plain)
    seeds = rng.integers(0, 2**64, size=count, dtype=np.uint64)
    draw_all(size, 0, ANY, seeds, np.zeros(count, np.int64), ANY, ANY, drawn)
    assert ks_distance(lengths_of(drawn), lengths_of(plain)) < ks_limit(count, count)


@pytest.mark.parametrize("size", [5, 13, 32, 33, 64])
def test_the_length_that_the_search_finds_is_that_of_the_label(size):
    count = 300
    seeds = np.random.default_rng(size).integers(0, 2**64, size=count, dtype=np.uint64)
    unlimited, mazes = np.empty((count, size**2), np.uint8), np.empty((1, size**2), np.uint8)
    draw_all(size, 0, ANY, seeds.copy(), np.zeros(count, np.int64), ANY, ANY, unlimited)
    for seed, length in zip(seeds, lengths_of(unlimited), strict=True):
        for offset in (-1, 0, 1):
            arguments = (np.array([seed]), np.zeros(1, np.int64), ANY, 1, mazes)
            made = draw_all(size, length + offset, length + offset, *arguments)
            assert made == (offset == 0)
    assert 0.3 < (lengths_of(unlimited) > 0).mean() < 0.8


def test_hard_is_rare_and_the_other_levels_are_not():
    for size in (5, 6, 10, 20, 30):
        rare = [is_rare(level) for level in default_levels(size)]
        assert rare == [False, False, False, True]


def test_levels_that_are_too_rare_give_up_and_say_so(monkeypatch):
    monkeypatch.setattr(generator, "MOST_TRIES", 5000)
    level = Level("far", 30, 300, longest_path(30))
    with pytest.raises(
        ValueError, match="level far are too rare: 5,000 random mazes of 30x30 had no shortest path"
    ):
        generate_mazes(level, 3, np.random.default_rng(0))


def hard_mazes_agree(mazes: np.ndarray, theirs: np.ndarray) -> dict[str, tuple[float, float]]:
    """KS distance and its limit for path length and wall share of two sets of mazes."""
    limit = ks_limit(len(mazes), len(theirs))
    walls = [(x == WALL).sum(axis=1) for x in (mazes, theirs)]
    return {
        "length": (ks_distance(lengths_of(mazes), lengths_of(theirs)), limit),
        "walls": (ks_distance(*walls), limit),
    }


@pytest.mark.slow
def test_hard_mazes_are_like_those_of_maze_hard(data_file, tmp_path, monkeypatch):
    """Path length and wall share of 250 against 1,000, by two-sample Kolmogorov-Smirnov tests at 0.1 %.
    Making them takes about half a minute of one core."""
    monkeypatch.setenv("HRM_RL_CACHE", str(tmp_path))
    theirs = make_task("maze", size=30).read(data_file("maze_hard_train.csv.gz")).inputs
    hard = default_levels(30)[3]
    ours = Pools(OURS, seed=0).of(hard, lambda what, done, total: None).training
    assert (len(ours), len(theirs)) == (OURS, 1000)
    for distance, limit in hard_mazes_agree(ours, theirs).values():
        assert distance < limit
    longer = ks_distance(lengths_of(ours) + 2, lengths_of(theirs))
    assert longer > ks_limit(OURS, 1000), "the test can tell paths that are two cells longer"
