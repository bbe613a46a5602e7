"""Sudoku files: what is read, and what every bad file is answered with."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from envs import NO_LEVEL, DataError, make_task

TASK = make_task("sudoku", size=4)
PUZZLE = "1.4.3..1.1..4..2"
SOLUTION = "1243342121344312"


def text_of(tokens: np.ndarray) -> str:
    return "".join("." if token == 1 else str(token - 1) for token in tokens)


@pytest.fixture
def good(tmp_path):
    """Ten puzzles and a function that writes a file."""
    batch = TASK.generate("medium", 10, np.random.default_rng(0))

    def write(text: str | bytes, name: str = "puzzles.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return batch, write


def rows(batch, blank="."):
    puzzles = [text_of(row).replace(".", blank) for row in batch.inputs]
    return list(zip(puzzles, [text_of(row) for row in batch.solution], strict=True))


@pytest.mark.parametrize("blank", [".", "0"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize(
    "columns", [("puzzle", "solution"), ("Question", "Answer"), ("source", "question", "answer", "rating")]
)
def test_csv_columns_are_found_by_name(good, blank, newline, columns):
    batch, write = good
    lines = [",".join(columns)]
    for puzzle, solution in rows(batch, blank):
        cells = {"puzzle": puzzle, "question": puzzle, "solution": solution, "answer": solution}
        lines.append(",".join(cells.get(column.lower(), "x") for column in columns))
    read = TASK.read(write(newline.join(lines) + newline))
    assert (read.inputs == batch.inputs).all()
    assert (read.solution == batch.solution).all()
    assert (read.level == batch.level).all()
    assert (read.identifier == 0).all()


@pytest.mark.parametrize(
    "text",
    ["{}", "puzzle\n{}", "\n\n{}\n\n", "\npuzzle\n\n{}"],
    ids=["plain lines", "one column", "blank lines", "blank lines in a CSV"],
)
def test_missing_solutions_are_found(good, text):
    batch, write = good
    read = TASK.read(write(text.format("\n".join(puzzle for puzzle, _ in rows(batch)))))
    assert (read.inputs == batch.inputs).all()
    assert (read.solution == batch.solution).all()


def test_an_empty_solution_cell_is_solved(good):
    batch, write = good
    (first, _), (second, answer) = rows(batch)[:2]
    read = TASK.read(write(f"puzzle,solution\n{first},\n{second},{answer}\n"))
    assert (read.solution == batch.solution[:2]).all()


@pytest.mark.parametrize("name", ["puzzles.csv.gz", "puzzles.dat"], ids=["by name", "by content"])
def test_gzip_is_recognised(good, name):
    batch, write = good
    text = "\n".join(puzzle for puzzle, _ in rows(batch))
    assert (TASK.read(write(gzip.compress(text.encode(), mtime=0), name)).inputs == batch.inputs).all()


def test_a_byte_order_mark_is_skipped(good):
    batch, write = good
    text = "puzzle\n" + rows(batch)[0][0]
    assert len(TASK.read(write(b"\xef\xbb\xbf" + text.encode()))) == 1


def test_a_full_board_has_no_level(good):
    _, write = good
    assert TASK.read(write(SOLUTION)).level.tolist() == [NO_LEVEL]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (PUZZLE[:-1] + ",", "the puzzle has 15 characters, not 16"),
        ("y" + PUZZLE[1:] + ",", "character 1 of the puzzle is 'y', not one of '1234.0_*Xx?-'"),
        (
            "x" + PUZZLE[1:] + ",",
            "character 2 of the puzzle is '.', but a blank was 'x' before: write all alike",
        ),
        (PUZZLE[:-1] + "5,", "character 16 of the puzzle is '5'"),
        (PUZZLE[:-1] + "é,", "character 16 of the puzzle is 'é'"),
        ("11" + "." * 14 + ",", "two equal clues see each other"),
        (".12." + "3..." + "...." + "4...,", "has no solution"),
        ("." * 16 + ",", "has several solutions"),
        (PUZZLE + "," + SOLUTION[:-1], "the solution has 15 characters, not 16"),
        (PUZZLE + "," + SOLUTION[:-1] + ".", "character 16 of the solution is '.', not one of '1234'"),
        (PUZZLE + "," + SOLUTION[::-1], "the solution does not fit the puzzle"),
        (",", "the puzzle has 0 characters, not 16"),
    ],
)
def test_a_bad_row_is_named_by_line_and_reason(good, row, reason):
    batch, write = good
    puzzle, solution = rows(batch)[0]
    path = write(f"puzzle,solution\n{puzzle},{solution}\n{row}\n")
    with pytest.raises(DataError) as error:
        TASK.read(path)
    assert str(error.value).startswith(f"{path}: 1 bad row; line 3: {reason}")
    assert "\n" not in str(error.value)


def test_many_bad_rows_are_counted_and_five_are_shown(good):
    _, write = good
    path = write("puzzle\n" + f"{PUZZLE}\n" + "123\n" * 1200)
    with pytest.raises(DataError) as error:
        TASK.read(path)
    message = str(error.value)
    assert message.startswith(f"{path}: 1,200 bad rows; line 3: ")
    assert message.endswith("line 7: the puzzle has 3 characters, not 16; and 1,195 more")
    assert message.count("line ") == 5


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        (b"", "a.csv", "is empty"),
        (b" \n\n", "a.csv", "is empty"),
        (b"puzzle,solution\n", "a.csv", "has a header but no rows"),
        (
            b"board,result\n12,34\n",
            "a.csv",
            "has columns board, result; one of them must be question or puzzle",
        ),
        (b'a,"long\nname"\n12,34\n', "a.csv", "has columns a, long name; one of them must be"),
        (b"n," * 500 + b"\n12,34\n", "a.csv", f"has columns {'n, ' * 9}n and 491 more; one of them must be"),
        (b"plain text", "a.csv.gz", "is named .gz but is no gzip file"),
        (gzip.compress(b"puzzle\n" * 100, mtime=0)[:-20], "a.csv.gz", "is a damaged gzip file"),
        (b"\xff\xfe\x00\x01", "a.csv", "is text in UTF-16"),
        (b"puzzle\n" + b"1" * 200_000, "a.csv", "line 2 is no CSV (field larger than"),
    ],
)
def test_a_bad_file_is_named_in_one_line(good, content, name, message):
    _, write = good
    path = write(content, name)
    with pytest.raises(DataError) as error:
        TASK.read(path)
    assert str(error.value).startswith(f"{path}: {message}")
    assert "\n" not in str(error.value)


def test_missing_files_and_folders_are_named(tmp_path):
    with pytest.raises(DataError, match=r"none\.csv: no such file"):
        TASK.read(tmp_path / "none.csv")
    with pytest.raises(DataError, match="cannot be read"):
        TASK.read(tmp_path)


def test_faults_of_puzzles_and_solutions_are_named_by_row():
    batch = TASK.generate("hard", 9, np.random.default_rng(0))
    inputs, solution = batch.inputs.copy(), batch.solution.copy()
    inputs[1, 4] = 0
    inputs[2, 5] = 6
    inputs[3] = 1
    inputs[4] = 1
    inputs[4, :2] = 2
    inputs[5] = [1, 2, 3, 1, 4, 1, 1, 1, 1, 1, 1, 1, 5, 1, 1, 1]
    solution[6] = np.roll(solution[6], 1)
    solution[7, 2] = 0
    assert TASK.faults(inputs, solution) == {
        1: "cell 5 of the puzzle is token 0, not 1 (blank) to 5 (digit 4)",
        2: "cell 6 of the puzzle is token 6, not 1 (blank) to 5 (digit 4)",
        3: "has several solutions",
        4: "two equal clues see each other",
        5: "has no solution",
        6: "the solution does not fit the puzzle",
        7: "the solution does not fit the puzzle",
    }
    assert TASK.faults(batch.inputs, batch.solution) == {}
    assert TASK.faults(batch.inputs[:0], batch.solution[:0]) == {}


def test_the_kaggle_puzzles_are_all_valid(data_file):
    task = make_task("sudoku")
    batch = task.read(data_file("sudoku_kaggle_curated_5000.csv.gz"))
    assert len(batch) == 5000
    assert task.solved(batch.inputs, batch.solution).all()
    assert set(task.clues(batch.inputs)) <= set(range(20, 29))
    assert (task.level_of(batch.inputs) == batch.level).all()
