"""Puzzles that users give: `solve` and `evaluate` read the same from a file, and say what is wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from envs import PuzzleBatch, make_task
from hrm_rl.cli import evaluate as evaluate_command
from hrm_rl.cli import solve as solve_command
from hrm_rl.data.one_puzzle import puzzle_of_file
from hrm_rl.data.streams import build_data
from tests.helpers.commands import evaluated, refusal
from tests.helpers.exported import saved
from tests.helpers.tiny import puzzles, tiny_config, write_csv

SUDOKU, MAZE = make_task("sudoku", size=4), make_task("maze", size=6)
BOARDS = puzzles(4)
FRAME = "*-------*"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    root = tmp_path_factory.mktemp("models")
    sections = {
        "sudoku": {"env": {"task": "sudoku", "size": 4}},
        "maze": {"env": {"task": "maze", "size": 6}},
    }
    return {name: saved(root / name, False, **env) for name, env in sections.items()}


def maze_rows(maze: np.ndarray) -> str:
    text = MAZE.write_text(maze)
    return "\n".join(text[i : i + 6] for i in range(0, 36, 6))


MAZES = MAZE.generate("medium", 3, np.random.default_rng(0))
ONE_LINE = [MAZE.write_text(maze) for maze in MAZES.inputs]
MAZE_FILES = {
    "a line each": "\n".join(ONE_LINE),
    "a line each, empty lines between": "\n\n".join(ONE_LINE) + "\n",
    "blocks": "\n\n".join(maze_rows(maze) for maze in MAZES.inputs),
    "both": f"{ONE_LINE[0]}\n\n{maze_rows(MAZES.inputs[1])}\n\n{ONE_LINE[2]}\n",
    "columns": "question\n" + "\n".join(ONE_LINE),
}


@pytest.mark.parametrize("name", MAZE_FILES)
def test_solve_and_evaluate_read_the_same_mazes_from_a_file(name: str, tmp_path: Path) -> None:
    path = tmp_path / "mazes.txt"
    path.write_text(MAZE_FILES[name])
    read = MAZE.read(path)
    assert np.array_equal(read.inputs, MAZES.inputs)
    for number in range(3):
        one = puzzle_of_file(path, str(path), number + 1, MAZE)
        assert np.array_equal(one.inputs[0], read.inputs[number])
        assert np.array_equal(one.solution[0], read.solution[number])


@pytest.mark.parametrize(
    ("text", "rows"), [("S  G", ["S ", " G"]), ("S G", ["S G"]), ("S  #   #G", ["S  ", "#  ", " #G"])]
)
def test_a_small_maze_in_one_line_is_a_square_if_it_can_be(
    text: str, rows: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "maze.txt"
    for end in ("", "\n", "\r\n"):
        path.write_text(text + end, newline="")
        expected = MAZE.parse("\n".join(rows) + "\n" if len(rows) > 1 else rows[0]).inputs
        assert np.array_equal(MAZE.read(path).inputs, expected)
        assert np.array_equal(puzzle_of_file(path, "x", 1, MAZE).inputs, expected)
        assert np.array_equal(MAZE.parse(text + end).inputs, expected)


def test_solve_and_evaluate_read_the_same_boards_from_a_file(tmp_path: Path) -> None:
    lines = [SUDOKU.write_text(row) for row in BOARDS.inputs]
    rows = [[line[i : i + 4] for i in range(0, 16, 4)] for line in lines]
    framed = "\n".join([FRAME, *(f"|{row[:2]}|{row[2:]}|" for row in rows[1]), FRAME])
    path = tmp_path / "boards.txt"
    path.write_text(f"# four boards\n{lines[0]}\n\n{framed}\n{lines[2]}  # rated\n" + "\n".join(rows[3]))
    read = SUDOKU.read(path)
    assert np.array_equal(read.inputs, BOARDS.inputs)
    for number in range(4):
        one = puzzle_of_file(path, "x", number + 1, SUDOKU)
        assert np.array_equal(one.inputs, read.inputs[number : number + 1])
        assert np.array_equal(one.solution, read.solution[number : number + 1])


CHECKED = [
    ("sudoku", "", "is empty", False),
    ("sudoku", "puzzle,solution\n", "has a header but no rows", False),
    ("sudoku", "board,result\n12,34\n", "has columns board, result", False),
    ("sudoku", "1.3Q1221434321..\n", "character 4 is 'Q'", False),
    ("sudoku", "11..............\n", None, False),
    ("sudoku", "1234\n341\n", "has 3 cells; a row has 4, a board 16", False),
    ("sudoku", "123456...\n" * 8, "has 9 cells; a row has 4, a board 16", True),
    ("sudoku", "1" * 81 + "\n", "has 81 characters, not 16", True),
    ("sudoku", "puzzle\n" + "1" * 81 + "\n", "has 81 characters, not 16", True),
    ("maze", "S#G\n###\n###\n", "G cannot be reached from S", False),
    ("maze", "S      G\n", "8 characters, which make no square", True),
    ("maze", "S" + " " * 47 + "G\n", "7x7 cells, more than the canvas of 6x6", True),
    ("maze", "x" * 36 + "\n", "is 'x', not one of", False),
]


@pytest.mark.parametrize(("name", "text", "reason", "of_size"), CHECKED)
def test_the_model_is_named_only_where_the_size_is_at_fault(
    name: str, text: str, reason: str | None, of_size: bool, models: dict[str, str], tmp_path: Path
) -> None:
    path = tmp_path / "given.txt"
    path.write_text(text)
    for command, flag in ((evaluate_command, "--data"), (solve_command, "--file")):
        line = refusal(command.main, "--checkpoint", models[name], flag, str(path))
        assert line.startswith(f"{path}: ")
        assert reason is None or reason in line
        size = {"sudoku": "sudoku 4x4", "maze": "maze 6x6"}[name]
        assert line.endswith(f" (the model was trained on {size})") == of_size
        assert "trained on" not in line or of_size


def test_a_folder_of_another_size_names_the_model(models: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "dataset.json").write_text('{"seq_len": 81, "vocab_size": 11}')
    line = refusal(evaluate_command.main, "--checkpoint", models["sudoku"], "--data", str(tmp_path))
    assert line.endswith("(the model was trained on sudoku 4x4)")
    (tmp_path / "dataset.json").write_text("{")
    line = refusal(evaluate_command.main, "--checkpoint", models["sudoku"], "--data", str(tmp_path))
    assert "trained on" not in line


def test_puzzles_that_occur_twice_are_said_and_count_once(
    models: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    batch = puzzles(12)
    once = write_csv(tmp_path / "once.csv", batch)
    twice = write_csv(tmp_path / "twice.csv", PuzzleBatch.concatenate([batch] * 3))
    args = ("--checkpoint", models["sudoku"], "--seed", "1", "--data")
    expected = evaluated(capsys, *args, str(once))
    capsys.readouterr()
    assert evaluate_command.main([*args, str(twice)]) == 0
    said = capsys.readouterr().err
    assert f"left out 24 of the 36 puzzles of {twice}: they occur before, and each counts once" in said
    found = evaluated(capsys, *args, str(twice))
    assert found["all"] == expected["all"]


def test_a_run_counts_each_held_out_puzzle_once_and_says_so(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "held.csv", PuzzleBatch.concatenate([puzzles(6, seed=3)] * 2))
    data = build_data(tiny_config(data={"eval_path": str(path)}))
    assert len(data.held_out) == 6
    assert data.notes == ("left out 6 of the 12 held-out puzzles: they occur before, and each counts once",)
    training = write_csv(tmp_path / "train.csv", make_task("sudoku", size=4).generate(
        "hard", 60, np.random.default_rng(1)
    ))  # fmt: skip
    config = tiny_config(
        data={"path": str(training), "eval_path": str(path), "leaks": "warn"},
        curriculum={"stages": ("all=1",)},
    )
    assert data.notes[0] in build_data(config).notes
