"""The field's data sets on disk: what is written is read back, in place. What is
refused: test_folder_faults.py."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from envs import NO_LEVEL, PAD, DataError, PuzzleBatch, PuzzleTask
from envs.folders.check import OUTSIDE, check_folder
from envs.folders.folder import PARTS, PuzzleFolder, Splits, find_splits, is_folder
from envs.folders.writer import new_folder, write_identifiers, write_split
from tests.helpers.folders import BATCH, METADATA, TASK, quiet, upstream


def same(one: PuzzleBatch, other: PuzzleBatch) -> bool:
    return all(
        np.array_equal(getattr(one, field), getattr(other, field))
        and getattr(one, field).dtype == getattr(other, field).dtype
        for field in ("inputs", "solution", "level", "identifier")
    )


INDICES = [
    slice(None),
    slice(2, 9, 3),
    slice(None, None, -1),
    slice(5, 5),
    np.array([11, 0, 3, 3, -1]),
    np.arange(12) % 5 == 0,
    np.array([], np.int64),
]


def test_what_is_written_is_read_back(task: PuzzleTask, pool: PuzzleBatch, tmp_path: Path) -> None:
    sizes = np.array([4] * 4, np.int64)
    chunks = [(pool.take(slice(0, 16)), sizes), (pool.take(slice(16, 32)), sizes)]
    write_split(tmp_path / "train", task, chunks)
    folder = PuzzleFolder(tmp_path / "train", task)
    assert len(folder) == 32
    assert same(folder.take(slice(None)), pool)
    assert folder.groups.tolist() == np.repeat(np.arange(8), 4).tolist()
    assert folder.identifiers == task.identifiers
    summary = check_folder(tmp_path / "train", task, quiet)
    assert (summary.examples, summary.puzzles, summary.groups) == (32, 32, 8)
    assert sum(summary.levels.values()) == 32


@pytest.mark.parametrize("index", INDICES, ids=str)
def test_take_gives_what_numpy_would(index: object, tmp_path: Path) -> None:
    folder = PuzzleFolder(upstream(tmp_path), TASK)
    assert same(folder.take(index), BATCH.take(index))  # type: ignore[arg-type]


@pytest.mark.parametrize("index", [np.array([12]), np.array([-13]), np.ones(3, np.bool_)], ids=str)
def test_an_index_out_of_bounds_is_an_index_error(index: np.ndarray, tmp_path: Path) -> None:
    with pytest.raises(IndexError):
        PuzzleFolder(upstream(tmp_path), TASK).take(index)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.int64, np.uint64])
def test_any_integer_type_is_read(dtype: type, tmp_path: Path) -> None:
    assert same(PuzzleFolder(upstream(tmp_path, dtype=dtype), TASK).take(slice(None)), BATCH)


def test_what_is_written_is_what_upstream_writes(tmp_path: Path) -> None:
    write_split(tmp_path / "ours", TASK, [(BATCH, np.full(4, 3))])
    theirs = upstream(tmp_path / "theirs")
    for part in PARTS:
        name = f"all__{part}.npy"
        one, other = np.load(tmp_path / "ours" / name), np.load(theirs / name)
        assert one.dtype == other.dtype
        assert np.array_equal(one, other)
        assert (tmp_path / "ours" / name).read_bytes() == (theirs / name).read_bytes()
    about = json.loads((tmp_path / "ours" / "dataset.json").read_text())
    assert about == METADATA | {"total_puzzles": 12}  # which TinyRecursiveModels asks for
    assert sorted(p.name for p in (tmp_path / "ours").iterdir()) == sorted(p.name for p in theirs.iterdir())


def test_identifiers_json_is_that_of_upstream(tmp_path: Path) -> None:
    write_identifiers(tmp_path, TASK.identity_names())
    assert json.loads((tmp_path / "identifiers.json").read_text()) == ["<blank>"]


def test_unknown_keys_are_ignored_and_optional_ones_may_be_missing(tmp_path: Path) -> None:
    upstream(tmp_path, total_puzzles=12)
    assert len(PuzzleFolder(tmp_path, TASK)) == 12
    (tmp_path / "dataset.json").write_text('{"seq_len": 16, "vocab_size": 6, "sets": ["all"]}')
    folder = PuzzleFolder(tmp_path, TASK)
    assert same(folder.take(slice(None)), BATCH)
    assert folder.identifiers == 1
    assert check_folder(tmp_path, TASK, quiet).groups == 4


@pytest.mark.parametrize(
    ("ignored", "dtype"), [(0, np.uint8), (-100, np.int32), (255, np.uint8), (None, np.uint8)]
)
def test_ignored_labels_become_padding(ignored: int | None, dtype: type, tmp_path: Path) -> None:
    upstream(tmp_path, dtype=dtype, ignore_label_id=ignored)
    labels = np.load(tmp_path / "all__labels.npy")
    given = BATCH.inputs > 1
    labels[given] = PAD if ignored is None else ignored
    np.save(tmp_path / "all__labels.npy", labels)
    folder = PuzzleFolder(tmp_path, TASK)
    taken = folder.take(slice(None))
    assert np.array_equal(taken.solution, np.where(given, PAD, BATCH.solution))
    assert taken.solution.dtype == np.uint8
    assert check_folder(tmp_path, TASK, quiet).examples == 12, "given cells need no label"


def test_several_sets_follow_one_another_and_an_example_has_the_identifier_of_its_puzzle(
    tmp_path: Path,
) -> None:
    """Two sets; the first has puzzles of 1, 3 and 2 examples in two groups."""
    one, other = BATCH.take(slice(0, 6)), BATCH.take(slice(6, 12))
    upstream(tmp_path, other, num_puzzle_identifiers=8, sets=["concept", "all"], total_groups=None)
    upstream(tmp_path / "x", one)
    for part in PARTS:
        os.replace(tmp_path / "x" / f"all__{part}.npy", tmp_path / f"concept__{part}.npy")
    np.save(tmp_path / "concept__puzzle_identifiers.npy", np.array([7, 2, 5], np.int32))
    np.save(tmp_path / "concept__puzzle_indices.npy", np.array([0, 1, 4, 6], np.int32))
    np.save(tmp_path / "concept__group_indices.npy", np.array([0, 2, 3], np.int32))
    folder = PuzzleFolder(tmp_path, TASK)
    everything = folder.take(slice(None))
    assert np.array_equal(everything.inputs, BATCH.inputs)
    assert everything.identifier.tolist() == [7, 2, 2, 2, 5, 5] + [0] * 6
    assert folder.groups.tolist() == [0, 0, 0, 0, 1, 1, 2, 2, 2, 3, 3, 3]
    assert folder.identifiers == 8
    mixed = np.array([11, 5, 6, 0])
    assert same(folder.take(mixed), everything.take(mixed))
    summary = check_folder(tmp_path, TASK, quiet)
    assert (summary.examples, summary.puzzles, summary.groups) == (12, 9, 4)


def test_opening_and_taking_read_only_what_is_asked_for(tmp_path: Path) -> None:
    """A million examples of 900 GB in all, most of it a hole in the file: no machine
    reads that by mistake."""
    rows, length = 1_000_000, 900_000

    class Wide(PuzzleTask):
        name, characters, grid_shape, levels = "wide", "_ab", (1, length), ("all",)

        def solved(self, inputs, answer):
            return np.ones(len(inputs), np.bool_)

        def unknown(self, inputs):
            return inputs > 0

        def generate(self, level, count, rng, held_out=False):
            raise NotImplementedError

    upstream(tmp_path, seq_len=length, vocab_size=3, total_groups=1)
    for part in ("inputs", "labels"):
        with (tmp_path / f"all__{part}.npy").open("wb") as file:
            header = {"descr": "|u1", "fortran_order": False, "shape": (rows, length)}
            np.lib.format.write_array_header_1_0(file, header)
            start = file.tell()
            file.seek(start + 777_777 * length)
            file.write(b"\x02")
            try:
                file.truncate(start + rows * length)
            except OSError:
                pytest.skip("this file system has no files of that size")
    np.save(tmp_path / "all__puzzle_identifiers.npy", np.zeros(1, np.int32))
    np.save(tmp_path / "all__puzzle_indices.npy", np.array([0, rows], np.int32))
    np.save(tmp_path / "all__group_indices.npy", np.array([0, 1], np.int32))
    folder = PuzzleFolder(tmp_path, Wide())
    assert isinstance(folder.sets[0].inputs, np.memmap)
    assert isinstance(folder.sets[0].labels, np.memmap)
    taken = folder.take(np.array([999_999, 777_777]))
    assert taken.inputs[:, 0].tolist() == [0, 2]
    assert taken.level.tolist() == [NO_LEVEL, NO_LEVEL]


def test_a_pickled_folder_is_opened_again_and_carries_no_puzzles(tmp_path: Path) -> None:
    folder = PuzzleFolder(upstream(tmp_path), TASK)
    data = pickle.dumps(folder)
    assert BATCH.inputs.tobytes() not in data
    assert same(pickle.loads(data).take(slice(None)), BATCH)


# Splits


def test_a_split_stands_for_itself_and_a_root_for_its_splits(tmp_path: Path) -> None:
    train = upstream(tmp_path / "train")
    assert find_splits(train) == Splits(train, None)
    assert find_splits(str(tmp_path)) == Splits(train, None)
    test = upstream(tmp_path / "test")
    assert find_splits(tmp_path) == Splits(train, test)
    assert is_folder(tmp_path)
    assert not is_folder(train / "dataset.json")


def test_a_folder_that_is_no_data_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"holds neither dataset\.json nor train/dataset\.json; .*command dataset"
    ):
        find_splits(tmp_path)
    with pytest.raises(DataError, match="gone: no such folder"):
        find_splits(tmp_path / "gone")
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="file: is no folder"):
        find_splits(tmp_path / "file")


def test_the_check_counts_levels_and_reports_its_progress(tmp_path: Path) -> None:
    full = PuzzleBatch(BATCH.solution, BATCH.solution, BATCH.level, BATCH.identifier)
    batch = PuzzleBatch.concatenate([BATCH, full.take(slice(0, 3))])
    write_split(tmp_path / "s", TASK, [(batch, np.ones(15, np.int64))])
    seen = []
    summary = check_folder(tmp_path / "s", TASK, lambda *progress: seen.append(progress))
    assert summary.levels == {"medium": 12, OUTSIDE: 3}
    assert seen == [("checking s", 15, 15)]


# Writing


def test_a_failed_split_leaves_nothing(tmp_path: Path) -> None:
    def chunks():
        yield BATCH, np.ones(12, np.int64)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_split(tmp_path / "train", TASK, chunks())
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match="at least one example"):
        write_split(tmp_path / "train", TASK, [])
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with new_folder(tmp_path / "empty") as folder:
        (folder / "file").write_text("x")
    assert (tmp_path / "empty" / "file").read_text() == "x"
    with pytest.raises(DataError, match="empty: exists already"), new_folder(tmp_path / "empty"):
        pass
    with pytest.raises(DataError, match="exists already"), new_folder(tmp_path / "empty" / "file"):
        pass
    assert (tmp_path / "empty" / "file").read_text() == "x"
