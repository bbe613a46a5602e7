"""Levels, options, forms, files and text of patterns."""

from __future__ import annotations

import gzip

import numpy as np
import pytest

from envs import DataError, UserError, make_task
from envs.patterns import PATTERNS
from tests.envs.test_docstrings import sections, table

TASKS = {name: make_task("patterns", pattern=name, size=12) for name in PATTERNS}


def pool(name: str, count: int = 40):
    task = TASKS[name]
    return task, task.generate(task.levels[2], count, np.random.default_rng(0))


def test_the_levels_are_those_of_the_table():
    task = make_task("patterns")
    rows = table(sections(type(task))["Starting State"])
    assert rows == [[level.name, f"{level.fewest}-{level.most}"] for level in task.ranges]
    assert [row[0] for row in table(sections(type(task))["Description"])] == list(PATTERNS)


def test_the_examples_of_the_docstring_are_right():
    for name, question, answer, _ in table(sections(type(TASKS["copy"]))["Description"]):
        task = TASKS[name]
        inputs = task.encode(question.strip("`"))
        solution = np.zeros(task.grid_shape, np.uint8)
        for row, line in zip(solution, answer.strip("`").split("/"), strict=True):
            row[: len(line)] = [task.characters.index(c) for c in line]
        assert task.solved(inputs[None], solution.reshape(1, -1)).all(), name


@pytest.mark.parametrize("name", PATTERNS)
def test_an_answer_is_right_exactly_where_it_is_in_another_form(name):
    task, batch = pool(name)
    rng = np.random.default_rng(1)
    forms = task.symmetries(batch.inputs, rng)
    turned = forms.apply(batch.inputs)
    np.testing.assert_array_equal(task.canonical(turned), task.canonical(batch.inputs))
    np.testing.assert_array_equal(forms.undo(turned), batch.inputs)
    assert (turned != batch.inputs).any(axis=1).mean() > 0.5
    answer = forms.apply(batch.solution)
    spoilt = rng.random(len(batch)) < 0.5
    answer[spoilt] = rng.integers(0, task.vocab_size, answer[spoilt].shape)
    right = task.solved(turned, answer)
    assert right[~spoilt].all()
    np.testing.assert_array_equal(task.solved(batch.inputs, forms.undo(answer)), right)
    parts = np.random.default_rng(5)
    in_parts = [task.symmetries(some, parts).apply(some) for some in (batch.inputs[:15], batch.inputs[15:])]
    whole = task.symmetries(batch.inputs, np.random.default_rng(5)).apply(batch.inputs)
    np.testing.assert_array_equal(np.concatenate(in_parts), whole)
    chances = rng.random((*answer.shape, task.vocab_size)).astype(np.float32)
    np.testing.assert_array_equal(
        forms.undo_chances(chances).argmax(axis=2), forms.undo(chances.argmax(axis=2).astype(np.uint8))
    )


def test_canonical_forms_tell_different_puzzles_apart():
    task = TASKS["copy"]
    same = [task.encode(text) for text in ("abca=....", "__bcab=....", "jihj")]
    other = [task.encode(text) for text in ("abcb", "abc", "aaaa")]
    found = np.unique(task.canonical(np.stack([*same, *other])), axis=0)
    assert len(found) == 4
    sums = TASKS["addition"]
    swapped = np.stack([sums.encode("12+9"), sums.encode("9+12")])
    assert len(np.unique(sums.canonical(swapped), axis=0)) == 1


def test_the_measure_counts_what_was_right_before_the_first_mistake():
    task = TASKS["parity"]
    inputs = task.encode("0110")[None]
    answer = task.prove(inputs[0])[None].copy()
    assert np.isnan(task.measure(inputs, answer)).all()
    answer[0, 12 + 2] ^= 1
    assert task.measure(inputs, answer).tolist() == [[2.0]]


@pytest.mark.parametrize(
    ("name", "typed", "whole"),
    [
        ("anbn", "aab...", "?aab..."), ("balanced", "(()]", "?(()]"), ("repair", "(()]", "(()]/...."),
        ("parity", "0110", "0110/...."), ("copy", "cab", "cab=..."), ("addition", "9+73", "009/073/..."),
        ("partner", "(())\n.^..", "(())/.^.."), ("sort", "__cab=...", "__cab=..."),
    ],
)  # fmt: skip
def test_a_person_types_what_is_given(name, typed, whole):
    task = TASKS[name]
    assert task.write_text(task.encode(typed)) == whole
    puzzle = task.parse(typed)
    assert task.solved(puzzle.inputs, puzzle.solution).all()


@pytest.mark.parametrize(
    ("name", "text", "line", "cell"),
    [
        ("anbn", "a.b.", "row 1, column 4: a letter stands behind a blank", 3),
        ("anbn", "....", "row 1, column 2: a question has at least one letter", 1),
        ("anbn", "?aay.", "row 1, column 4: 'y' stands in a question", 3),
        ("anbn", "axb", "character 3 of the question is 'x', not one of '_.?yn-ab'", None),
        ("copy", "abc=..", "a question of copy has 3, 5, ... columns, not 6", 0),
        ("copy", "a_c=...", "row 1, column 1: a question of copy has 3, 5, ... columns, not 1", 0),
        ("parity", "01/_.", "row 2, column 1: padding within a string", 12),
        ("copy", "abcdefghijabcd", "has 29 columns, more than the canvas of 25", None),
        ("repair", "(())", "row 1, column 1: the brackets are balanced: there is nothing to repair", 0),
        ("repair", "]])(((", "no exchange of one bracket makes all match", None),
        ("repair", "(()", "a question of repair has 2, 4, ... columns, not 3", 0),
        ("partner", "(()]/.^..", "row 1, column 1: the brackets are not balanced", 0),
        ("partner", "(())/.^^.", "row 2, column 3: 2 brackets are marked with '^', not one", 14),
        ("parity", "01/0.", "row 2, column 1: '0' stands where one of '.' should", 12),
        ("parity", "01/...", "the rows of the question have 2 and 3 characters", None),
        ("addition", "12/34", "row 1, column 1: the first column must be 0, for what is carried", 0),
        ("partner", "(())", "the question has 1 row ('/' between), but partner has 2", None),
        ("parity", "__/__", "the question is empty: there is nothing but padding", None),
    ],
)
def test_what_is_no_question_is_refused_in_one_line(name, text, line, cell):
    task = TASKS[name]
    with pytest.raises(DataError) as error:
        task.parse(text)
    assert line in str(error.value)
    assert "\n" not in str(error.value)
    assert error.value.cell == cell


@pytest.mark.parametrize("name", PATTERNS)
def test_files_are_read_as_they_were_written(name, tmp_path):
    task, batch = pool(name, 12)
    pairs = zip(batch.inputs, batch.solution, strict=True)
    rows = [f"{task.write_text(question)},{task.write_text(answer)}" for question, answer in pairs]
    path = tmp_path / "puzzles.csv.gz"
    path.write_bytes(gzip.compress("\n".join(["question,answer", *rows]).encode()))
    found = task.read(path)
    np.testing.assert_array_equal(found.inputs, batch.inputs)
    np.testing.assert_array_equal(found.solution, batch.solution)
    np.testing.assert_array_equal(found.level, batch.level)
    text = tmp_path / "puzzles.txt"
    text.write_text("\n".join(task.write_text(q) for q in batch.inputs))
    np.testing.assert_array_equal(task.read(text).solution, batch.solution)


def test_another_right_answer_of_a_file_is_kept_and_a_wrong_one_is_named(tmp_path):
    task = TASKS["anbn"]
    path = tmp_path / "puzzles.csv"
    path.write_text("question,answer\naa......,yaaabbb--\n")
    assert task.write_text(task.read(path).solution[0]) == "yaaabbb--"
    path.write_text("question,answer\naa......,yaaabb---\n?ab,\n?a,nb\n")
    with pytest.raises(DataError, match="2 bad rows; line 2: the solution does not solve the puzzle; line 4"):
        task.read(path)
    path.write_text("question,answer\n")
    with pytest.raises(DataError, match="a header but no rows"):
        task.read(path)


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"pattern": "copi"}, "unknown pattern 'copi'"),
        ({"size": 3}, "patterns size is 3; it must be a whole number, 4 to 200"),
        ({"placement": "right"}, "unknown placement 'right'"),
        ({"kinds": 2}, "kinds is 2, but anbn has nothing to choose: leave it out"),
        ({"pattern": "repair", "kinds": 5}, "kinds is 5; repair takes 1 to 4"),
        ({"levels": "short"}, "level 'short' is not of the form NAME=FEWEST-MOST, as in short=1-8"),
        ({"levels": "a=1-4,a=5-8"}, "level 'a' is there twice"),
        ({"levels": "a=4-40"}, "level 'a=4-40': lengths must rise, from 1 or more to 32"),
    ],
)
def test_wrong_options_are_refused_in_one_line(options, line):
    with pytest.raises(UserError) as error:
        make_task("patterns", **options)
    assert line in str(error.value)


def test_levels_without_a_puzzle_are_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(UserError, match="level 'one': repair has no string of 1 to 1"):
        make_task("patterns", pattern="repair", levels="one=1-1").generate("one", 1, rng)
    two = make_task("patterns", pattern="parity", levels="one=1-1")  # none of the two puzzles is held out
    assert len(two.generate("one", 5, rng)) == 5
    with pytest.raises(UserError, match="level 'one' of parity has no puzzle to hold out"):
        two.generate("one", 1, rng, held_out=True)


def test_strings_lie_anywhere_or_at_the_left():
    for placement, places in (("anywhere", 20), ("left", 1)):
        task = make_task("patterns", pattern="parity", placement=placement)
        inputs = task.generate("n8", 500, np.random.default_rng(0)).inputs
        assert len(np.unique((inputs[:, :32] != 0).argmax(axis=1))) >= places


def test_several_strings_lie_side_by_side_in_training_alone():
    task = make_task("patterns", pattern="sort", size=24, strings=4)
    batch = task.generate("n6", 300, np.random.default_rng(0))
    there = np.pad(batch.inputs != 0, ((0, 0), (1, 1))).astype(int)
    strings = (np.diff(there, axis=1) == 1).sum(axis=1)
    assert set(strings) == {1, 2, 3, 4}
    lengths = task.trait("length", batch.inputs)
    assert set(lengths) == {4, 5, 6}
    assert task.solved(batch.inputs, batch.solution).all()
    spoilt = batch.solution.copy()
    last = batch.inputs.shape[1] - 1 - (batch.inputs != 0)[:, ::-1].argmax(axis=1)
    spoilt[np.arange(300), last] = 3 + (spoilt[np.arange(300), last] - 2) % 10  # another symbol
    assert not task.solved(batch.inputs, spoilt).any(), "one wrong string is enough"
    parts = ["".join(part) for part in task.write_text(batch.inputs[strings == 2][0]).split("_") if part]
    assert len(parts) == 2
    alone = [task.encode(part) for part in parts]
    np.testing.assert_array_equal(
        [task.write_text(task.prove(one)) for one in alone],
        [p for p in task.write_text(batch.solution[strings == 2][0]).split("_") if p],
    )
    kept = task.generate("n6", 100, np.random.default_rng(0), held_out=True).inputs
    assert ((np.diff(np.pad(kept != 0, ((0, 0), (1, 1))).astype(int), axis=1) == 1).sum(axis=1) == 1).all()
