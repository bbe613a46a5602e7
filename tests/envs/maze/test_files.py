"""Maze files: what is read, and what every bad file is answered with."""

from __future__ import annotations

import csv
import gzip
import io
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from envs.errors import DataError
from envs.maze.files import faults, read_mazes, write_maze
from envs.maze.grid import CHARACTERS, FREE, GOAL, PAD, PATH, START, WALL
from envs.maze.rule import judge, label

# Two ways from S to G are equally short: down first (the label of the rule) and right first.
OPEN = ["S  ", " # ", "  G"]
RIGHT_FIRST = ["Soo", " #o", "  G"]
DOWN_FIRST = ["S  ", "o# ", "ooG"]
SNAKE = ["S   ", "### ", "G   ", "    "]
SNAKE_ANSWER = ["Sooo", "###o", "Gooo", "    "]
SNAKE_DETOUR = ["Sooo", "###o", "G  o", "oooo"]


def tokens(rows: list[str], size: int) -> np.ndarray:
    canvas = np.full((size, size), PAD, np.uint8)
    for r, row in enumerate(rows):
        canvas[r, : len(row)] = [CHARACTERS.index(character) for character in row]
    return canvas.reshape(-1)


def random_mazes(count: int, size: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Mazes (N, L) with a path, and their labels."""
    rng = np.random.default_rng(seed)
    mazes = np.where(rng.random((20 * count, size * size)) < 0.3, WALL, FREE).astype(np.uint8)
    ends = rng.permuted(np.tile(np.arange(size * size), (len(mazes), 1)), axis=1)[:, :2]
    mazes[np.arange(len(mazes)), ends[:, 0]] = START
    mazes[np.arange(len(mazes)), ends[:, 1]] = GOAL
    solutions, lengths = label(mazes, (size, size))
    return mazes[lengths > 0][:count], solutions[lengths > 0][:count]


@pytest.fixture
def write(tmp_path) -> Callable[..., Path]:
    def write_file(content: str | bytes, name: str = "mazes.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write_file


def csv_text(*rows: tuple[str, ...], header: tuple[str, ...] = ("question", "answer")) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    return text.getvalue()


def message_of(path: Path, size: int) -> str:
    with pytest.raises(DataError) as error:
        read_mazes(path, size)
    assert "\n" not in str(error.value)
    assert str(error.value).startswith(f"{path}: ")
    return str(error.value).removeprefix(f"{path}: ")


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize(
    "header", [("question", "answer"), ("puzzle", "solution"), ("source", "Question", "Answer", "rating")]
)
def test_csv_columns_are_found_by_name(write, header, line_end):
    mazes, solutions = random_mazes(10, 6)
    rows = []
    for maze, solution in zip(mazes, solutions, strict=True):
        question, answer = write_maze(maze, 6), write_maze(solution, 6)
        cells = {"question": question, "puzzle": question, "answer": answer, "solution": answer}
        rows.append(tuple(cells.get(name.lower(), "7") for name in header))
    inputs, read = read_mazes(write(csv_text(*rows, header=header).replace("\n", line_end)), 6)
    assert (inputs == mazes).all()
    assert (read == solutions).all()


@pytest.mark.parametrize("shape", [(5, 5), (3, 7), (7, 2), (1, 4), (4, 1)])
def test_what_is_written_is_read_again_in_any_shape_and_on_any_canvas(write, shape):
    rows = [" " * shape[1]] * shape[0]
    rows[0] = "S" + rows[0][1:]
    rows[-1] = rows[-1][:-1] + "G"
    for size in (7, 9):
        maze = tokens(rows, size)
        solution = label(maze[None], (size, size))[0][0]
        path = write(csv_text((write_maze(maze, size), write_maze(solution, size))))
        inputs, solutions = read_mazes(path, size)
        assert (inputs[0] == maze).all()
        assert (solutions[0] == solution).all()
        assert ((solutions[0] == PAD) == (maze == PAD)).all()


def test_a_smaller_maze_lies_at_the_top_left_and_the_rest_is_padding(write):
    inputs, solutions = read_mazes(write(csv_text(("".join(OPEN), "".join(DOWN_FIRST)))), 5)
    grid = inputs[0].reshape(5, 5)
    assert (grid[:3, :3].reshape(-1) == tokens(OPEN, 3)).all()
    assert (grid[3:] == PAD).all()
    assert (grid[:, 3:] == PAD).all()
    assert (solutions[0] == tokens(DOWN_FIRST, 5)).all()


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_a_quoted_field_may_hold_a_line_for_each_row(write, line_end):
    question, answer = line_end.join(["S  #", "##  ", " # G"]), line_end.join(["Soo#", "##oo", " # G"])
    inputs, solutions = read_mazes(write(f'question,answer\n"{question}","{answer}"\n'), 4)
    assert (inputs[0] == tokens(["S  #", "##  ", " # G"], 4)).all()
    assert (solutions[0] == tokens(["Soo#", "##oo", " # G"], 4)).all()


def test_blanks_at_the_ends_are_free_cells(write):
    rows = ["   ", " S ", "  G"]
    for text, name in [(csv_text(("".join(rows), "")), "a.csv"), ("\n".join(rows), "a.txt")]:
        inputs, _ = read_mazes(write(text, name), 3)
        assert (inputs[0] == tokens(rows, 3)).all()


@pytest.mark.parametrize(
    "text",
    ["question,answer\n{0},\n", "question,rating\n{0},4\n", "question\n{0}\n", "question,answer\n{0}\n"],
    ids=["empty cell", "no such column", "one column", "short row"],
)
def test_a_missing_answer_is_made_by_the_rule(write, text):
    inputs, solutions = read_mazes(write(text.format("".join(OPEN))), 3)
    assert (inputs[0] == tokens(OPEN, 3)).all()
    assert (solutions[0] == tokens(DOWN_FIRST, 3)).all()


def test_an_answer_that_is_another_shortest_path_is_kept_as_the_label(write):
    _, solutions = read_mazes(write(csv_text(("".join(OPEN), "".join(RIGHT_FIRST)))), 3)
    assert (solutions[0] == tokens(RIGHT_FIRST, 3)).all()


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_mazes_as_blocks_of_lines_between_empty_lines(write, line_end):
    # The second row of the second maze is blank: free cells, no separator.
    text = "\n\nS  \n # \n  G\n\n\n#S#\n   \n#G#\n"
    inputs, solutions = read_mazes(write(text.replace("\n", line_end), "mazes.txt"), 4)
    assert (inputs == [tokens(OPEN, 4), tokens(["#S#", "   ", "#G#"], 4)]).all()
    assert (solutions[1] == tokens(["#S#", " o ", "#G#"], 4)).all()


@pytest.mark.parametrize("name", ["mazes.csv.gz", "mazes.dat"], ids=["by name", "by content"])
def test_gzip_is_recognised(write, name):
    path = write(gzip.compress(csv_text(("".join(OPEN), "")).encode()), name)
    assert (read_mazes(path, 3)[0][0] == tokens(OPEN, 3)).all()


@pytest.mark.parametrize(
    ("question", "answer", "reason"),
    [
        ("", "", "the question is empty"),
        ("S  G  #", "", "the question has 7 characters, which make no square"),
        ("S" + " " * 23 + "G", "", "the question has 5x5 cells, more than the canvas of 4x4"),
        ("S    G\n", "", "the question has 1x6 cells, more than the canvas of 4x4"),
        ("   #   #G", "", "the question has no S"),
        ("S  #   # ", "", "the question has no G"),
        ("S  #  S#G", "", "the question has 2 S"),
        ("S  # GG#G", "", "the question has 3 G"),
        ("S# ##  G ", "", "G cannot be reached from S"),
        ("S  \n#\n  G", "",
         "row 2 of the question has 1 characters, row 1 has 3 (blanks count: they are free cells)"),
        ("S  #x  #G", "", "row 2, column 2 of the question is 'x', not one of '# SG'"),
        ("S  #é  #G", "", "row 2, column 2 of the question is 'é', not one of '# SG'"),
        ("S  #\u4e2d  #G", "", "row 2, column 2 of the question is '\u4e2d', not one of '# SG'"),
        ("S  #_  #G", "", "row 2, column 2 of the question is '_', not one of '# SG'"),
        ("S  \n#\tx\n  G", "", "row 2, column 2 of the question is '\\t', not one of '# SG'"),
        ("So #oo #G", "", "row 1, column 2 of the question is 'o', which only answers have"),
        ("S  #   #G", "Soo# o #", "the answer has 8 characters, which make no square"),
        ("S  #   #G", "S  G", "the answer has 2x2 cells, the question 3x3"),
        ("S  #   #G", "Soo\n# o\n#G", "row 3 of the answer has 2 characters, row 1 has 3"),
        ("S  #   #G", "Soo#xo #G", "row 2, column 2 of the answer is 'x', not one of '# SGo'"),
        ("S  #   #G", "So# oo #G", "row 1, column 3 of the answer is '#', in the question ' '"),
        ("S  #   #G", "Soooo  #G", "row 2, column 1 of the answer is 'o', in the question '#'"),
        ("S  #   #G", "oo #oo #G", "row 1, column 1 of the answer is 'o', in the question 'S'"),
        ("S  #   #G", "S  #   #G", "the cells marked 'o' in the answer are no path from S to G"),
        ("S  #   #G", "Soo# oo#G", "the cells marked 'o' in the answer are no path from S to G"),
        ("S  #   #G", "Soo#oo #G", "the cells marked 'o' in the answer are no path from S to G"),
        ("".join(SNAKE), "".join(SNAKE_DETOUR),
         "the path of the answer has 11 cells, 2 more than a shortest one"),
    ],
)  # fmt: skip
def test_a_bad_row_is_named_by_line_and_reason(write, question, answer, reason):
    path = write(csv_text(("".join(OPEN), "".join(DOWN_FIRST)), (question, answer)))
    assert message_of(path, 4).startswith(f"1 bad row; line 3: {reason}")


def test_a_row_of_several_lines_is_named_by_its_first(write):
    good, bad = ("\n".join(OPEN), "\n".join(DOWN_FIRST)), ("\n".join(SNAKE), "\n".join(SNAKE_DETOUR))
    path = write(csv_text(good, bad, good))
    assert message_of(path, 4).startswith("1 bad row; line 7: the path of the answer")


def test_a_block_is_named_by_its_first_line(write):
    path = write("S G\n\n\nS  \n  \n  G\n\nS #\nG S\n", "mazes.txt")
    assert message_of(path, 3) == (
        "2 bad rows; line 4: row 2 of the question has 2 characters, row 1 has 3 "
        "(blanks count: they are free cells); line 8: the question has 2 S"
    )


def test_many_bad_rows_are_counted_and_five_are_shown(write):
    message = message_of(write(csv_text(("".join(OPEN), ""), *[("S  #", "")] * 1200)), 3)
    assert message.startswith("1,200 bad rows; line 3: the question has no G; line 4: ")
    assert message.endswith("line 7: the question has no G; and 1,195 more")


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        (b"", "a.csv", "is empty"),
        (b" \n\n", "a.txt", "is empty"),
        (b"question,answer\n", "a.csv", "has a header but no rows"),
        (b"question\n", "a.csv", "has a header but no rows"),
        (b"maze,path\nS G,\n", "a.csv", "has columns maze, path; one of them must be question or puzzle"),
        (b"S G", "a.csv.gz", "is named .gz but is no gzip file"),
        (gzip.compress(b"question\n" * 100, mtime=0)[:-20], "a.csv.gz", "is a damaged gzip file"),
        (b"\x80\x00\x01", "a.csv", "is no text file"),
        (b"\xff\xfe\x00\x01", "a.csv", "is text in UTF-16; save it as CSV or text in UTF-8"),
        (b"question\n" + b" " * 200_000, "a.csv", "line 2 is no CSV (field larger than"),
    ],
)
def test_a_bad_file_is_named_in_one_line(write, content, name, message):
    assert message_of(write(content, name), 3).startswith(message)


def test_missing_files_and_folders_are_named(tmp_path):
    assert message_of(tmp_path / "none.csv", 3) == "no such file"
    assert message_of(tmp_path, 3).startswith("cannot be read")


def test_right_labels_have_no_faults():
    mazes, solutions = random_mazes(50, 8)
    assert faults(mazes, solutions, 8) == {}
    assert faults(mazes[:0], solutions[:0], 8) == {}


def test_faults_of_a_folder_are_found_in_its_tokens():
    mazes, solutions = random_mazes(6, 8)
    mazes, solutions = mazes.copy(), solutions.copy()
    mazes[1][mazes[1] == START] = FREE
    mazes[2][np.flatnonzero(mazes[2] == FREE)[0]] = GOAL
    solutions[3][np.flatnonzero(mazes[3] == WALL)[0]] = PAD
    solutions[4][solutions[4] == PATH] = FREE
    mazes[5] = solutions[5]
    found = faults(mazes, solutions, 8)
    assert sorted(found) == [1, 2, 3, 4, 5]
    assert found[1] == "the question has no S"
    assert found[2] == "the question has 2 G"
    assert found[3].endswith("of the answer is padding, in the question '#'")
    assert found[4] == "the cells marked 'o' in the answer are no path from S to G"
    assert found[5].endswith("of the question is 'o', which only answers have")


def test_a_label_on_padding_is_a_fault():
    maze = tokens(OPEN, 4)
    solution = tokens(DOWN_FIRST, 4)
    solution[3] = PATH
    assert faults(maze[None], solution[None], 4) == {
        0: "row 1, column 4 of the answer is 'o', in the question padding"
    }


def test_the_maze_hard_file_is_read_whole(data_file):
    path = data_file("maze_hard_train.csv.gz")
    inputs, solutions = read_mazes(path, 30)
    assert inputs.shape == solutions.shape == (1000, 900)
    assert judge(inputs, solutions, (30, 30))[0].all()
    with gzip.open(path, "rt", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [write_maze(maze, 30) for maze in inputs] == [row["question"] for row in rows]
    assert [write_maze(solution, 30) for solution in solutions] == [row["answer"] for row in rows]
    started = time.perf_counter()
    read_mazes(path, 30)
    assert time.perf_counter() - started < 2  # measured: 0.13 s on one idle core


def test_the_maze_hard_file_fits_a_larger_canvas_but_no_smaller_one(data_file):
    path = data_file("maze_hard_train.csv.gz")
    inputs, _ = read_mazes(path, 32)
    assert np.count_nonzero(inputs == PAD) == 1000 * (32 * 32 - 30 * 30)
    assert "1,000 bad rows; line 2: the question has 30x30 cells, more than the canvas of 29x29" in (
        message_of(path, 29)
    )
