"""The task: levels, training and held-out pairs, what is right, texts and files, whole data sets."""

from __future__ import annotations

import json

import numpy as np
import pytest

from envs import DataError, PuzzleBatch, UserError, make_task
from envs.arc import ArcTask
from envs.arc.canvas import crop
from envs.arc.rules import BY_NAME
from envs.folders.folder import PuzzleFolder
from hrm_rl.data import builder

MINI = make_task("arc", augmentations=3)


def drawn(task: ArcTask = MINI, level: str = "medium", count: int = 200, **more) -> PuzzleBatch:
    return task.generate(level, count, np.random.default_rng(5), **more)


def arrays_of(batch: PuzzleBatch) -> tuple:
    return batch.inputs, batch.solution, batch.identifier.tolist()


def test_pairs_are_those_of_the_rule_and_form_that_their_identity_names():
    for level in MINI.levels:
        batch = drawn(level=level)
        assert (batch.level == MINI.levels.index(level)).all()
        np.testing.assert_array_equal(MINI.level_of(batch.inputs), batch.level)
        for row in range(len(batch)):
            puzzle, form = MINI.puzzle_of(int(batch.identifier[row]))
            question, answer = (crop(tokens[row], 10) for tokens in (batch.inputs, batch.solution))
            expected = BY_NAME[puzzle.name].answer(form.undo(question))
            np.testing.assert_array_equal(form.undo(answer), expected)
    assert len(set(drawn(count=2000).identifier.tolist())) == MINI.identifiers - 1


def test_training_pairs_are_moved_and_held_out_ones_are_as_they_are_at_the_top_left():
    train, held_out = drawn(), drawn(held_out=True)
    corner = (train.inputs[:, 0] > 1).mean()
    assert 0.2 < corner < 0.7
    assert (held_out.inputs[:, 0] > 1).all()
    assert {(identifier - 1) % 4 for identifier in held_out.identifier.tolist()} == {0}
    still = make_task("arc", augmentations=3, translate=False).generate(
        "medium", 50, np.random.default_rng(0)
    )
    assert (still.inputs[:, 0] > 1).all()


def test_held_out_grids_of_a_data_set_come_each_once_before_any_comes_again():
    task = make_task("arc", dataset="arc1")
    batch = task.generate("small", 244, np.random.default_rng(0), held_out=True)
    prints = [
        (row.tobytes(), identifier)
        for row, identifier in zip(batch.inputs, batch.identifier.tolist(), strict=True)
    ]
    assert len(set(prints[:122])) == len(set(prints)) == 122
    assert set(batch.identifier.tolist()) <= set(task.tests().identifier.tolist())
    assert len(task.tests()) == 419


def test_the_label_decides_and_nothing_beyond_it_counts():
    batch = drawn(count=20, held_out=True)
    assert MINI.right(batch.inputs, batch.solution, batch.solution).all()
    answer = np.where(batch.solution == 0, 7, batch.solution).astype(np.uint8)
    assert MINI.right(batch.inputs, answer, batch.solution).all()
    answer[:, 0] = 1
    assert not MINI.right(batch.inputs, answer, batch.solution).any()
    assert MINI.right(batch.inputs, MINI.copy_input(batch), batch.solution).mean() < 0.2


def test_forms_of_a_test_grid_are_turned_back_to_the_same_answer():
    batch = MINI.forms(0, 0, range(4))
    assert batch.identifier.tolist() == [1, 2, 3, 4]
    back = [
        MINI.puzzle_of(n)[1].undo(crop(row, 10))
        for n, row in zip(batch.identifier.tolist(), batch.solution, strict=True)
    ]
    assert all(np.array_equal(grid, MINI.puzzles[0].test[0].output) for grid in back)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 31}, r"arc size is 31; it must be a whole number, 3 to 30"),
        ({"size": 2}, r"arc size is 2"),
        ({"augmentations": -1}, r"augmentations is -1; it must be a whole number, 0 to 10000"),
        ({"augmentations": True}, r"augmentations is True"),
        ({"seed": -1}, r"seed is -1; it must be a whole number, 0 or more"),
        ({"translate": 1}, r"translate is 1; it must be True or False"),
        ({"dataset": "arc9"}, r"no such file or folder; did you mean 'arc[12]'"),
    ],
)
def test_wrong_options_are_refused_in_one_line(options, message):
    with pytest.raises(UserError, match=message):
        make_task("arc", **options)


def test_a_level_without_pairs_is_refused_by_name():
    with pytest.raises(
        UserError, match=r"dataset arc1 has no training pairs of level 'small' \(grids of 1 to 1"
    ):
        make_task("arc", dataset="arc1", size=3).generate("small", 1, np.random.default_rng(0))


# Texts and files


@pytest.mark.parametrize(
    ("text", "identifier"),
    [
        ("012\n345", 0),
        ("0 1 2\r\n3 4 5\n", 0),
        ("0,1,2\n3,4,5", 0),
        ("012/345", 0),
        ("3c9b0459\n012\n345", 9),
        ("3c9b0459@2/012/345", 11),
    ],
)
def test_a_grid_is_typed_in_lines_or_in_one_with_an_identity_before_it(text, identifier):
    batch = MINI.parse(text)
    np.testing.assert_array_equal(crop(batch.inputs[0], 10), [[0, 1, 2], [3, 4, 5]])
    assert batch.identifier.tolist() == [identifier]
    assert not batch.solution.any()
    assert MINI.write_text(batch.inputs[0]) == "012/345"


def test_an_answer_without_a_grid_is_written_cell_by_cell_and_read_again():
    answer = np.random.default_rng(0).integers(2, size=100, dtype=np.uint8)
    np.testing.assert_array_equal(MINI.encode(MINI.write_text(answer)), answer)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "there is no grid"),
        ("67a3c6ac", "there is no grid after the name 67a3c6ac"),
        ("67a3c6ad/01", "row 1 is neither digits nor a puzzle: unknown puzzle"),
        ("01\n012", "row 2 has 3 cells, row 1 2"),
        ("01\n0x", "row 2, cell 2 is 'x'; colours are the digits 0 to 9"),
        ("0" * 11, "the grid has 1 x 11 cells; the canvas has 10 x 10"),
        ("01_", "a canvas with '_' and '|' has 10 rows of 10 cells"),
    ],
)
def test_what_is_no_grid_is_refused_in_one_line(text, message):
    with pytest.raises(DataError) as refused:
        MINI.encode(text)
    assert message in str(refused.value)


def test_the_form_of_a_canvas_is_checked_by_cell():
    MINI.check(drawn().inputs[0])
    hole = MINI.encode("000/000")
    hole[1] = 0
    with pytest.raises(
        DataError, match=r"row 1, column 2 has no colour, but lies within the grid of 2 x 3"
    ) as at:
        MINI.check(hole)
    assert at.value.cell == 1
    with pytest.raises(DataError, match="the canvas holds no grid"):
        MINI.check(np.ones(100, np.uint8))


def test_a_csv_file_has_questions_answers_and_identities(tmp_path):
    batch = drawn(make_task("arc", augmentations=3, translate=False), count=30)
    lines = ["question,answer,identity"]
    for question, answer, identifier in zip(*arrays_of(batch), strict=True):
        name = MINI.name_of(identifier) if identifier % 2 else ""
        lines.append(f"{MINI.write_text(question)},{MINI.write_text(answer)},{name}")
    file = tmp_path / "a.csv"
    file.write_text("\n".join(lines))
    found = MINI.read(file)
    np.testing.assert_array_equal(found.inputs, batch.inputs)
    np.testing.assert_array_equal(found.solution, batch.solution)
    np.testing.assert_array_equal(found.identifier, np.where(batch.identifier % 2, batch.identifier, 0))
    file.write_text("question,answer\n012/345,01/2\n0,1")
    with pytest.raises(DataError, match=r"a.csv: 1 bad row; line 2: answer: row 2 has 1 cells, row 1 2"):
        MINI.read(file)


def test_a_text_is_split_into_its_grids():
    assert MINI.split("012/345\n\n67a3c6ac/0") == ["012/345", "67a3c6ac/0"]
    assert MINI.split("012\n345\n\n\n67a3c6ac\n0\n") == ["012\n345", "67a3c6ac\n0"]


# Whole data sets


def test_a_whole_data_set_is_written_as_the_field_has_it_and_read_back(tmp_path, small_arc):
    task = make_task("arc", dataset=str(small_arc), augmentations=4)
    collection = task.collection(seed=3)
    builder.write_collection(collection, task, tmp_path / "out", lambda *_: None)
    train, test = (PuzzleFolder(tmp_path / "out" / name, task) for name in ("train", "test"))
    about = json.loads((tmp_path / "out" / "train" / "dataset.json").read_text())
    assert (about["seq_len"], about["vocab_size"], about["ignore_label_id"]) == (900, 12, 0)
    assert about["num_puzzle_identifiers"] == task.identifiers
    names = json.loads((tmp_path / "out" / "identifiers.json").read_text())
    assert names == list(task.identity_names())
    asked = json.loads((tmp_path / "out" / "test_puzzles.json").read_text())
    assert set(asked) == {puzzle.name for puzzle in task.puzzles if puzzle.subset == "evaluation"}
    for folder in (train, test):
        batch = folder.take(slice(None))
        for question, answer, identifier in zip(*arrays_of(batch), strict=True):
            puzzle, form = task.puzzle_of(identifier)
            pairs = puzzle.test if folder is test else puzzle.train + puzzle.test
            grids = [form.undo(crop(tokens, 30)) for tokens in (question, answer)]
            assert any(
                np.array_equal(pair.input, grids[0]) and np.array_equal(pair.output, grids[1])
                for pair in pairs
            )
    assert len(test) == 5 * sum(len(p.test) for p in task.puzzles if p.subset == "evaluation")
    assert about["total_groups"] == len({(n - 1) // 5 for n in train.take(slice(None)).identifier.tolist()})
    assert about["total_puzzles"] == len(np.load(tmp_path / "out" / "train" / "all__puzzle_identifiers.npy"))
    at_corner = (train.take(slice(None)).inputs[:, 0] > 1).mean()
    assert 1 / 5 < at_corner < 0.8
    assert (test.take(slice(None)).inputs[:, 0] > 1).all()


def test_new_puzzles_are_no_collection():
    assert MINI.collection(0) is None
