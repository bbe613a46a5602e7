"""Every fault of a data set on disk is named by file: those of its structure on opening,
those of its examples by the check."""

from __future__ import annotations

import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest

from envs import PAD, DataError, PuzzleTask, make_task
from envs.folders.check import CHUNK, check_folder
from envs.folders.folder import PARTS, PuzzleFolder, read_metadata
from envs.folders.writer import write_split
from tests.helpers.folders import BATCH, TASK, quiet, upstream


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


def replaced(folder: Path, part: str, array: np.ndarray) -> Path:
    np.save(folder / f"all__{part}.npy", array)
    return folder


def spoiled(folder: Path, part: str, row: int, cell: int, value: int) -> Path:
    array = np.load(folder / f"all__{part}.npy")
    array[row, cell] = value
    np.save(folder / f"all__{part}.npy", array)
    return folder


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
        (
            '{"seq_len": 36, "vocab_size": 7, "grid_size": 4, "max_grid_size": 5}',
            "grid_size 4 and max_grid_size 5 do not go with seq_len 36",
        ),
        ('{"seq_len": 36, "vocab_size": 7, "grid_size": "4"}', "grid_size is '4'; it must be a whole number"),
        (
            '{"seq_len": 100, "vocab_size": 12, "mixed_size": true, "grid_sizes": [6, 9]}',
            "mixes boards of sizes [6, 9], and a task has one size",
        ),
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
        "choose size 4 instead of 9, or another task (the command dataset --check names what fits)"
    )
    upstream(tmp_path, vocab_size=12)
    assert refusal(tmp_path).endswith(
        "seq_len is 16 and vocab_size 12, but task 'sudoku' has 16 and 6: choose another task (the command "
        "dataset --check names what fits)"
    )


# Faults of examples, found by the check (and by a take that meets them)


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
