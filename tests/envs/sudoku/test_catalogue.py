"""The catalogue of 17-clue puzzles: split by puzzle before symmetries, and what `extreme` makes of it."""

from __future__ import annotations

import numpy as np
import pytest

from envs import DataError, make_task
from envs.sudoku import catalogue, count_solutions
from envs.sudoku.catalogue import Catalogue
from envs.sudoku.symmetries import symmetry_hash

SAMPLE = "sudoku_17_clue_sample.txt.gz"

# Two published 17-clue puzzles, which fall on different sides if every second puzzle is held out.
TRAINED = "000000012000035000000600070700000300000400800100000000000120000080000040050000600"
HELD_OUT = "000000010400000000020000000000050407008000300001090000300400200050100000000806000"


@pytest.fixture
def two_puzzles(tmp_path, monkeypatch):
    monkeypatch.setattr(catalogue, "_HELD_OUT_ONE_IN", 2)
    path = tmp_path / "two.txt"
    path.write_text(f"{TRAINED}\n{HELD_OUT}\n")
    return path


def descends(puzzles, hashes):
    """(N,) whether each puzzle (N, 81) is, without some clues beyond 17, a symmetry of
    one with such a hash."""
    found = []
    for puzzle in puzzles:
        fewer = [puzzle]
        while (fewer[0] > 1).sum() > 17:
            fewer = [np.where(np.arange(81) == cell, 1, p) for p in fewer for cell in np.flatnonzero(p > 1)]
        found.append(np.isin(symmetry_hash(np.array(fewer, np.uint8)), hashes).any())
    return np.array(found)


def test_the_two_parts_share_no_puzzle_after_symmetries_and_added_cells(data_file):
    task = make_task("sudoku", catalogue=data_file(SAMPLE))
    hashes = {
        part: symmetry_hash(task.catalogue.draw(np.full(20_000, 17), np.random.default_rng(1), part)[0])
        for part in (False, True)
    }
    assert not np.isin(hashes[True], hashes[False]).any()
    rng = np.random.default_rng(2)
    puzzles, _ = task.catalogue.draw(np.repeat([17, 18, 19], 3), rng, held_out=True)
    assert descends(puzzles, hashes[True]).all()
    assert not descends(puzzles, hashes[False]).any()


def test_about_a_tenth_is_held_out(data_file):
    sample = Catalogue(data_file(SAMPLE))
    assert sample.size(held_out=False) + sample.size(held_out=True) == 2000
    assert 150 < sample.size(held_out=True) < 250


def test_a_puzzle_and_its_symmetries_fall_on_the_same_side(tmp_path, two_puzzles):
    task = make_task("sudoku")
    batch = task.read(two_puzzles)
    rng = np.random.default_rng(0)
    relatives = np.concatenate([task.augment(batch, rng).inputs for _ in range(20)])
    path = tmp_path / "relatives.txt"
    path.write_text("\n".join("".join(str(t - 1) for t in row) for row in relatives))
    parts = Catalogue(path)
    for part, text in ((False, TRAINED), (True, HELD_OUT)):
        assert parts.size(part) == 20
        drawn, _ = parts.draw(np.full(50, 17), rng, part)
        expected = np.array([[int(c) + 1 for c in text]], np.uint8)
        assert (symmetry_hash(drawn) == symmetry_hash(expected)).all()


@pytest.mark.parametrize("held_out", [False, True])
def test_extreme_reaches_17_clues(two_puzzles, held_out):
    task = make_task("sudoku", catalogue=two_puzzles)
    batch = task.generate("extreme", 600, np.random.default_rng(0), held_out)
    counts = np.bincount(task.clues(batch.inputs), minlength=28)
    assert counts[:17].sum() == 0
    assert (counts[17:20] > 25).all()  # 600 / 11 each are aimed at
    assert counts[20:28].sum() == 600 - counts[17:20].sum()
    assert (count_solutions(batch.inputs) == 1).all()
    assert task.solved(batch.inputs, batch.solution).all()
    assert (task.level_of(batch.inputs) == task.levels.index("extreme")).all()
    again = task.generate("extreme", 600, np.random.default_rng(0), held_out)
    assert (again.inputs == batch.inputs).all()


def test_other_levels_do_not_need_the_catalogue(two_puzzles):
    with_file, without = make_task("sudoku", catalogue=two_puzzles), make_task("sudoku")
    batches = [task.generate("hard", 20, np.random.default_rng(0)) for task in (with_file, without)]
    assert (batches[0].inputs == batches[1].inputs).all()


def test_added_cells_are_solution_cells_anywhere(two_puzzles):
    puzzles, solutions = Catalogue(two_puzzles).draw(np.full(300, 19), np.random.default_rng(0), False)
    given = puzzles > 1
    assert (given.sum(axis=1) == 19).all()
    assert (puzzles[given] == solutions[given]).all()
    assert given.any(axis=0).all()


def test_bad_catalogues_are_refused(tmp_path, two_puzzles):
    path = tmp_path / "easy.txt"
    path.write_text(TRAINED + "\n" + TRAINED.replace("0", "6", 1) + "\n")
    with pytest.raises(DataError, match="a catalogue holds puzzles with 17 clues; puzzle 2 has 18"):
        make_task("sudoku", catalogue=path)
    with pytest.raises(DataError, match="no such file"):
        make_task("sudoku", catalogue=tmp_path / "none.txt")
    path.write_text(TRAINED)
    task = make_task("sudoku", catalogue=path)
    with pytest.raises(ValueError, match="has no held-out puzzle"):
        task.generate("extreme", 50, np.random.default_rng(0), held_out=True)
    path.write_text(HELD_OUT)
    with pytest.raises(ValueError, match="no puzzle that is not held out"):
        make_task("sudoku", catalogue=path).generate("extreme", 50, np.random.default_rng(0))


def test_the_sample_is_all_valid(data_file):
    task = make_task("sudoku")
    batch = task.read(data_file(SAMPLE))
    assert len(batch) == 2000
    assert (task.clues(batch.inputs) == 17).all()
    assert (count_solutions(batch.inputs) == 1).all()
