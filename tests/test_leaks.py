"""No puzzle is judged on that was trained on, be it turned, mirrored or renamed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tiny import puzzles, tiny_config, write_csv

from envs import PuzzleBatch, fingerprint, make_task
from hrm_rl.data import build_data
from hrm_rl.errors import UserError
from hrm_rl.leaks import CHUNK, Keys, twins

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
