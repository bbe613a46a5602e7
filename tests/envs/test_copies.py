"""Copies of whatever users send to actors and keep for later: they go on with the same puzzles."""

from __future__ import annotations

import copy
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from envs import GeneratedSource, PoolSource, PuzzleBatch
from envs.folders.folder import PuzzleFolder
from envs.puzzle import PuzzleSource, Selection
from tests.helpers.copies import ENVS, MAZE, SUDOKU, Copy, every_copy, flat, mixed, played
from tests.helpers.folders import upstream


def pool() -> PoolSource:
    return PoolSource(SUDOKU, SUDOKU.generate("easy", 7, np.random.default_rng(0)), 0, augment=True)


SOURCES: dict[str, Callable[[], PuzzleSource]] = {
    "generated": lambda: GeneratedSource(SUDOKU, "easy", 0, exclude=np.arange(3, dtype=np.uint64)),
    "pool": pool,
    "mixed": lambda: mixed(SUDOKU),
    "mixed mazes": lambda: mixed(MAZE),
}


def same(one: PuzzleBatch, other: PuzzleBatch) -> bool:
    return all(np.array_equal(value, getattr(other, name)) for name, value in vars(one).items())


@every_copy
@pytest.mark.parametrize("drawn", [0, 40])  # 40: a whole block and a part of the next
@pytest.mark.parametrize("kind", SOURCES)
def test_a_copied_source_goes_on_with_the_same_stream(kind: str, drawn: int, copied: Copy) -> None:
    source = SOURCES[kind]()
    if drawn:
        source.draw(drawn)
    other, again = copied(source), copied(copied(source))
    expected = source.draw(50)
    for each in (other, again):
        assert same(each.draw(50), expected)
    source.close()
    assert same(other.draw(5), again.draw(5)), "a copy outlives what it was copied from"
    other.close()
    again.close()


def test_the_sources_of_a_copied_mixture_share_a_thread_of_their_own() -> None:
    source = mixed(SUDOKU)
    other = copy.deepcopy(source)
    threads = {id(vars(child)["_background"]) for child in other.children.values()}
    assert threads == {id(other._background)}
    assert id(source._background) not in threads


@every_copy
def test_a_closed_source_is_copied_closed(copied: Copy) -> None:
    source = GeneratedSource(SUDOKU, "easy", 0)
    source.close()
    with pytest.raises(RuntimeError, match="closed"):
        copied(source).draw(1)


def test_a_copied_folder_is_found_from_another_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    upstream(tmp_path / "data")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    source = PoolSource(SUDOKU, Selection(PuzzleFolder("data", SUDOKU), np.arange(9)), 0)
    data = pickle.dumps(source)
    monkeypatch.chdir("elsewhere")
    found = pickle.loads(data).draw(12)
    os.chdir(tmp_path)
    assert same(found, source.draw(12))


@every_copy
@pytest.mark.parametrize("kind", ENVS)
def test_a_copied_environment_goes_on_with_the_same_puzzles(kind: str, copied: Copy) -> None:
    env = ENVS[kind]()
    fresh = copied(env)
    assert flat(fresh.reset(seed=3)) == flat(env.reset(seed=3))
    played(env, 2)
    env.reset()
    amid = copied(env)
    assert played(amid, 9) == played(env, 9)
    for each in (env, fresh, amid):
        each.close()
