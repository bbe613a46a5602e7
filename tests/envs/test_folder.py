"""The field's data sets on disk: what is written is read back, in place, and every fault is named by file."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest

from envs import NO_LEVEL, PAD, DataError, PuzzleBatch, PuzzleTask, make_task
from envs.folder import PARTS, PuzzleFolder, Splits, find_splits, is_folder, read_metadata
from envs.folder_check import CHUNK, OUTSIDE, check_folder
from envs.folder_writer import new_folder, write_identifiers, write_split

TASK = make_task("sudoku", size=4)
BATCH = TASK.generate("medium", 12, np.random.default_rng(0))
METADATA = {
    "pad_id": 0,
    "ignore_label_id": 0,
    "blank_identifier_id": 0,
    "vocab_size": 6,
    "seq_len": 16,
    "num_puzzle_identifiers": 1,
    "total_groups": 4,
    "mean_puzzle_examples": 1.0,
    "sets": ["all"],
}


def quiet(what: str, done: int, total: int) -> None:
    pass


def upstream(folder: Path, batch: PuzzleBatch = BATCH, dtype: type = np.uint8, **changes: object) -> Path:
    """A split as the scripts of sapientinc/HRM save it: every puzzle one example, here three to a group."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {
        "inputs": batch.inputs.astype(dtype),
        "labels": batch.solution.astype(dtype),
        "puzzle_identifiers": np.zeros(len(batch), np.int32),
        "puzzle_indices": np.arange(len(batch) + 1, dtype=np.int32),
        "group_indices": np.arange(0, len(batch) + 1, 3, dtype=np.int32),
    }
    for name, array in arrays.items():
        np.save(folder / f"all__{name}.npy", array)
    (folder / "dataset.json").write_text(json.dumps(METADATA | changes))
    return folder


def same(one: PuzzleBatch, other: PuzzleBatch) -> bool:
    return all(
        np.array_equal(getattr(one, field), getattr(other, field))
        and getattr(one, field).dtype == getattr(other, field).dtype
        for field in ("inputs", "solution", "level", "identifier")
    )


def refusal(path: Path, task: PuzzleTask = TASK) -> str:
    with pytest.raises(DataError) as error:
        PuzzleFolder(path, task)
    assert "\n" not in str(error.value)
    return str(error.value)


def fault(path: Path, task: PuzzleTask = TASK) -> str:
    with pytest.raises(DataError) as error:
        check_folder(path, task, quiet)
    assert "\n" not in str(error.value)
    return str(error.value)


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
    assert folder.identifiers == 1
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
    assert json.loads((tmp_path / "ours" / "dataset.json").read_text()) == METADATA
    assert sorted(p.name for p in (tmp_path / "ours").iterdir()) == sorted(p.name for p in theirs.iterdir())


def test_identifiers_json_is_that_of_upstream(tmp_path: Path) -> None:
    write_identifiers(tmp_path)
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
    """A million examples of 900 GB in all, most of it a hole in the file: no machine reads that by mistake."""
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
        DataError, match=r"holds neither dataset\.json nor train/dataset\.json; .*build_dataset"
    ):
        find_splits(tmp_path)
    with pytest.raises(DataError, match="gone: no such folder"):
        find_splits(tmp_path / "gone")
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="file: is no folder"):
        find_splits(tmp_path / "file")


# Faults of the structure, found on opening


@pytest.mark.parametrize("part", PARTS)
def test_a_missing_file_is_named(part: str, tmp_path: Path) -> None:
    upstream(tmp_path)
    (tmp_path / f"all__{part}.npy").unlink()
    assert refusal(tmp_path) == f"{tmp_path}/all__{part}.npy: no such file"


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("kept", [0, 5, 40, -1])
def test_a_truncated_file_is_named(part: str, kept: int, tmp_path: Path) -> None:
    file = upstream(tmp_path) / f"all__{part}.npy"
    file.write_bytes(file.read_bytes()[:kept])
    assert refusal(tmp_path).startswith(f"{file}: is truncated or no .npy array (")


def test_pickles_archives_and_text_are_refused(tmp_path: Path) -> None:
    file = upstream(tmp_path) / "all__inputs.npy"

    class Bomb:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "unpickled"),)

    np.save(file, np.array([Bomb()], object))
    assert refusal(tmp_path).startswith(f"{file}: is truncated or no .npy array (")
    file.write_bytes(pickle.dumps(Bomb()))
    assert refusal(tmp_path).startswith(f"{file}: is truncated or no .npy array (")
    np.savez(tmp_path / "archive.npz", BATCH.inputs)
    shutil.move(tmp_path / "archive.npz", file)
    assert refusal(tmp_path).startswith(f"{file}: is truncated or no .npy array (")
    assert not (tmp_path / "unpickled").exists()


def replaced(folder: Path, part: str, array: np.ndarray) -> Path:
    np.save(folder / f"all__{part}.npy", array)
    return folder


I32 = np.int32


@pytest.mark.parametrize(
    ("part", "array", "reason"),
    [
        ("inputs", BATCH.inputs.astype(np.float32), "is of type float32; it must hold whole numbers"),
        ("labels", BATCH.solution > 2, "is of type bool; it must hold whole numbers"),
        ("inputs", BATCH.inputs.reshape(12, 4, 4), "has shape (12, 4, 4); it must have 2 dimensions"),
        ("inputs", BATCH.inputs[:, :15], "has 15 tokens a row, but dataset.json says 16"),
        ("labels", BATCH.solution[:11], "has 11 rows, but inputs has 12"),
        ("puzzle_indices", np.arange(1, 14, dtype=I32), "must begin with 0 and have a closing entry"),
        ("puzzle_indices", np.zeros(0, I32), "must begin with 0 and have a closing entry"),
        ("puzzle_indices", np.arange(12, dtype=I32), "ends with 11, but there are 12 examples"),
        ("puzzle_indices", np.arange(14, dtype=I32), "ends with 13, but there are 12 examples"),
        (
            "puzzle_indices",
            np.array([0, 1, 2, 5, 4, 5, 6, 7, 8, 9, 10, 11, 12], I32),
            "entry 4 is 4 after 5; entries must increase",
        ),
        ("puzzle_indices", np.array([0, 6, 12], I32), "has 12 entries for 2 puzzles"),
        ("group_indices", np.array([0, 3, 3, 12], I32), "entry 2 is 3 after 3; entries must increase"),
        ("group_indices", np.array([0, 3, 9], I32), "ends with 9, but there are 12 puzzles"),
        (
            "group_indices",
            np.array([0, 3, 9, 12], np.float64),
            "is of type float64; it must hold whole numbers",
        ),
        (
            "puzzle_identifiers",
            np.array([0] * 11 + [1], I32),
            "puzzle 11 has identifier 1; it must be 0 to 0 (num_puzzle_identifiers is 1)",
        ),
        (
            "puzzle_identifiers",
            np.array([0] * 5 + [-2] * 7, I32),
            "puzzle 5 has identifier -2; it must be 0 to 0 (num_puzzle_identifiers is 1)",
        ),
    ],
)
def test_an_array_that_does_not_fit_is_named(
    part: str, array: np.ndarray, reason: str, tmp_path: Path
) -> None:
    replaced(upstream(tmp_path), part, array)
    named = "puzzle_identifiers" if "entries for" in reason else part
    assert refusal(tmp_path) == f"{tmp_path}/all__{named}.npy: {reason}"


def test_a_split_without_examples_is_refused(tmp_path: Path) -> None:
    upstream(tmp_path)
    for part in ("inputs", "labels"):
        replaced(tmp_path, part, np.zeros((0, 16), np.uint8))
    message = refusal(tmp_path)
    assert message.startswith(f"{tmp_path}/all__inputs.npy: ")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "is no JSON ("),
        ("[1]", "is no JSON object"),
        ('{"vocab_size": 6, "sets": ["all"]}', "seq_len is missing; it must be a whole number of at least 1"),
        ('{"seq_len": 16, "sets": ["all"]}', "vocab_size is missing; it must be"),
        ('{"seq_len": 16, "vocab_size": 6}', "sets is missing; it must be a list of file prefixes"),
        ('{"seq_len": 16, "vocab_size": 6, "sets": []}', "sets is []; it must be a list"),
        ('{"seq_len": 16, "vocab_size": 6, "sets": "all"}', "sets is 'all'; it must be a list"),
        ('{"seq_len": 16, "vocab_size": 6, "sets": ["../all"]}', "sets is ['../all']; it must be a list"),
        ('{"seq_len": 16, "vocab_size": 6, "sets": ["all", "all"]}', "no set may come twice"),
        ('{"seq_len": "16", "vocab_size": 6, "sets": ["all"]}', "seq_len is '16'; it must be"),
        ('{"seq_len": true, "vocab_size": 6, "sets": ["all"]}', "seq_len is True; it must be"),
        (
            '{"seq_len": 16, "vocab_size": 6, "sets": ["all"], "pad_id": 3}',
            "pad_id is 3; only 0 is supported",
        ),
        (
            '{"seq_len": 16, "vocab_size": 6, "sets": ["all"], "num_puzzle_identifiers": 0}',
            "num_puzzle_identifiers is 0; it must be a whole number of at least 1",
        ),
        (
            '{"seq_len": 16, "vocab_size": 6, "sets": ["all"], "ignore_label_id": "x"}',
            "ignore_label_id is 'x'",
        ),
    ],
)
def test_wrong_metadata_is_named(text: str, reason: str, tmp_path: Path) -> None:
    upstream(tmp_path)
    (tmp_path / "dataset.json").write_text(text)
    message = refusal(tmp_path)
    assert message.startswith(f"{tmp_path}/dataset.json: ")
    assert reason in message


def test_missing_metadata_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"dataset\.json: no such file"):
        read_metadata(tmp_path)


def test_a_folder_of_another_size_or_task_is_refused_with_the_size_that_fits(tmp_path: Path) -> None:
    upstream(tmp_path)
    assert refusal(tmp_path, make_task("sudoku", size=9)) == (
        f"{tmp_path}/dataset.json: seq_len is 16 and vocab_size 6, but task 'sudoku' has 81 and 11: "
        "choose size 4 instead of 9, or the task that it was made for"
    )
    upstream(tmp_path, vocab_size=12)
    assert refusal(tmp_path).endswith(
        "seq_len is 16 and vocab_size 12, but task 'sudoku' has 16 and 6: choose the task that it was made for"
    )


# Faults of examples, found by the check (and by a take that meets them)


def spoiled(folder: Path, part: str, row: int, cell: int, value: int) -> Path:
    array = np.load(folder / f"all__{part}.npy")
    array[row, cell] = value
    np.save(folder / f"all__{part}.npy", array)
    return folder


@pytest.mark.parametrize(("part", "value", "dtype"), [("inputs", 6, np.uint8), ("labels", -3, np.int32)])
def test_a_foreign_token_is_named_by_take_and_by_the_check(
    part: str, value: int, dtype: type, tmp_path: Path
) -> None:
    spoiled(upstream(tmp_path, dtype=dtype), part, 7, 2, value)
    reason = f"{tmp_path}/all__{part}.npy: example 7: token {value} at position 2; tokens are 0 to 5"
    with pytest.raises(DataError) as error:
        PuzzleFolder(tmp_path, TASK).take(np.array([1, 7]))
    assert str(error.value) == reason
    assert fault(tmp_path) == reason
    assert len(PuzzleFolder(tmp_path, TASK).take(np.array([1, 6]))) == 2


def test_the_first_bad_example_is_named_whatever_its_fault(tmp_path: Path) -> None:
    upstream(tmp_path)
    replaced(tmp_path, "labels", np.roll(BATCH.solution, 1, axis=1))
    spoiled(tmp_path, "inputs", 5, 0, 99)
    assert fault(tmp_path).startswith(f"{tmp_path}/all__{{inputs,labels}}.npy: example 0: ")
    labels = np.load(tmp_path / "all__labels.npy")
    labels[:3] = BATCH.solution[:3]
    replaced(tmp_path, "labels", labels)
    assert fault(tmp_path).startswith(f"{tmp_path}/all__{{inputs,labels}}.npy: example 3: ")


def test_a_bad_example_behind_the_first_chunk_is_counted_from_the_beginning(tmp_path: Path) -> None:
    many = BATCH.take(np.arange(CHUNK + 500) % 12)
    write_split(tmp_path / "s", TASK, [(many, np.ones(len(many), np.int64))])
    bad = CHUNK + 77
    labels = np.load(tmp_path / "s" / "all__labels.npy")
    spoiled(tmp_path / "s", "labels", bad, 3, int(labels[bad, 3]) % 5 + 1)
    assert f": example {bad}: " in fault(tmp_path / "s")


def test_a_bad_example_of_a_later_set_is_named_by_that_sets_file_and_number(tmp_path: Path) -> None:
    upstream(tmp_path, sets=["all", "more"], total_groups=8)
    for part in PARTS:
        shutil.copy(tmp_path / f"all__{part}.npy", tmp_path / f"more__{part}.npy")
    labels = BATCH.solution.copy()
    labels[4] = labels[4][::-1]
    np.save(tmp_path / "more__labels.npy", labels)
    assert fault(tmp_path).startswith(f"{tmp_path}/more__{{inputs,labels}}.npy: example 4: ")


def test_padding_in_place_of_a_puzzle_or_of_a_label_is_named(tmp_path: Path) -> None:
    blank = int(np.argmax(BATCH.inputs[6] == 1))
    spoiled(upstream(tmp_path), "labels", 6, blank, PAD)
    assert fault(tmp_path) == (
        f"{tmp_path}/all__labels.npy: example 6: position {blank} has to be found but has no label"
    )
    inputs = BATCH.inputs.copy()
    inputs[2] = PAD
    replaced(tmp_path, "inputs", inputs)
    assert fault(tmp_path) == f"{tmp_path}/all__inputs.npy: example 2: holds nothing but padding"


def test_a_wrong_number_of_groups_is_found_by_the_check_only(tmp_path: Path) -> None:
    upstream(tmp_path, total_groups=5)
    assert len(PuzzleFolder(tmp_path, TASK)) == 12
    assert fault(tmp_path) == f"{tmp_path}/dataset.json: total_groups is 5, but there are 4 groups"


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
