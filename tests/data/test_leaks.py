"""No model is evaluated on a puzzle that it was trained on, up to symmetry."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from envs import PuzzleBatch, fingerprint, make_task
from envs.folders.writer import write_split
from hrm_rl.data.builder import versions
from hrm_rl.data.leaks import CHUNK, Keys, twins
from hrm_rl.data.streams import build_data, training_puzzles
from hrm_rl.utils.errors import UserError
from tests.helpers.tiny import puzzles, tiny_config, write_csv

TASK = make_task("sudoku", size=4)
ALL = {"stages": ("all=1",)}


@pytest.fixture
def pool() -> PuzzleBatch:
    """200 Sudokus of 9x9: no two are twins."""
    return make_task("sudoku").generate("hard", 200, np.random.default_rng(0))


def test_twins_are_found_on_both_sides(pool: PuzzleBatch) -> None:
    task = make_task("sudoku")
    turned = task.augment(pool.take(np.array([3, 70])), np.random.default_rng(1))
    fresh = task.generate("hard", 5, np.random.default_rng(2))
    held_out = PuzzleBatch.concatenate([fresh, turned, pool.take(np.array([9]))])
    in_pool, in_held_out = twins(task, pool, Keys.of(task, pool).family, held_out)
    assert np.flatnonzero(in_pool).tolist() == [3, 9, 70]
    assert np.flatnonzero(in_held_out).tolist() == [5, 6, 7]
    nowhere, none = twins(task, pool, Keys.of(task, pool).family, fresh)
    assert not nowhere.any()
    assert not none.any()


def test_a_shared_hash_alone_is_no_leak(pool: PuzzleBatch, monkeypatch: pytest.MonkeyPatch) -> None:
    task = make_task("sudoku")
    monkeypatch.setattr(task, "invariant", lambda inputs: np.zeros(len(inputs), np.uint64))
    held_out = PuzzleBatch.concatenate(
        [task.generate("hard", 3, np.random.default_rng(2)), pool.take(np.array([9]))]
    )
    in_pool, in_held_out = twins(task, pool, Keys.of(task, pool).family, held_out)
    assert np.flatnonzero(in_pool).tolist() == [9]
    assert np.flatnonzero(in_held_out).tolist() == [3]


def test_a_pool_larger_than_a_chunk_is_gone_through_whole() -> None:
    batch = puzzles(CHUNK + 10)
    keys = Keys.of(TASK, batch)
    assert (keys.puzzle == fingerprint(batch.inputs)).all()
    assert (keys.family == TASK.invariant(batch.inputs)).all()
    assert (keys.level == batch.level).all()


def test_a_held_out_file_with_a_turned_training_puzzle_is_refused(tmp_path: Path) -> None:
    training = puzzles(40, "hard")
    turned = TASK.augment(training.take(np.array([7])), np.random.default_rng(3))
    assert not np.isin(fingerprint(turned.inputs), fingerprint(training.inputs)).any()
    paths = {
        "path": str(write_csv(tmp_path / "training.csv", training)),
        "eval_path": str(write_csv(tmp_path / "held_out.csv", turned)),
    }
    with pytest.raises(UserError, match=r"1 of the 1 held-out .* under a symmetry .*--data\.leaks warn"):
        build_data(tiny_config(data=paths, curriculum=ALL))
    data = build_data(tiny_config(data={**paths, "leaks": "warn"}, curriculum=ALL))
    (note,) = data.notes
    assert note.startswith("warning: 1 of the 1 held-out puzzles")


def test_what_is_held_out_of_a_file_has_no_twin_among_the_rest(tmp_path: Path) -> None:
    base = puzzles(60, "hard")
    turned = TASK.augment(base, np.random.default_rng(4))
    path = write_csv(tmp_path / "training.csv", PuzzleBatch.concatenate([base, turned]))
    data = build_data(tiny_config(data={"path": str(path), "augment": False}, curriculum=ALL))
    drawn = data.source.draw(300)
    forms = [fingerprint(TASK.canonical(batch.inputs)) for batch in (data.held_out, drawn)]
    assert not np.isin(*forms).any()
    assert len(np.unique(forms[0])) == len(data.held_out)
    assert len(np.unique(fingerprint(drawn.inputs))) > len(base) / 2


@pytest.fixture
def data_set(tmp_path: Path) -> Path:
    """A folder of 40 puzzles with 5 symmetric versions each, and a test split of 10."""
    base = make_task("sudoku", size=6).generate("hard", 50, np.random.default_rng(0))
    rows = np.arange(50)
    rng = np.random.default_rng(1)
    task = make_task("sudoku", size=6)
    write_split(tmp_path / "set" / "train", task, versions(task, base.take(rows < 40), 5, rng))
    write_split(tmp_path / "set" / "test", task, [(base.take(rows >= 40), np.ones(10, np.int64))])
    return tmp_path / "set"


def test_a_folder_is_trained_on_and_its_test_split_is_held_out(data_set: Path) -> None:
    config = tiny_config(
        env={"size": 6}, data={"path": str(data_set), "augment": False, "eval_puzzles": 8}, curriculum=ALL
    )
    data = build_data(config)
    assert len(data.held_out) == 8
    assert len(np.unique(fingerprint(data.source.draw(240).inputs))) == 240
    again = build_data(config)
    assert (again.held_out.inputs == data.held_out.inputs).all()
    assert (again.source.draw(240).inputs == build_data(config).source.draw(240).inputs).all()


def test_a_subset_of_a_folder_counts_puzzles_and_keeps_all_their_versions(data_set: Path) -> None:
    config = tiny_config(
        env={"size": 6}, data={"path": str(data_set), "augment": False, "max_puzzles": 7}, curriculum=ALL
    )
    drawn = build_data(config).source.draw(7 * 6)
    assert len(np.unique(fingerprint(drawn.inputs))) == 7 * 6
    assert len(np.unique(make_task("sudoku", size=6).invariant(drawn.inputs))) == 7


def test_without_a_test_split_a_tenth_of_a_folders_puzzles_is_held_out_with_all_versions(
    data_set: Path,
) -> None:
    path = str(data_set / "train")
    data = build_data(tiny_config(env={"size": 6}, data={"path": path, "augment": False}, curriculum=ALL))
    assert len(data.held_out) == 4
    families = [data.task.invariant(batch.inputs) for batch in (data.held_out, data.source.draw(600))]
    assert not np.isin(*families).any()
    assert len(np.unique(families[1])) == 36


def test_a_test_split_that_was_trained_on_is_refused(data_set: Path) -> None:
    task = make_task("sudoku", size=6)
    leaked = task.generate("hard", 50, np.random.default_rng(0)).take(slice(39, 42))
    for file in (data_set / "test").iterdir():
        file.unlink()
    (data_set / "test").rmdir()
    write_split(data_set / "test", task, [(leaked, np.ones(3, np.int64))])
    with pytest.raises(UserError, match=r"1 of the 3 held-out puzzles of the test split of"):
        build_data(tiny_config(env={"size": 6}, data={"path": str(data_set)}, curriculum=ALL))


def test_a_bad_example_of_a_folder_is_named_before_training(data_set: Path) -> None:
    labels = np.lib.format.open_memmap(data_set / "train" / "all__labels.npy", mode="r+")
    labels[17] = labels[18]
    labels.flush()
    with pytest.raises(UserError, match=r"train: example 17: the solution does not fit.*--check"):
        build_data(tiny_config(env={"size": 6}, data={"path": str(data_set)}, curriculum=ALL))


def test_the_mazes_that_a_rare_level_is_trained_on_are_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HRM_RL_CACHE", str(tmp_path))
    env = {"task": "maze", "size": 6, "options": {"cache": 20}}
    config = tiny_config(env=env, curriculum={"stages": ("hard=1,easy=1",)}, data={"eval_puzzles": 4})
    task = make_task("maze", size=6, cache=20)
    trained = training_puzzles(task, config)
    assert trained is not None
    drawn = task.generate("hard", 30, np.random.default_rng(5))
    held_out = task.generate("hard", 30, np.random.default_rng(5), held_out=True)
    family = Keys.of(task, trained).family
    assert twins(task, trained, family, drawn)[1].all()
    assert not twins(task, trained, family, held_out)[1].any()
    assert training_puzzles(TASK, tiny_config()) is None
