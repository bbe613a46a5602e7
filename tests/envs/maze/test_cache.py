"""Rare mazes are made once: by one process, whatever interrupts it, in two parts that share no maze."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from envs import make_task
from envs.maze import cache
from envs.maze.cache import Pools, cache_folder
from envs.maze.levels import Level
from tests.helpers.paths import ROOT

LEVELS = "far=5:13-"  # 3 in 10,000 random mazes
LEVEL = Level("far", 5, 13, 17)
COUNT, HELD_OUT = 25, 3


def silent(what: str, done: int, total: int) -> None:
    pass


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("HRM_RL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def made(monkeypatch) -> list[int]:
    """The numbers of the mazes that are made, in order."""
    numbers: list[int] = []
    make = cache._Making._make

    def recorded(self, index, stop):
        maze = make(self, index, stop)
        if maze is not None:
            numbers.append(index)
        return maze

    monkeypatch.setattr(cache._Making, "_make", recorded)
    return numbers


def pools(seed: int = 0) -> Pools:
    return Pools(COUNT, seed)


def task(**options):
    return make_task("maze", size=6, levels=LEVELS, cache=COUNT, **options)


def same(first, second) -> bool:
    return all(np.array_equal(one, other) for one, other in zip(first, second, strict=True))


def test_a_pool_is_made_once_and_read_by_the_next_task(made, folder):
    first = task().generate("far", 10, np.random.default_rng(0))
    number = len(made)
    assert number >= COUNT + HELD_OUT
    assert [path.name for path in folder.glob("*.npz")] == ["maze-5x5-13-17-unbiased-25-seed0-v1.npz"]
    second = task().generate("far", 10, np.random.default_rng(0))
    assert len(made) == number
    assert (first.inputs == second.inputs).all()


def test_prepare_makes_what_generate_then_draws_on(made):
    reports = []
    prepared = task()
    prepared.prepare(["far"], lambda *report: reports.append(report))
    assert reports[-1] == ("5x5 mazes with paths of 13 or more cells", COUNT + HELD_OUT, COUNT + HELD_OUT)
    assert [done for _, done, _ in reports] == sorted(done for _, done, _ in reports)
    number = len(made)
    prepared.generate("far", 5, np.random.default_rng(0))
    assert len(made) == number


def test_levels_made_on_the_fly_need_no_folder(folder):
    easy = make_task("maze", size=10)
    easy.prepare(["easy", "medium"], silent)
    easy.generate("easy", 5, np.random.default_rng(0))
    assert not folder.exists()


def test_a_pool_does_not_depend_on_the_number_of_threads_and_another_seed_gives_another(monkeypatch, folder):
    first = pools().of(LEVEL, silent)
    pools().path(LEVEL).unlink()
    monkeypatch.setattr(cache, "usable_cpus", lambda: 5)
    assert same(pools().of(LEVEL, silent), first)
    assert not same(pools(seed=1).of(LEVEL, silent), first)
    assert pools().path(LEVEL) != pools(seed=1).path(LEVEL)


def test_parts_share_no_maze_under_any_symmetry():
    drawn = task()
    pool = pools().of(LEVEL, silent)
    assert (len(pool.training), len(pool.held_out)) == (COUNT, HELD_OUT)
    parts = [
        drawn.canonical(drawn.generate("far", 300, np.random.default_rng(1), held_out).inputs)
        for held_out in (False, True)
    ]
    training, held_out = (set(map(bytes, part)) for part in parts)
    assert not training & held_out
    assert len(held_out) == len(set(map(bytes, pool.held_out)))


def test_mazes_from_a_pool_are_turned_in_all_ways_and_labelled_by_the_rule():
    drawn = task()
    batch = drawn.generate("far", 400, np.random.default_rng(2))
    assert drawn.solved(batch.inputs, batch.solution).all()
    assert (drawn.level_of(batch.inputs) == 0).all()
    assert (drawn.path_lengths(batch.inputs) >= 13).all()
    assert len(np.unique(batch.inputs, axis=0)) > 4 * COUNT


@pytest.mark.parametrize("damage", ["cut", "garbage", "empty", "other mazes", "too few"])
def test_a_damaged_file_is_made_again(damage, made):
    first = pools().of(LEVEL, silent)
    path, number = pools().path(LEVEL), len(made)
    data = path.read_bytes()
    if damage == "cut":
        path.write_bytes(data[: len(data) // 2])
    elif damage == "garbage":
        path.write_bytes(data[:300] + bytes(200) + data[500:])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "other mazes":
        np.savez(path, training=np.ones_like(first.training), held_out=first.held_out)
    else:
        np.savez(path, training=first.training[1:], held_out=first.held_out)
    assert same(pools().of(LEVEL, silent), first)
    assert len(made) > number
    assert same(pools().of(LEVEL, silent), first)


def test_what_was_made_before_an_interruption_is_not_made_again(made, folder):
    def interrupt(what, done, total):
        if done >= 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pools().of(LEVEL, interrupt)
    assert len(list(folder.glob("*.unfinished.npz"))) == 1
    made.clear()
    resumed = pools().of(LEVEL, silent)
    assert all(index >= 10 for index in made)  # none, if its threads were faster than the interrupt
    assert list(folder.glob("*.unfinished.npz")) == []
    pools().path(LEVEL).unlink()
    assert same(pools().of(LEVEL, silent), resumed)


def test_threads_that_ask_at_once_make_it_once(made):
    reports = []
    with ThreadPoolExecutor(3) as executor:
        asked = [executor.submit(pools().of, LEVEL, lambda *report: reports.append(report)) for _ in range(3)]
        results = [future.result() for future in asked]
    assert same(results[0], results[1])
    assert same(results[0], results[2])
    assert len(made) == len(set(made))


@pytest.mark.slow
def test_processes_that_ask_at_once_make_it_once():
    code = (
        "import hashlib, numpy as np\n"
        "from envs import make_task\n"
        "made = []\n"
        f"task = make_task('maze', size=6, levels='{LEVELS}', cache={COUNT})\n"
        "task.prepare(['far'], lambda what, done, total: made.append('another' not in what))\n"
        "inputs = task.generate('far', 50, np.random.default_rng(0)).inputs\n"
        "print(any(made), hashlib.sha256(inputs).hexdigest())\n"
    )
    root = str(ROOT)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])}
    processes = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=environment)
        for _ in range(2)
    ]
    answers = sorted(process.communicate(timeout=120)[0].split() for process in processes)
    inputs = task().generate("far", 50, np.random.default_rng(0)).inputs
    digest = hashlib.sha256(inputs).hexdigest()
    assert answers == [["False", digest], ["True", digest]]


def test_a_folder_that_cannot_be_written_to_costs_only_the_file(tmp_path, monkeypatch, capsys):
    first = pools().of(LEVEL, silent)
    (tmp_path / "file").touch()
    monkeypatch.setenv("HRM_RL_CACHE", str(tmp_path / "file" / "cache"))
    assert same(pools().of(LEVEL, silent), first)
    error = capsys.readouterr().err
    assert error.startswith("warning: ")
    assert error.count("\n") == 1


def test_the_folder_is_the_users_cache_unless_named(monkeypatch, tmp_path):
    assert cache_folder() == tmp_path / "cache"
    monkeypatch.delenv("HRM_RL_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert cache_folder() == Path("/somewhere/hrm_rl")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache" / "hrm_rl"


def test_generate_tells_of_slow_work_on_stderr(capsys):
    task().generate("far", 1, np.random.default_rng(0))
    assert f"{COUNT + HELD_OUT:,} of {COUNT + HELD_OUT:,}" in capsys.readouterr().err


def test_a_user_without_a_home_folder_has_the_cache_in_the_temporary_one(monkeypatch, tmp_path):
    def homeless(cls):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("HRM_RL_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", classmethod(homeless))
    monkeypatch.setattr(cache.tempfile, "tempdir", str(tmp_path))
    assert cache_folder() == tmp_path / "hrm_rl"
